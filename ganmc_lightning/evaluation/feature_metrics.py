"""The metrics that compare features, each with what it needs of the real samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from ganmc_lightning.metrics import (
    PRDC,
    FeatureExtractor,
    Features,
    FrechetInceptionDistance,
    InceptionScore,
    KernelInceptionDistance,
    NearDuplicates,
    ReferenceStatistics,
)
from ganmc_lightning.metrics.feature_metric import FeatureMetric

FEATURE_METRICS = ("is", "fid", "kid", "prdc", "near_duplicates")
COMPARE_WITH_REAL = ("fid", "kid", "prdc")
KEPT = 10_000
"""Real feature vectors that KID and PRDC look at; FID takes the moments of all, near copies compares with all."""
SPLITS = 10
SUBSET_SIZE = 1000
SHUFFLE_SEED = 0


def feature_metrics(
    names: Iterable[str],
    extractor: FeatureExtractor,
    n: int,
    real: ReferenceStatistics | None = None,
    training: ReferenceStatistics | None = None,
    held_out: Features | None = None,
) -> dict[str, FeatureMetric]:
    """Make metrics that wait for generated samples alone, all of them in this process.

    They gather nothing from other processes: while a generator trains on several, the first alone computes scores.

    Args:
        names: some of :data:`FEATURE_METRICS`.
        extractor: turns samples into features.
        n: number of samples to come; small sets get fewer splits and smaller subsets.
        real: what ``fid``, ``kid`` and ``prdc`` compare with.
        training: what the generator was trained on, with all features, for ``near_duplicates``.
        held_out: real samples it never saw, for ``near_duplicates``.
    """
    made: dict[str, FeatureMetric] = {}
    for name in names:
        if name == "is":
            made[name] = InceptionScore(extractor, splits=max(1, min(SPLITS, n // 2)), sync_on_compute=False)
        elif name == "near_duplicates":
            assert training is not None
            assert held_out is not None
            made[name] = NearDuplicates(extractor, held_out, reference=training, sync_on_compute=False)
        else:
            assert real is not None
            some = replace(real, features=real.features[:KEPT])
            if name == "fid":
                made[name] = FrechetInceptionDistance(extractor, reference=some, sync_on_compute=False)
            elif name == "kid":
                size = min(SUBSET_SIZE, n, len(some.features))
                made[name] = KernelInceptionDistance(extractor, subset_size=size, reference=some, sync_on_compute=False)
            else:
                made[name] = PRDC(extractor, reference=some, sync_on_compute=False)
    return made


def shuffle_then_truncate(samples: Tensor, keep: int) -> Tensor:
    """Samples such that the first ``keep`` are a fair choice, whatever order the data set has."""
    if len(samples) <= keep:
        return samples
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(SHUFFLE_SEED))
    return samples[order.to(samples.device)]


def values_of(metric: FeatureMetric, name: str) -> dict[str, float]:
    """Compute a metric: its numbers by their names."""
    computed: Tensor | dict[str, Tensor] = metric.compute()
    if isinstance(computed, dict):
        return {key: value.item() for key, value in computed.items()}
    return {name: computed.item()}
