"""Numbers of a card as text."""

from __future__ import annotations

from collections.abc import Sequence

from ganmc_lightning.cards.bootstrap import Interval


def format_size(count: float) -> str:
    """Format a size.

    Example:
        >>> format_size(512), format_size(26_400), format_size(97_122_820)
        ('512 B', '26.4 kB', '97.1 MB')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def format_large(count: int) -> str:
    """Format a count, in thousands, millions, billions or trillions with three digits.

    Example:
        >>> format_large(980), format_large(12_340), format_large(999_600), format_large(1_820_000_000)
        ('980', '12.3 k', '1 M', '1.82 G')
    """
    return _three_digits(count, (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))) if count >= 1000 else str(count)


def format_seconds(seconds: float) -> str:
    """Format a duration with three digits.

    Example:
        >>> format_seconds(0.0123), format_seconds(2.5e-6), format_seconds(1.5)
        ('12.3 ms', '2.5 µs', '1.5 s')
    """
    return _three_digits(seconds, (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)))


def _three_digits(value: float, units: Sequence[tuple[str, float]]) -> str:
    """Format a value with three digits in the largest unit in which it is at least 1, or in the last unit.

    The value is rounded first: 999.6 thousand are 1 million.
    """
    rounded = float(f"{value:.3g}")
    unit, size = next(((unit, size) for unit, size in units if rounded >= size), units[-1])
    scaled = rounded / size
    return f"{scaled:.0f} {unit}" if scaled >= 1000 else f"{scaled:.3g} {unit}"


def format_interval(interval: Interval) -> str:
    """Format an estimate with its interval.

    Example:
        >>> format_interval(Interval(0.93123, 0.925, 0.937))
        '0.9312 (0.9250 to 0.9370)'
    """
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def format_difference(interval: Interval) -> str:
    """Format a difference with its sign and interval.

    Example:
        >>> format_difference(Interval(-0.001, -0.004, 0.002))
        '-0.0010 (-0.0040 to +0.0020)'
    """
    return f"{interval.value:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def format_metric_value(value: float) -> str:
    """Format a metric with four digits after the point, or four digits of a large value."""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def format_percent(share: float) -> str:
    """Format a share in [0, 1] as a percentage.

    Example:
        >>> format_percent(0.93123)
        '93.12 %'
    """
    return f"{100 * share:.2f} %"


def format_points(interval: Interval) -> str:
    """Format a difference of shares in percentage points, with its interval.

    Example:
        >>> format_points(Interval(-0.02, -0.03, 0.004))
        '-2.00 points (-3.00 to +0.40)'
    """
    return f"{100 * interval.value:+.2f} points ({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"


def format_fraction(part: float, whole: float) -> str:
    """Format how much smaller or larger a part is than the whole.

    Example:
        >>> format_fraction(10, 123), format_fraction(10, 34), format_fraction(15, 10), format_fraction(0, 10)
        ('1/12', '1/3.4', '1.5 times', '0')
    """
    if part == 0 or whole == 0:
        return "0" if part == 0 else "-"
    if part > whole:
        return f"{part / whole:.3g} times"
    ratio = whole / part
    return f"1/{ratio:,.0f}" if ratio >= 9.95 else f"1/{ratio:.1f}".removesuffix(".0")
