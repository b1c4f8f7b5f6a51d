"""Callbacks that watch and average a generator while it trains."""

from ganmc_lightning.callbacks.compression_score import CompressionScoreMonitor
from ganmc_lightning.callbacks.generator_ema import GeneratorEMA
from ganmc_lightning.callbacks.sample_grid import SampleGrid

__all__ = ["CompressionScoreMonitor", "GeneratorEMA", "SampleGrid"]
