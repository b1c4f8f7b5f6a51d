"""Metrics of samples and generators, usable with no Lightning in sight."""

from ganmc_lightning.metrics.compression_score import (
    CompressionScore,
    CompressionScoreValue,
    compression_score,
)
from ganmc_lightning.metrics.extractors import (
    ClassifierExtractor,
    FeatureExtractor,
    Features,
    InceptionV3Extractor,
    extractor_of,
)
from ganmc_lightning.metrics.fid import FrechetInceptionDistance
from ganmc_lightning.metrics.frechet import frechet_distance, trace_sqrt_product
from ganmc_lightning.metrics.inception_score import InceptionScore
from ganmc_lightning.metrics.kid import KernelInceptionDistance
from ganmc_lightning.metrics.laplacian import VarianceOfLaplacian, variance_of_laplacian
from ganmc_lightning.metrics.near_copies import NearCopies, NearCopiesValue, near_copies
from ganmc_lightning.metrics.prdc import PRDC, prdc
from ganmc_lightning.metrics.reference import RealStatistics, features_of, real_statistics

__all__ = [
    "PRDC",
    "ClassifierExtractor",
    "CompressionScore",
    "CompressionScoreValue",
    "FeatureExtractor",
    "Features",
    "FrechetInceptionDistance",
    "InceptionScore",
    "InceptionV3Extractor",
    "KernelInceptionDistance",
    "NearCopies",
    "NearCopiesValue",
    "RealStatistics",
    "VarianceOfLaplacian",
    "compression_score",
    "extractor_of",
    "features_of",
    "frechet_distance",
    "near_copies",
    "prdc",
    "real_statistics",
    "trace_sqrt_product",
    "variance_of_laplacian",
]
