"""Precision, recall, density and coverage of generated samples among real ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.feature_metric import FeatureMetric, constant_feature_warnings
from ganmc_lightning.metrics.functional.nearest_neighbors import (
    CHUNK,
    centered,
    kth_neighbor_squared,
    places,
    squared_distances,
)
from ganmc_lightning.metrics.reference import ReferenceStatistics
from ganmc_lightning.metrics.reported import Protocol


def prdc(real: Tensor, generated: Tensor, k: int = 5, chunk: int = CHUNK) -> dict[str, Tensor]:
    """Precision, recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020, equations 4 and 5).

    The ball of a sample reaches to its ``k``-th nearest neighbor among its own kind; a sample on its border is
    outside. Precision: share of generated samples in the ball of a real one. Recall: share of real samples in the
    ball of a generated one. Density: real balls a generated sample lies in, on average, divided by ``k``; may exceed
    1. Coverage: share of real balls that hold a generated sample.

    Args:
        real: features (N, D).
        generated: features (M, D).
        k: which neighbor.
        chunk: rows of a block; it changes memory and speed, not the result.

    Returns:
        ``precision``, ``recall``, ``density`` and ``coverage``, float64 scalars.

    Raises:
        ConfigurationError: a set has fewer than ``k + 1`` samples.
    """
    for kind, rows in (("real", real), ("generated", generated)):
        if len(rows) < k + 1:
            raise ConfigurationError(f"PRDC with k = {k} needs at least {k + 1} {kind} samples, got {len(rows)}")
    (real_points, generated_points), slack = centered(real, generated)
    real_radii = kth_neighbor_squared(real_points, k, chunk) - slack
    generated_radii = kth_neighbor_squared(generated_points, k, chunk) - slack
    balls = torch.zeros(len(generated), dtype=torch.int64, device=real.device)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = recalled.clone()
    for place in places(len(real), chunk):
        for other in places(len(generated), chunk):
            block = squared_distances(real_points.part(place), generated_points.part(other))
            inside = block < real_radii[place, None]
            balls[other] += inside.sum(dim=0)
            covered[place] |= inside.any(dim=1)
            recalled[place] |= (block < generated_radii[other]).any(dim=1)
    return {
        "precision": (balls > 0).double().mean(),
        "recall": recalled.double().mean(),
        "density": balls.double().mean() / k,
        "coverage": covered.double().mean(),
    }


class PRDC(FeatureMetric):
    """:func:`prdc` as a metric: how good the samples are, and how much of the real ones they reach.

    Args:
        extractor: turns samples into features.
        k: which neighbor bounds a ball; 5 as Naeem et al. take it (Kynkaanniemi et al. take 3).
        reference: statistics of the real samples, where they are known beforehand.

    Raises:
        ConfigurationError: ``k`` is not positive.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    real_features: list[Tensor]
    fake_features: list[Tensor]

    def __init__(
        self, extractor: FeatureExtractor, k: int = 5, reference: ReferenceStatistics | None = None, **kwargs: Any
    ) -> None:
        if k < 1:
            raise ConfigurationError(f"PRDC.k must be at least 1, got {k}")
        # The names are those of the Kernel Inception Distance: in one collection the two keep one copy.
        widths = dict.fromkeys(("real_features", "fake_features"), extractor.num_features)
        super().__init__(extractor, widths, reference, **kwargs)
        self.k = k

    def update(self, images: Tensor | Features, real: bool) -> None:
        """Add samples.

        Args:
            images: uint8 or float in [-1, 1] (N, C, H, W), rows (N, D), or their features.
            real: whether they are real or generated.

        Raises:
            ConfigurationError: samples the extractor does not take, or real ones beside a ``reference``.
        """
        (self.real_features if real else self.fake_features).append(self.features_of(images, real).features)

    def compute(self) -> dict[str, Tensor]:
        """Return ``precision``, ``recall``, ``density`` and ``coverage``, float64 scalars.

        Raises:
            ConfigurationError: a kind has fewer than ``k + 1`` samples.
        """
        real, generated = self.real_rows("real_features"), self.gathered("fake_features")
        self.counts = {"real": len(real), "generated": len(generated)}
        self.flags = constant_feature_warnings(real=real, generated=generated)
        return prdc(real, generated, self.k)

    def settings(self) -> Protocol:
        """Which neighbor."""
        return {"k": self.k}
