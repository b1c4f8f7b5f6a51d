"""What ``ganmc score`` computes: samples in, one table of scores out."""

from ganmc_lightning.scoring.choice import METRICS, choose_metrics
from ganmc_lightning.scoring.feature_scores import FEATURE_METRICS, feature_metrics
from ganmc_lightning.scoring.real_data import RealData, load_real_data
from ganmc_lightning.scoring.samples import SampleSet, draw_samples, open_samples
from ganmc_lightning.scoring.scorer import Scorer, Scores
from ganmc_lightning.scoring.students import Students, student_of

__all__ = [
    "FEATURE_METRICS",
    "METRICS",
    "RealData",
    "SampleSet",
    "Scorer",
    "Scores",
    "Students",
    "choose_metrics",
    "draw_samples",
    "feature_metrics",
    "load_real_data",
    "open_samples",
    "student_of",
]
