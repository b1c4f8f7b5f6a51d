"""Mean and confidence interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class MeanCI:
    """Mean over seeds with its confidence interval.

    Attributes:
        mean: mean of the values; NaN if a value is NaN.
        ci95: half-width of the 95 % interval of the mean; None for one value or a value that is not finite.
        n: number of values.
    """

    mean: float
    ci95: float | None
    n: int


def mean_ci(values: Sequence[float]) -> MeanCI:
    """Compute the mean of independent runs and the half-width of its 95 % Student-t interval.

    With a diverged run (NaN) the mean is NaN, because a mean without this run would overestimate the method.

    Example:
        >>> result = mean_ci([0.96, 0.97, 0.98])
        >>> round(result.mean, 4), round(result.ci95, 4), result.n
        (0.97, 0.0248, 3)
        >>> mean_ci([0.9])
        MeanCI(mean=0.9, ci95=None, n=1)
    """
    n = len(values)
    if not n or not all(math.isfinite(value) for value in values):
        return MeanCI(math.nan, None, n)
    if n == 1:
        return MeanCI(values[0], None, n)
    from scipy.special import stdtrit  # imported here: takes 0.4 s

    return MeanCI(fmean(values), float(stdtrit(n - 1, 0.975)) * stdev(values) / math.sqrt(n), n)
