"""Compress an image classifier: distill it into a small network, export the network and write a card."""

from ganmc_lightning.compression.compress import ClassifierCompression, compress_classifier
from ganmc_lightning.compression.inputs import LoadedSource

__all__ = ["ClassifierCompression", "LoadedSource", "compress_classifier"]
