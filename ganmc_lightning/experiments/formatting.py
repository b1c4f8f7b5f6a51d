"""Number formatting for reports."""

from __future__ import annotations

import math

from ganmc_lightning.experiments.statistics import MeanCI


def format_metric(value: float | None) -> str:
    """Format a metric: four decimals up to 1, else two; "none" for a value that is not finite.

    Example:
        >>> format_metric(0.97634), format_metric(24.318), format_metric(float("nan"))
        ('0.9763', '24.32', 'none')
    """
    if value is None or not math.isfinite(value):
        return "none"
    return f"{value:.4f}" if abs(value) <= 1 else f"{value:.2f}"


def format_ci(mean: MeanCI, mark_one: bool = False) -> str:
    """Format mean ± half-width, or only the mean of one value, followed by "(n = 1)" if ``mark_one`` is set.

    Example:
        >>> format_ci(MeanCI(0.97634, 0.0041, 3)), format_ci(MeanCI(0.97634, None, 1))
        ('0.9763 ± 0.0041', '0.9763')
        >>> format_ci(MeanCI(0.97634, None, 1), mark_one=True)
        '0.9763 (n = 1)'
    """
    if mean.ci95 is not None:
        # the half-width has as many decimals as the mean, even if its scale is smaller
        decimals = 4 if abs(mean.mean) <= 1 else 2
        return f"{mean.mean:.{decimals}f} ± {mean.ci95:.{decimals}f}"
    return format_metric(mean.mean) + (" (n = 1)" if mark_one and mean.n == 1 else "")


def format_paper(number: float | None) -> str:
    """Format a value from a paper: at least three decimals up to 1; a dash for None.

    Example:
        >>> format_paper(0.71), format_paper(0.9379), format_paper(24.4), format_paper(None)
        ('0.710', '0.9379', '24.4', '-')
    """
    if number is None:
        return "-"
    return max(f"{number:.3f}", f"{number:g}", key=len) if abs(number) <= 1 else f"{number:g}"


def format_count(number: int | None) -> str:
    """Format a count with grouped digits, or in M or G if it is a million or more; a dash for None.

    Example:
        >>> format_count(2500), format_count(1_212_040), format_count(6_997_000_000), format_count(None)
        ('2,500', '1.21 M', '7.00 G', '-')
    """
    if number is None:
        return "-"
    if number < 1_000_000:
        return f"{number:,}"
    return f"{number / 1e6:.2f} M" if number < 1_000_000_000 else f"{number / 1e9:.2f} G"


def format_bytes(bytes_: float) -> str:
    """Format a number of bytes in decimal units with three digits.

    Example:
        >>> format_bytes(181_000), format_bytes(97_400_000), format_bytes(512)
        ('181 kB', '97.4 MB', '512 B')
    """
    if bytes_ < 1000:
        return f"{bytes_:.0f} B"
    value, unit = (bytes_ / 1e6, "MB") if bytes_ >= 1e6 else (bytes_ / 1e3, "kB")
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"


def format_ratio(number: float) -> str:
    """Format a ratio with two digits, or with all digits before the decimal point.

    Example:
        >>> format_ratio(0.4658), format_ratio(9.31), format_ratio(1758.8)
        ('0.47', '9.3', '1,759')
    """
    return f"{number:,.{2 if number < 1 else 1 if number < 10 else 0}f}"


def format_signed(value: float) -> str:
    """Format a difference with its sign and four decimals; "none" for a value that is not finite.

    Example:
        >>> format_signed(0.01231), format_signed(float("nan"))
        ('+0.0123', 'none')
    """
    return f"{value:+.4f}" if math.isfinite(value) else "none"


def format_p(p: float) -> str:
    """Format a p-value; "none" for NaN.

    Example:
        >>> format_p(0.0313), format_p(0.00002), format_p(float("nan"))
        ('p = 0.031', 'p < 0.001', 'p = none')
    """
    return "p < 0.001" if p < 0.001 else f"p = {'none' if math.isnan(p) else f'{p:.3f}'}"


def format_duration(seconds: float) -> str:
    """Format a time in its two largest units.

    Example:
        >>> format_duration(8.4), format_duration(200), format_duration(7500)
        ('8 s', '3 min 20 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
