"""Metrics of samples and generators, usable with no Lightning in sight."""

from ganmc_lightning.metrics.compression_score import (
    CompressionScore,
    CompressionScoreValue,
    compression_score,
)

__all__ = ["CompressionScore", "CompressionScoreValue", "compression_score"]
