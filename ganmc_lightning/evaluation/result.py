"""Metrics of one sample set with their settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from ganmc_lightning.metrics import Features
from ganmc_lightning.metrics.base import GenerativeMetric, MetricSettings


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of one sample set.

    Attributes:
        name: name of the sample set.
        origin: origin of the samples.
        real_split: split, if the samples are a split of the real data; else empty.
        samples: evaluated samples, on the CPU.
        features: features of the samples; None without an extractor.
        skipped: reason per skipped metric.
        values: values by column name.
        settings: settings and sample counts by metric.
        warnings: reasons to doubt a value by metric.
    """

    name: str
    origin: str
    real_split: str
    samples: Tensor = field(repr=False)
    features: Features | None = field(repr=False)
    skipped: dict[str, str]
    values: dict[str, float] = field(default_factory=dict)
    settings: dict[str, MetricSettings] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, name: str, metric: GenerativeMetric) -> None:
        """Compute a metric and add its values, settings and warnings."""
        self.values.update(metric.compute_columns(name))
        self.settings[name] = metric.settings()
        self.warnings[name] = metric.warnings
