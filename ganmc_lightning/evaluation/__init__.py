"""Evaluation of generated samples: ``ganmc evaluate`` and the metrics of the callbacks."""

from ganmc_lightning.evaluation.compression_scorer import CompressionScorer, adapt_teacher
from ganmc_lightning.evaluation.evaluator import (
    FEATURE_METRICS,
    METRICS,
    EvaluationResult,
    GeneratorEvaluator,
    select_metrics,
)
from ganmc_lightning.evaluation.real_data import load_datamodule
from ganmc_lightning.evaluation.samples import SampleSet, open_sample_sets, samples_of_generator
from ganmc_lightning.evaluation.student_factory import check_student, make_student_factory

__all__ = [
    "FEATURE_METRICS",
    "METRICS",
    "CompressionScorer",
    "EvaluationResult",
    "GeneratorEvaluator",
    "SampleSet",
    "adapt_teacher",
    "check_student",
    "load_datamodule",
    "make_student_factory",
    "open_sample_sets",
    "samples_of_generator",
    "select_metrics",
]
