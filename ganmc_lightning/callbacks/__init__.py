"""Callbacks that evaluate and average a generator during training."""

from ganmc_lightning.callbacks.collapse_stopping import GeneratorCollapseStopping
from ganmc_lightning.callbacks.compression_score import CompressionScoreMonitor
from ganmc_lightning.callbacks.generator_ema import GeneratorEMA
from ganmc_lightning.callbacks.generator_metrics import GeneratorMetricsMonitor
from ganmc_lightning.callbacks.sample_grid import SampleGrid
from ganmc_lightning.callbacks.tree_score import TreeScoreMonitor

__all__ = [
    "CompressionScoreMonitor",
    "GeneratorCollapseStopping",
    "GeneratorEMA",
    "GeneratorMetricsMonitor",
    "SampleGrid",
    "TreeScoreMonitor",
]
