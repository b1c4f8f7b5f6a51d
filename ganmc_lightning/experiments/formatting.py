"""Numbers as a reader wants them."""

from __future__ import annotations

import math

from ganmc_lightning.experiments.statistics import Estimate


def score(value: float | None) -> str:
    """Write a metric's value: four decimals for shares, two for larger scales.

    Example:
        >>> score(0.97634), score(24.318), score(float("nan"))
        ('0.9763', '24.32', 'none')
    """
    if value is None or not math.isfinite(value):
        return "none"
    return f"{value:.4f}" if abs(value) <= 1 else f"{value:.2f}"


def interval(mean: Estimate, mark_one: bool = False) -> str:
    """Write mean ± half-width, or the mean alone where there is one value; ``mark_one`` then adds "(n = 1)".

    Example:
        >>> interval(Estimate(0.97634, 0.0041, 3)), interval(Estimate(0.97634, None, 1))
        ('0.9763 ± 0.0041', '0.9763')
        >>> interval(Estimate(0.97634, None, 1), mark_one=True)
        '0.9763 (n = 1)'
    """
    if mean.ci95 is not None:
        # the same decimals on both sides, whichever scale the half-width has
        decimals = 4 if abs(mean.mean) <= 1 else 2
        return f"{mean.mean:.{decimals}f} ± {mean.ci95:.{decimals}f}"
    return score(mean.mean) + (" (n = 1)" if mark_one and mean.n == 1 else "")


def printed(number: float | None) -> str:
    """Write a paper's number with the three decimals papers give a share; a dash where there is none.

    Example:
        >>> printed(0.71), printed(0.9379), printed(24.4), printed(None)
        ('0.710', '0.9379', '24.4', '-')
    """
    if number is None:
        return "-"
    return max(f"{number:.3f}", f"{number:g}", key=len) if abs(number) <= 1 else f"{number:g}"


def count(number: int | None) -> str:
    """Write a count: grouped digits, in millions above one million, a dash for an unknown one.

    Example:
        >>> count(2500), count(1_212_040), count(6_997_000_000), count(None)
        ('2,500', '1.21 M', '7.00 G', '-')
    """
    if number is None:
        return "-"
    if number < 1_000_000:
        return f"{number:,}"
    return f"{number / 1e6:.2f} M" if number < 1_000_000_000 else f"{number / 1e9:.2f} G"


def size(bytes_: float) -> str:
    """Write a number of bytes in decimal units, three digits of it.

    Example:
        >>> size(181_000), size(97_400_000), size(512)
        ('181 kB', '97.4 MB', '512 B')
    """
    if bytes_ < 1000:
        return f"{bytes_:.0f} B"
    value, unit = (bytes_ / 1e6, "MB") if bytes_ >= 1e6 else (bytes_ / 1e3, "kB")
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def ratio(number: float) -> str:
    """Write how many times one thing is another: two digits or all before the point.

    Example:
        >>> ratio(0.4658), ratio(9.31), ratio(1758.8)
        ('0.47', '9.3', '1,759')
    """
    return f"{number:,.{2 if number < 1 else 1 if number < 10 else 0}f}"


def duration(seconds: float) -> str:
    """Write a time in its two largest units.

    Example:
        >>> duration(8.4), duration(200), duration(7500)
        ('8 s', '3 min 20 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
