"""Evaluation of generated samples: ``ganmc evaluate`` and the metrics of the callbacks."""

from ganmc_lightning.evaluation.compression import make_compression_scores
from ganmc_lightning.evaluation.evaluator import (
    FEATURE_METRICS,
    METRICS,
    GeneratorEvaluator,
    select_metrics,
)
from ganmc_lightning.evaluation.real_data import load_datamodule
from ganmc_lightning.evaluation.result import EvaluationResult
from ganmc_lightning.evaluation.samples import SampleSet, samples_of_generator
from ganmc_lightning.evaluation.sources import open_sample_sets
from ganmc_lightning.evaluation.student_factory import make_student_factory

__all__ = [
    "FEATURE_METRICS",
    "METRICS",
    "EvaluationResult",
    "GeneratorEvaluator",
    "SampleSet",
    "load_datamodule",
    "make_compression_scores",
    "make_student_factory",
    "open_sample_sets",
    "samples_of_generator",
    "select_metrics",
]
