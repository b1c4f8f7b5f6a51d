"""Metrics of generated samples, subclasses of torchmetrics' ``Metric``, without Lightning."""

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
    make_extractor,
)
from ganmc_lightning.metrics.fid import FrechetInceptionDistance
from ganmc_lightning.metrics.functional.frechet import frechet_distance, trace_sqrt_product
from ganmc_lightning.metrics.inception_score import InceptionScore
from ganmc_lightning.metrics.kid import KernelInceptionDistance
from ganmc_lightning.metrics.laplacian_variance import LaplacianVariance, laplacian_variance
from ganmc_lightning.metrics.near_duplicates import NearDuplicates, NearDuplicatesValue, near_duplicates
from ganmc_lightning.metrics.prdc import PRDC, prdc
from ganmc_lightning.metrics.reference import ReferenceStatistics, compute_reference_statistics, extract_features

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
    "LaplacianVariance",
    "NearDuplicates",
    "NearDuplicatesValue",
    "ReferenceStatistics",
    "compression_score",
    "compute_reference_statistics",
    "extract_features",
    "frechet_distance",
    "laplacian_variance",
    "make_extractor",
    "near_duplicates",
    "prdc",
    "trace_sqrt_product",
]
