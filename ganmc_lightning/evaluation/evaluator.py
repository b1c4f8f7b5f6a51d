"""Evaluate generated samples against real ones; used by ``ganmc evaluate`` and by the callbacks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec, SupportsDataSpec
from ganmc_lightning.evaluation.result import EvaluationResult
from ganmc_lightning.evaluation.samples import SampleSet
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import (
    PRDC,
    FeatureExtractor,
    Features,
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    LaplacianVariance,
    NearDuplicates,
    ReferenceStatistics,
    compute_reference_statistics,
    extract_features,
)
from ganmc_lightning.metrics.base import FeatureMetric, SampleMetric
from ganmc_lightning.metrics.reference import Track

FEATURE_METRICS = ("inception_score", "fid", "kid", "prdc", "near_duplicates")
METRICS = (*FEATURE_METRICS, "laplacian_variance", "compression_score")
REFERENCE_METRICS = ("fid", "kid", "prdc")
"""Metrics that compare with the real split."""
BATCH_SIZE = 500
MAX_REFERENCE_FEATURES = 10_000
"""Number of real samples for KID and PRDC; FID uses the moments of all, near duplicates all training samples."""
MAX_SPLITS = 10
MAX_SUBSET_SIZE = 1000
STATISTICS = "statistics"
SELF_COMPARISON = "the samples are the reference of this metric"
STUDENT_TEST = "students are tested on these samples"

ProgressFactory = Callable[[str], Track]
"""Function from a description to a progress bar."""


def no_progress(description: str) -> Track:
    """Return a function that displays no progress."""
    return iter


class GeneratorEvaluator:
    """Compute metrics of sample sets against one data set; statistics of the real data are computed once.

    If the data module has a writable ``root`` folder, the statistics are cached there across runs.

    Args:
        data: data module of the real data, after setup.
        metrics: names from :data:`METRICS`; None selects all that can be computed.
        extractor: feature extractor.
        compression: Compression Scores by column name, see :func:`make_compression_scores`.
        num_samples: number of samples per set, at least 2.
        seed: random seed for latents, labels and subsets.
        real_split: split of the real data to compare with.
        sharpness_reference: reference samples of the Laplacian variance ratio (default: the real split).
        device: device of the networks.
        progress: function that creates progress bars.

    Raises:
        ConfigurationError: a metric is unknown or cannot be computed.
    """

    def __init__(
        self,
        data: SupportsDataSpec,
        *,
        metrics: Sequence[str] | None = None,
        extractor: FeatureExtractor | None = None,
        compression: Mapping[str, SampleMetric] | None = None,
        num_samples: int = 10_000,
        seed: int = 0,
        real_split: str = "test",
        sharpness_reference: SampleSet | None = None,
        device: torch.device | str = "cpu",
        progress: ProgressFactory = no_progress,
    ) -> None:
        self.metrics, self.skipped = select_metrics(
            metrics, data.spec, has_extractor=extractor is not None, has_compression=bool(compression)
        )
        self.data = data
        self.extractor = extractor
        self.compression = compression or {}
        self.num_samples = num_samples
        self.seed = seed
        self.real_split = real_split
        self.sharpness_reference = sharpness_reference
        self.device = device
        self.progress = progress

    @property
    def held_out_split(self) -> str:
        """Split used to train neither generator nor teacher."""
        return held_out_split(self.real_split)

    def evaluate(self, samples: SampleSet) -> EvaluationResult:
        """Compute all metrics of one sample set.

        Raises:
            ConfigurationError: the samples are too few, not finite or out of range.
        """
        skipped = {**self.skipped, **self._self_comparisons(samples.real_split)}
        drawn = samples.sample(self.num_samples, self.seed)
        features = None if self.extractor is None else self._extract(drawn, f"features of {samples.name}")
        result = EvaluationResult(samples.name, samples.origin, samples.real_split, drawn, features, skipped)
        names = [name for name in self.metrics if name not in skipped]
        draws = {self.num_samples: drawn}  # Compression Scores require the number of the real samples
        for name in self.progress(f"metrics of {samples.name}")(names):
            if name in FEATURE_METRICS:
                self._add_feature_metric(name, result)
            else:
                metrics = self.compression if name == "compression_score" else {name: self._sharpness}
                for key, metric in metrics.items():
                    n = metric.num_generated(self.num_samples)
                    if n not in draws:
                        draws[n] = samples.sample(n, self.seed)
                    self._add_sample_metric(key, metric, draws[n], result)
        return result

    def _add_feature_metric(self, name: str, result: EvaluationResult) -> None:
        assert self.extractor is not None
        assert result.features is not None
        metric = self._make_metric(name, self.extractor, len(result.samples)).to(self.device)
        metric.update(result.features, real=False)
        result.add(name, metric)

    def _make_metric(self, name: str, extractor: FeatureExtractor, n: int) -> FeatureMetric:
        """Create a metric without synchronization, because callbacks evaluate on rank 0 while the other ranks wait."""
        if name == "inception_score":
            return InceptionScore(extractor, splits=max(1, min(MAX_SPLITS, n // 2)), sync_on_compute=False)
        if name == "fid":
            return FrechetInceptionDistance(extractor, reference=self.reference, sync_on_compute=False)
        if name == "kid":
            size = min(MAX_SUBSET_SIZE, n, len(self.reference.features))
            return KernelInceptionDistance(extractor, subset_size=size, reference=self.reference, sync_on_compute=False)
        if name == "prdc":
            return PRDC(extractor, reference=self.reference, sync_on_compute=False)
        return NearDuplicates(extractor, self.held_out, reference=self.training, sync_on_compute=False)

    def _add_sample_metric(self, name: str, metric: SampleMetric, samples: Tensor, result: EvaluationResult) -> None:
        metric.reset_generated()
        for batch in samples.split(BATCH_SIZE):
            metric.update(batch.to(metric.device), real=False)
        result.add(name, metric)

    def _self_comparisons(self, real_split: str) -> dict[str, str]:
        """Return the reason for each metric that would compare real samples with themselves."""
        reasons = {"near_duplicates": SELF_COMPARISON} if real_split in ("train", self.held_out_split) else {}
        if real_split == self.real_split:
            reasons |= dict.fromkeys(REFERENCE_METRICS, SELF_COMPARISON)
        if real_split == self.held_out_split:
            reasons["compression_score"] = STUDENT_TEST
        return {name: reasons[name] for name in self.metrics if name in reasons}

    # -- statistics of the real data -------------------------------------------------------------------------------

    @cached_property
    def reference(self) -> ReferenceStatistics:
        """Statistics of the real split."""
        return self._statistics(self.real_split, MAX_REFERENCE_FEATURES)

    @cached_property
    def training(self) -> ReferenceStatistics:
        """Statistics of the training samples, with the features of all samples."""
        return self._statistics("train", len(self.data.samples("train")[1]))

    @cached_property
    def held_out(self) -> Features:
        """Features of the held-out samples."""
        split = self.held_out_split
        return self._extract(self.data.samples(split)[0], f"features of real:{split}")

    @cached_property
    def _sharpness(self) -> LaplacianVariance:
        """Metric that contains the reference samples."""
        metric = LaplacianVariance(sync_on_compute=False)
        if self.sharpness_reference is None:
            reference = self.data.samples(self.real_split)[0]
        else:
            reference = self.sharpness_reference.sample(self.num_samples, self.seed)
        for batch in reference.split(BATCH_SIZE):
            metric.update(batch, real=True)
        return metric

    def _statistics(self, split: str, keep: int) -> ReferenceStatistics:
        assert self.extractor is not None
        return compute_reference_statistics(
            self.data.samples(split)[0].to(self.device),
            self.extractor,
            cache=statistics_folder(self.data),
            keep=keep,
            batch_size=BATCH_SIZE,
            progress=self.progress(f"features of real:{split}"),
        )

    def _extract(self, samples: Tensor, description: str) -> Features:
        assert self.extractor is not None
        return extract_features(samples.to(self.device), self.extractor, BATCH_SIZE, self.progress(description))


def select_metrics(
    requested: Sequence[str] | None, spec: DataSpec, *, has_extractor: bool, has_compression: bool
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Select the requested metrics, or all that can be computed.

    Args:
        requested: names from :data:`METRICS`; None selects all that can be computed.
        spec: shape of the samples.
        has_extractor: whether a feature extractor is available.
        has_compression: whether teacher and student are available.

    Returns:
        The metrics, and the reason for each metric that is skipped.

    Raises:
        ConfigurationError: a requested metric is unknown or cannot be computed, or no metric is left.

    Example:
        >>> spec = DataSpec((1, 8, 8), 10)
        >>> select_metrics(["fid", "kid"], spec, has_extractor=True, has_compression=False)
        (('fid', 'kid'), {})
    """
    missing: dict[str, str] = {}
    if not has_extractor:
        missing |= dict.fromkeys(FEATURE_METRICS, "requires an extractor")
    if not (len(spec.sample_shape) == 3 and spec.sample_shape[0] in (1, 3)):
        missing["laplacian_variance"] = "requires images with 1 or 3 channels"
    if not has_compression:
        missing["compression_score"] = "requires a teacher and a student"
    for name in requested or ():
        if name not in METRICS:
            raise ConfigurationError(f"metrics: got '{name}', expected names from {', '.join(METRICS)}")
        if name in missing:
            raise ConfigurationError(f"metrics: {name} {missing[name]}")
    skipped = missing if requested is None else {}
    metrics = tuple(name for name in (METRICS if requested is None else requested) if name not in skipped)
    if not metrics:
        reasons = ", ".join(f"{name} {reason}" for name, reason in skipped.items())
        raise ConfigurationError(f"no metric can be computed: {reasons or 'metrics is empty'}")
    return metrics, skipped


def held_out_split(real_split: str) -> str:
    """Return the split used to train neither generator nor teacher: ``val`` during model selection, else ``test``."""
    return "val" if real_split == "val" else "test"


def statistics_folder(data: SupportsDataSpec) -> Path | None:
    """Return the folder of cached statistics below the data root; None without a writable data root."""
    root = getattr(data, "root", None)
    if root is None:
        return None
    folder = Path(root) / STATISTICS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None
