"""Plots as inline SVG whose colors are those of the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from ganmc_lightning.cards.formatting import format_large

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 44
MAX_TICKS = 6


class Point(NamedTuple):
    """A point of a plot.

    Attributes:
        x: horizontal value.
        y: vertical value.
        text: tooltip.
        interval: ends of a vertical error bar, or None (default).
    """

    x: float
    y: float
    text: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Series:
    """Points of one color.

    Attributes:
        name: entry of the legend.
        points: the points.
        color: number of the CSS class ``s<color>``.
        line: whether the points are connected.
        large: whether the points are large, for a highlighted one.
    """

    name: str
    points: Sequence[Point]
    color: int
    line: bool = False
    large: bool = False


@dataclass(frozen=True)
class Scale:
    """Linear or logarithmic map of values to pixels.

    Attributes:
        low: smallest value.
        high: largest value, above ``low``.
        start: pixel of the smallest value.
        end: pixel of the largest value.
        log: whether the scale is logarithmic; values are positive.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values: 1, 2 and 5 times powers of ten on a logarithmic scale, else equal steps."""
        if self.log:
            exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [m * 10.0**e for e in exponents for m in (1, 2, 5) if self.low <= m * 10.0**e <= self.high]
            return found if len(found) <= MAX_TICKS + 1 else [value for value in found if f"{value:e}".startswith("1.")]
        rough = (self.high - self.low) / MAX_TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= 0.8 * rough)
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scatter_svg(
    title: str,
    labels: tuple[str, str],
    series: Sequence[Series],
    log_x: bool = False,
    diagonal: bool = False,
) -> str:
    """Plot points of several series.

    Args:
        title: text alternative.
        labels: labels of the horizontal and vertical axis.
        series: series with at least one point.
        log_x: whether the horizontal axis is logarithmic.
        diagonal: whether to draw the line of equal values.

    Returns:
        An ``<svg>`` element.
    """
    points = [point for item in series for point in item.points]
    x = _scale([point.x for point in points], LEFT, WIDTH - RIGHT, log_x)
    y = _scale([value for point in points for value in (point.y, *(point.interval or ()))], HEIGHT - BOTTOM, TOP, False)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    ]
    for tick in x.ticks():
        at = f"{x(tick):.1f}"
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{at}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_number(tick)}</text>')
    for tick in y.ticks():
        at = f"{y(tick):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at}" dy=".32em" text-anchor="end">{_number(tick)}</text>')
    if diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        parts.append(f'<line class="diagonal" x1="{x(low)}" y1="{y(low)}" x2="{x(high)}" y2="{y(high)}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(labels[0])}</text>')
    center = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text transform="translate(12 {center}) rotate(-90)" text-anchor="middle">{escape(labels[1])}</text>'
    )
    for item in series:
        parts += _marks(item, x, y)
    return "".join([*parts, "</svg>"])


def legend_html(series: Sequence[Series]) -> str:
    """Return a paragraph with color and name of each series."""
    entries = "".join(f'<span><i class="s{item.color}"></i>{escape(item.name)}</span>' for item in series)
    return f'<p class="legend">{entries}</p>'


def _marks(item: Series, x: Scale, y: Scale) -> list[str]:
    parts = []
    if item.line and len(item.points) > 1:
        path = " ".join(f"{x(point.x):.1f},{y(point.y):.1f}" for point in item.points)
        parts.append(f'<polyline class="s{item.color}" points="{path}"/>')
    for point in item.points:
        if point.interval is not None:
            at, (low, high) = f"{x(point.x):.1f}", (f"{y(value):.1f}" for value in point.interval)
            parts.append(f'<line class="s{item.color}" x1="{at}" x2="{at}" y1="{low}" y2="{high}"/>')
    radius = 6 if item.large else 3
    return parts + [
        f'<circle class="s{item.color}" cx="{x(point.x):.1f}" cy="{y(point.y):.1f}" r="{radius}">'
        f"<title>{escape(point.text)}</title></circle>"
        for point in item.points
    ]


def _scale(values: Sequence[float], start: float, end: float, log: bool) -> Scale:
    low, high = min(values), max(values)
    if log:
        # Neighboring ticks differ by a factor of at most 2.5: an axis over a factor of 6.25 has two or more.
        margin = max(1.2, 2.5 / math.sqrt(high / low))
        low, high = low / margin, high * margin
    else:
        margin = 0.06 * (high - low) or abs(high) * 0.06 or 1.0
        low, high = low - margin, high + margin
    return Scale(low, high, start, end, log)


def _number(value: float) -> str:
    return format_large(round(value)) if abs(value) >= 10_000 else f"{value:,.4g}"
