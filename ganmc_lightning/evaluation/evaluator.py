"""All scores of sample sets, the real side of each computed once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ganmc_lightning.evaluation.feature_metrics import (
    COMPARE_WITH_REAL,
    FEATURE_METRICS,
    KEPT,
    feature_metrics,
    shuffle_then_truncate,
    values_of,
)
from ganmc_lightning.evaluation.real_data import RealData
from ganmc_lightning.evaluation.samples import SampleSet
from ganmc_lightning.evaluation.selection import held_out_split
from ganmc_lightning.evaluation.students import FORMS, Students, compression_scores
from ganmc_lightning.metrics import (
    FeatureExtractor,
    Features,
    LaplacianVariance,
    ReferenceStatistics,
    features_of,
    reference_statistics,
)
from ganmc_lightning.metrics.reported import Protocol

BATCH_SIZE = 500

Track = Callable[[Iterable[Any]], Iterable[Any]]
Progress = Callable[[str], Track]
"""Given what is being done, wraps the iteration over its parts, as a progress bar does."""


def no_progress(label: str) -> Track:
    """Show nothing."""
    return iter


@dataclass(frozen=True)
class EvaluationResult:
    """What came out for one sample set.

    Attributes:
        name: of the sample set.
        origin: where its samples come from.
        n: number of samples.
        values: numbers by name.
        protocols: for each metric, what its numbers must be printed with.
        skipped: metric -> why it was not computed.
        samples: the samples, on the CPU.
        features: what the extractor says of them; None without an extractor.
    """

    name: str
    origin: str
    n: int
    values: dict[str, float]
    protocols: dict[str, Protocol]
    skipped: dict[str, str]
    samples: Tensor = field(repr=False)
    features: Features | None = field(repr=False)


class GeneratorEvaluator:
    """Scores sample sets against one data set.

    Args:
        data: the real data.
        metrics: some of :data:`~ganmc_lightning.evaluation.METRICS`.
        skipped: metrics that cannot be computed for any set, and why.
        n: samples of each set.
        seed: of their noise or choice.
        real_part: part of the real data that distances compare with.
        extractor: for the metrics of features.
        reference: generator whose sharpness is 1; the real part without it.
        students: for the Compression Score.
        device: where networks run.
        progress: shows what is being done.
    """

    def __init__(
        self,
        data: RealData,
        metrics: Sequence[str],
        skipped: dict[str, str],
        n: int,
        seed: int,
        real_part: str = "test",
        extractor: FeatureExtractor | None = None,
        reference: SampleSet | None = None,
        students: Students | None = None,
        device: torch.device | str = "cpu",
        progress: Progress = no_progress,
    ) -> None:
        self.data = data
        self.metrics = tuple(metrics)
        self.skipped = skipped
        self.n = n
        self.seed = seed
        self.real_part = real_part
        self.extractor = extractor
        self.reference = reference
        self.students = students
        self.device = device
        self.progress = progress

    @property
    def held_out_split(self) -> str:
        """Part that neither generator nor teacher was trained on."""
        return held_out_split(self.real_part)

    def score(self, samples: SampleSet) -> EvaluationResult:
        """Compute all metrics of one sample set.

        Raises:
            ConfigurationError: its samples cannot be scored: too few, not finite, out of range.
        """
        skipped = {**self.skipped, **self._inapplicable_metrics(samples)}
        names = [name for name in self.metrics if name not in skipped]
        drawn = samples.draw(self.n, self.seed)
        values: dict[str, float] = {}
        protocols: dict[str, Protocol] = {}
        features = None
        if self.extractor is not None:
            features = self._features(drawn, f"features of {samples.name}")
            self._score_features(names, features, samples.name, values, protocols)
        if "vol" in names:
            vol = copy.deepcopy(self._sharpness)
            for part in drawn.split(BATCH_SIZE):
                vol.update(part)
            values |= {key: value.item() for key, value in vol.compute().items()}
            origin = f"real:{self.real_part}" if self.reference is None else self.reference.origin
            protocols["vol"] = {**vol.protocol(), "reference": origin}
        if "compression_score" in names and self.students is not None:
            candidate = samples.draw(len(self.students.real), self.seed)
            for form in self.progress(f"students of {samples.name}")(FORMS):
                value = self.students.score(candidate, form)
                values |= compression_scores(form, value)
                flag = "students of the real samples stay at chance" if value.mean.isnan() else ""
                protocols[f"compression_score_{form}"] = {
                    **self.students.protocol(form, len(candidate)),
                    "flags": flag,
                }
        return EvaluationResult(samples.name, samples.origin, len(drawn), values, protocols, skipped, drawn, features)

    def _score_features(
        self,
        names: Sequence[str],
        features: Features,
        of: str,
        values: dict[str, float],
        protocols: dict[str, Protocol],
    ) -> None:
        assert self.extractor is not None
        compare, copies = any(name in COMPARE_WITH_REAL for name in names), "near_duplicates" in names
        metrics = feature_metrics(
            [name for name in names if name in FEATURE_METRICS],
            self.extractor,
            len(features.features),
            real=self._real if compare else None,
            training=self.training if copies else None,
            held_out=self.held_out if copies else None,
        )
        shared = self.extractor.protocol()
        for name, metric in self.progress(f"scores of {of}")(list(metrics.items())):
            metric.to(self.device)
            metric.update(features, real=False)
            values |= values_of(metric, name)
            protocols[name] = {key: value for key, value in metric.protocol().items() if key not in shared}

    def _inapplicable_metrics(self, samples: SampleSet) -> dict[str, str]:
        """Metrics that would compare real samples with themselves."""
        reasons: dict[str, str] = {}
        if samples.real_part == self.real_part:
            reasons |= dict.fromkeys(COMPARE_WITH_REAL, "the samples are what others are compared with")
        if samples.real_part in ("train", self.held_out_split):
            reasons["near_duplicates"] = "the samples are what others are compared with"
        return {name: reason for name, reason in reasons.items() if name in self.metrics}

    # -- the real side, once -----------------------------------------------------------------------------------

    @cached_property
    def _real(self) -> ReferenceStatistics:
        return self._statistics(self.real_part, KEPT)

    @cached_property
    def training(self) -> ReferenceStatistics:
        """Statistics of the training samples, with all features."""
        return self._statistics("train", len(self.data.samples("train")[1]))

    @cached_property
    def held_out(self) -> Features:
        """Features of the held-out samples."""
        part = self.held_out_split
        return self._features(self.data.samples(part)[0], f"features of real:{part}")

    @cached_property
    def _sharpness(self) -> LaplacianVariance:
        """Knows the sharpness of the reference; copies of it are given samples."""
        metric = LaplacianVariance()
        real = self.data.samples(self.real_part)[0]
        for part in (real if self.reference is None else self.reference.draw(self.n, self.seed)).split(BATCH_SIZE):
            metric.update(part, real=True)
        return metric

    def _statistics(self, part: str, keep: int) -> ReferenceStatistics:
        assert self.extractor is not None
        samples = self.data.samples(part)[0]
        return reference_statistics(
            shuffle_then_truncate(samples, keep).to(self.device),
            self.extractor,
            self.data.name,
            part,
            self.data.cache(),
            keep=keep,
            batch_size=BATCH_SIZE,
            progress=self.progress(f"features of real:{part}"),
        )

    def _features(self, samples: Tensor, label: str) -> Features:
        assert self.extractor is not None
        return features_of(samples.to(self.device), self.extractor, BATCH_SIZE, self.progress(label))
