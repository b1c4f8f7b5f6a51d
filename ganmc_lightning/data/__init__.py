"""The shared stream: sources, augmentation, mixing and the data module."""

from ganmc_lightning.data.augment import Augment, CropFlip
from ganmc_lightning.data.datamodule import GANAugmentedDataModule

__all__ = ["Augment", "CropFlip", "GANAugmentedDataModule"]
