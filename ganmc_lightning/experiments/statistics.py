"""Means over seeds and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

# Two-sided 95 % quantiles of Student's t for 1 to 10 degrees of freedom.
_T_975 = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139)
_Z_975 = 1.959963985


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: NaN when a value is.
        ci95: half-width of the 95 % interval of the mean; None where there is no such interval (one
            value, or one that is not finite).
        n: number of values.
    """

    mean: float
    ci95: float | None
    n: int


def student_t_975(degrees: int) -> float:
    """0.975 quantile of Student's t distribution, exact to five digits.

    Above 10 degrees of freedom by the expansion in powers of 1/degrees (Abramowitz & Stegun 26.7.5).

    Example:
        >>> round(student_t_975(2), 3)
        4.303
    """
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z, v = _Z_975, float(degrees)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and half-width of its 95 % Student-t interval over independent runs.

    A run that diverged (NaN) makes the mean NaN: leaving it out would flatter the method.

    Example:
        >>> estimate([0.9, 0.9]).ci95
        0.0
        >>> print(estimate([0.9]).ci95)
        None
    """
    n = len(values)
    if not n or not all(math.isfinite(value) for value in values):
        return Estimate(math.nan, None, n)
    if n == 1:
        return Estimate(values[0], None, n)
    return Estimate(fmean(values), student_t_975(n - 1) * stdev(values) / math.sqrt(n), n)
