"""The Frechet distance of two normal distributions, by symmetric eigenvalue problems."""

from __future__ import annotations

import torch
from torch import Tensor

CONDITION = 1e-12


def frechet_distance(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> Tensor:
    """``|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))`` (Heusel et al. 2017, equation 6).

    Args:
        mean_1: float64 (D,).
        covariance_1: float64 (D, D), symmetric and positive semi-definite.
        mean_2: float64 (D,).
        covariance_2: float64 (D, D).

    Returns:
        float64 scalar, not negative.

    Example:
        >>> zero, one = torch.zeros(2).double(), torch.eye(2).double()
        >>> frechet_distance(zero, one, zero + 3, 4 * one).item()  # 2 * 3^2 + 2 * (1 + 4 - 2 * 2)
        20.0
    """
    means = (mean_1 - mean_2).square().sum()
    traces = covariance_1.trace() + covariance_2.trace()
    return (means + traces - 2 * trace_sqrt_product(covariance_1, covariance_2)).clamp(min=0)


def trace_sqrt_product(covariance_1: Tensor, covariance_2: Tensor) -> Tensor:
    """Trace of the square root of a product of covariances, ``Tr (S1 S2)^(1/2)``.

    The eigenvalues of ``S1 S2`` with ``S1 = L L'`` are those of the symmetric ``L' S2 L``. Where no Cholesky
    factor exists or its pivots span too much, for singular covariances, the trace is the sum of the singular values
    of ``A1' A2`` with ``S = A A'`` from an eigendecomposition: it squares nothing, so that rounding stays small.
    Features that vary in neither set add nothing and are left out beforehand.

    Args:
        covariance_1: float64 (D, D), symmetric and positive semi-definite.
        covariance_2: float64 (D, D).

    Returns:
        float64 scalar.
    """
    covariance_1, covariance_2 = varying(covariance_1, covariance_2)
    if len(covariance_1) == 0:
        return covariance_1.new_zeros(())
    factor = cholesky_factor(covariance_1)
    if factor is None:
        covariance_1, covariance_2 = covariance_2, covariance_1
        factor = cholesky_factor(covariance_1)
    if factor is not None and cholesky_factor(covariance_2) is not None:
        eigenvalues: Tensor = torch.linalg.eigvalsh(factor.T @ covariance_2 @ factor)
        return eigenvalues.clamp(min=0).sqrt().sum()
    left = _root(covariance_1) if factor is None else factor
    singular_values: Tensor = torch.linalg.svdvals(left.T @ _root(covariance_2))
    return singular_values.sum()


def varying(covariance_1: Tensor, covariance_2: Tensor) -> tuple[Tensor, Tensor]:
    """Both covariances without the features that vary in neither, such as ReLUs that never fire."""
    variances = torch.maximum(covariance_1.diagonal(), covariance_2.diagonal())
    kept = variances > CONDITION * variances.amax()
    return covariance_1[kept][:, kept], covariance_2[kept][:, kept]


def cholesky_factor(covariance: Tensor) -> Tensor | None:
    """Lower Cholesky factor (D, D); None where the covariance is singular or nearly so."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed or factor.numel() == 0:
        return None
    pivots = factor.diagonal().square()
    return factor if pivots.min() > CONDITION * pivots.max() else None


def _root(covariance: Tensor) -> Tensor:
    """(D, rank) with ``A A' = S``."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values.amax() * len(values) * torch.finfo(values.dtype).eps
    root: Tensor = vectors[:, kept] * values[kept].sqrt()
    return root
