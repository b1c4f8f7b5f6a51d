"""What ``ganmc evaluate`` computes: samples in, one table of scores out."""

from ganmc_lightning.evaluation.evaluator import EvaluationResult, GeneratorEvaluator
from ganmc_lightning.evaluation.feature_metrics import FEATURE_METRICS, feature_metrics
from ganmc_lightning.evaluation.real_data import RealData, load_datamodule
from ganmc_lightning.evaluation.samples import SampleSet, draw_samples, open_samples
from ganmc_lightning.evaluation.selection import METRICS, select_metrics
from ganmc_lightning.evaluation.students import Students, make_student_factory

__all__ = [
    "FEATURE_METRICS",
    "METRICS",
    "EvaluationResult",
    "GeneratorEvaluator",
    "RealData",
    "SampleSet",
    "Students",
    "draw_samples",
    "feature_metrics",
    "load_datamodule",
    "make_student_factory",
    "open_samples",
    "select_metrics",
]
