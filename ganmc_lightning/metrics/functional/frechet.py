"""Frechet distance of two normal distributions by symmetric eigenvalue problems."""

from __future__ import annotations

import torch
from torch import Tensor

CONDITION = 1e-12
"""Relative variance or pivot below which a feature counts as constant, or a covariance as singular."""


def frechet_distance(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> Tensor:
    r"""Frechet distance of two normal distributions (Heusel et al. 2017, eq. 6).

    .. math::
        \|m_1 - m_2\|^2 + \mathrm{tr}(S_1 + S_2 - 2 (S_1 S_2)^{1/2})

    Args:
        mean_1: mean :math:`m_1`, float64 (D,).
        covariance_1: :math:`S_1`, float64 (D, D), symmetric and positive semi-definite.
        mean_2: mean :math:`m_2`, float64 (D,).
        covariance_2: :math:`S_2`, float64 (D, D).

    Returns:
        non-negative float64 scalar.

    Example:
        >>> zero, one = torch.zeros(2).double(), torch.eye(2).double()
        >>> frechet_distance(zero, one, zero + 3, 4 * one).item()  # 2 * 3^2 + 2 * (1 + 4 - 2 * 2)
        20.0
    """
    means = (mean_1 - mean_2).square().sum()
    traces = covariance_1.trace() + covariance_2.trace()
    return (means + traces - 2 * trace_sqrt_product(covariance_1, covariance_2)).clamp(min=0)


def trace_sqrt_product(covariance_1: Tensor, covariance_2: Tensor) -> Tensor:
    r"""Trace of the square root of the product of two covariances, :math:`\mathrm{tr}\,(S_1 S_2)^{1/2}`.

    The eigenvalues of :math:`S_1 S_2` with :math:`S_1 = L L^\top` are those of the symmetric :math:`L^\top S_2 L`. For
    (nearly) singular covariances, which have no Cholesky factor, the trace is the sum of the singular values of
    :math:`A_1^\top A_2` with :math:`S = A A^\top` from an eigendecomposition. No matrix is squared, so rounding errors
    stay small. Features that are constant in both sets are dropped first.

    Args:
        covariance_1: :math:`S_1`, float64 (D, D), symmetric and positive semi-definite.
        covariance_2: :math:`S_2`, float64 (D, D).

    Returns:
        float64 scalar.

    Example:
        >>> round(trace_sqrt_product(4 * torch.eye(3).double(), 9 * torch.eye(3).double()).item(), 2)
        18.0
    """
    covariance_1, covariance_2 = drop_constant_features(covariance_1, covariance_2)
    if len(covariance_1) == 0:
        return covariance_1.new_zeros(())
    factor = cholesky_factor(covariance_1)
    if factor is None:
        covariance_1, covariance_2 = covariance_2, covariance_1
        factor = cholesky_factor(covariance_1)
    if factor is not None and cholesky_factor(covariance_2) is not None:
        eigenvalues: Tensor = torch.linalg.eigvalsh(factor.T @ covariance_2 @ factor)
        return eigenvalues.clamp(min=0).sqrt().sum()
    left = matrix_root(covariance_1) if factor is None else factor
    singular_values: Tensor = torch.linalg.svdvals(left.T @ matrix_root(covariance_2))
    return singular_values.sum()


def drop_constant_features(covariance_1: Tensor, covariance_2: Tensor) -> tuple[Tensor, Tensor]:
    """Drop the features that are constant in both sets, such as ReLU outputs that are always 0."""
    variances = torch.maximum(covariance_1.diagonal(), covariance_2.diagonal())
    kept = variances > CONDITION * variances.amax()
    return covariance_1[kept][:, kept], covariance_2[kept][:, kept]


def cholesky_factor(covariance: Tensor) -> Tensor | None:
    """Return the lower Cholesky factor (D, D), or None if the covariance is (nearly) singular."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed or factor.numel() == 0:
        return None
    pivots = factor.diagonal().square()
    return factor if pivots.min() > CONDITION * pivots.max() else None


def matrix_root(covariance: Tensor) -> Tensor:
    r"""Return A, float64 (D, rank), with :math:`A A^\top = S`."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values.amax() * len(values) * torch.finfo(values.dtype).eps
    root: Tensor = vectors[:, kept] * values[kept].sqrt()
    return root
