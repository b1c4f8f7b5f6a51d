"""Precision, recall, density and coverage with any feature extractor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.base import FeatureMetric, MetricSettings, constant_feature_warnings
from ganmc_lightning.metrics.extractors.base import FeatureExtractor
from ganmc_lightning.metrics.functional.nearest_neighbors import (
    BLOCK_ROWS,
    center,
    kth_neighbor_squared,
    row_blocks,
    squared_distances,
)
from ganmc_lightning.metrics.reference import ReferenceStatistics


def prdc(real: Tensor, generated: Tensor, k: int = 5, block_rows: int = BLOCK_ROWS) -> dict[str, Tensor]:
    r"""Precision, recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020, eq. 4 and 5).

    .. math::
        \mathrm{precision} &= \frac{1}{M} \sum_j 1[\exists i: g_j \in B_k(r_i)] \quad
        \mathrm{recall} = \frac{1}{N} \sum_i 1[\exists j: r_i \in B_k(g_j)] \\
        \mathrm{density} &= \frac{1}{k M} \sum_{i,j} 1[g_j \in B_k(r_i)] \quad
        \mathrm{coverage} = \frac{1}{N} \sum_i 1[\exists j: g_j \in B_k(r_i)]

    where :math:`r_i` are N real and :math:`g_j` M generated samples, and :math:`B_k(x)` is the open ball around
    :math:`x`, with the distance to its k-th nearest neighbor of the same kind as radius. Density may exceed 1.

    Args:
        real: features (N, D).
        generated: features (M, D).
        k: index of the nearest neighbor, at least 1 (default: 5).
        block_rows: rows per block of distances; affects memory and speed, not the result.

    Returns:
        ``precision``, ``recall``, ``density`` and ``coverage``, float64 scalars.

    Raises:
        ConfigurationError: a set has fewer than ``k + 1`` samples.

    Example:
        >>> real = torch.tensor([[0.0], [1.0], [2.0]])
        >>> values = prdc(real, torch.tensor([[0.5], [1.5], [9.0]]), k=1)
        >>> {name: round(value.item(), 2) for name, value in values.items()}
        {'precision': 0.67, 'recall': 1.0, 'density': 1.33, 'coverage': 1.0}
    """
    for kind, rows in (("real", real), ("generated", generated)):
        if len(rows) < k + 1:
            raise ConfigurationError(f"PRDC with k = {k}: got {len(rows)} {kind} samples, expected at least {k + 1}")
    (real_rows, generated_rows), tolerance = center(real, generated)
    real_radii = kth_neighbor_squared(real_rows, k, block_rows) - tolerance
    generated_radii = kth_neighbor_squared(generated_rows, k, block_rows) - tolerance
    balls = torch.zeros(len(generated), dtype=torch.int64, device=real.device)
    recalled = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    covered = recalled.clone()
    for block in row_blocks(len(real), block_rows):
        for other in row_blocks(len(generated), block_rows):
            distances = squared_distances(real_rows.block(block), generated_rows.block(other))
            inside = distances < real_radii[block, None]
            balls[other] += inside.sum(dim=0)
            covered[block] |= inside.any(dim=1)
            recalled[block] |= (distances < generated_radii[other]).any(dim=1)
    return {
        "precision": (balls > 0).double().mean(),
        "recall": recalled.double().mean(),
        "density": balls.double().mean() / k,
        "coverage": covered.double().mean(),
    }


class PRDC(FeatureMetric):
    """Precision, recall, density and coverage of generated samples; higher is better. See :func:`prdc`.

    As input to ``update`` the metric accepts

    - ``images``: uint8 or float images in [-1, 1] (N, C, H, W), rows (N, D), or :class:`Features`
    - ``real``: bool, whether the samples are real

    As output of ``compute`` the metric returns a dictionary of float64 scalars: ``precision``, ``recall``, ``density``
    and ``coverage``.

    Args:
        extractor: feature extractor.
        k: index of the nearest neighbor that defines the radius, at least 1 (default: 5, as in Naeem et al.;
            Kynkaanniemi et al. use 3).
        reference: precomputed statistics of the real samples.

    Raises:
        ConfigurationError: ``k`` is below 1; in ``compute``, a kind has fewer than ``k + 1`` samples.

    Example:
        >>> from ganmc_lightning.metrics import ClassifierExtractor
        >>> metric = PRDC(ClassifierExtractor(torch.nn.Linear(1, 2)), k=1)
        >>> metric.update(torch.tensor([[0.0], [1.0], [2.0]]), real=True)
        >>> metric.update(torch.tensor([[0.5], [1.5], [9.0]]), real=False)
        >>> round(metric.compute()["precision"].item(), 2)
        0.67
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
            raise ConfigurationError(f"PRDC.k: got {k}, expected at least 1")
        widths = dict.fromkeys((self.real_state, self.generated_state), extractor.num_features)
        super().__init__(extractor, widths, reference, **kwargs)
        self.k = k

    def compute(self) -> dict[str, Tensor]:
        """Return ``precision``, ``recall``, ``density`` and ``coverage``, float64 scalars."""
        real, generated = self.real_rows(), self.cat_state(self.generated_state)
        self.counts = {"real": len(real), "generated": len(generated)}
        self.warnings = constant_feature_warnings(real=real, generated=generated)
        return prdc(real, generated, self.k)

    def settings(self) -> MetricSettings:
        """Return the settings with ``k``."""
        return {**super().settings(), "k": self.k}
