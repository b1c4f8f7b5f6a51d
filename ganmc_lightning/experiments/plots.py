"""Figures of a report as PNG files in memory, drawn without a display."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from ganmc_lightning.experiments.statistics import Estimate, estimate

# Okabe and Ito's colors: told apart by color-blind readers and in gray.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
# A second round through the colors is dashed, a third dotted (length and gap in points).
_DASHES: tuple[tuple[float, tuple[float, ...]], ...] = ((0, ()), (0, (5, 2)), (0, (1, 1.5)))
_MARKS = ("o", "s", "^", "D")
_INK, _GRID = "#333333", "#e3e3e3"


Series = Mapping[int, float]
"""Epoch, or another count -> value."""


@dataclass(frozen=True)
class Curve:
    """Values per epoch, or over another count, of one stage.

    Attributes:
        label: in the legend.
        seeds: one series per seed.
    """

    label: str
    seeds: Sequence[Series]


@dataclass(frozen=True)
class Reference:
    """A dashed line across a figure."""

    label: str
    value: float


@dataclass(frozen=True)
class Points:
    """Marks of a scatter plot that belong together, joined from left to right."""

    label: str
    places: Sequence[tuple[Estimate, Estimate]]


def curves_figure(curves: Sequence[Curve], y_label: str) -> bytes:
    """Draw values per epoch: the mean over seeds within its 95 % band.

    Epochs that not every seed reached are left out. The axis is fitted to the epochs after the first tenth:
    what happens before would squeeze everything else.
    """
    figure, axes = _canvas(legend_entries=len(curves))
    for index, curve in enumerate(curves):
        _band(axes, curve, index)
    _dress(axes, "epoch", y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _fit(axes, [series for curve in curves for series in curve.seeds])
    return _png(figure)


def sweep_figure(
    points: Sequence[tuple[float, Estimate]], references: Sequence[Reference], x_label: str, y_label: str
) -> bytes:
    """Draw the metric over a setting, with 95 % intervals, and dashed lines to compare with."""
    figure, axes = _canvas(legend_entries=len(references))
    axes.errorbar(
        [x for x, _ in points],
        [point.mean for _, point in points],
        yerr=[point.ci95 or 0.0 for _, point in points],
        color=_COLOURS[0],
        marker="o",
        markersize=6,
        linewidth=1.8,
        capsize=4,
        elinewidth=1.2,
    )
    _reference_lines(axes, references, first=1)
    axes.set_xticks([x for x, _ in points])
    _dress(axes, x_label, y_label)
    return _png(figure)


def series_figure(curves: Sequence[Curve], references: Sequence[Reference], x_label: str, y_label: str) -> bytes:
    """Draw values over a count, all of them: the mean over seeds within its 95 % band, and dashed lines."""
    figure, axes = _canvas(legend_entries=len(curves) + len(references))
    for index, curve in enumerate(curves):
        _band(axes, curve, index)
    _reference_lines(axes, references, first=len(curves))
    _dress(axes, x_label, y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return _png(figure)


def scatter_figure(
    groups: Sequence[Points], references: Sequence[Reference], x_label: str, y_label: str, log_x: bool
) -> bytes:
    """Draw points, and dashed lines to compare with.

    A point has the 95 % interval of its height; one of its place would cross the others'. What is not finite, such as
    a score that could not be computed, is left out.
    """
    groups = [Points(group.label, places) for group in groups if (places := _finite(group.places))]
    references = [reference for reference in references if math.isfinite(reference.value)]
    figure, axes = _canvas(legend_entries=len(groups) + len(references))
    for index, group in enumerate(groups):
        places = sorted(group.places, key=lambda place: place[0].mean)
        axes.errorbar(
            [x.mean for x, _ in places],
            [y.mean for _, y in places],
            yerr=[y.ci95 or 0.0 for _, y in places],
            color=_colour(index),
            marker=_MARKS[index // len(_COLOURS) % len(_MARKS)],
            markersize=7,
            linewidth=1.8,
            linestyle="-" if len(places) > 1 else "",
            elinewidth=1.0,
            label=group.label,
        )
    _reference_lines(axes, references, first=len(groups))
    if log_x and groups:  # dashed lines alone have no place that a logarithm could be taken of
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(EngFormatter())  # 20 k
        axes.xaxis.set_minor_formatter(NullFormatter())
    _dress(axes, x_label, y_label)
    return _png(figure)


def _finite(places: Sequence[tuple[Estimate, Estimate]]) -> list[tuple[Estimate, Estimate]]:
    return [place for place in places if all(math.isfinite(coordinate.mean) for coordinate in place)]


def _canvas(legend_entries: int) -> tuple[Figure, Axes]:
    """Make a figure that stays legible at the width of a phone; the legend adds to its height."""
    height = 3.8 + 0.22 * ((legend_entries + 1) // 2)
    figure = Figure(figsize=(5.8, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))
    return figure, figure.subplots()


def _band(axes: Axes, curve: Curve, index: int) -> None:
    """Plot the mean over seeds and, with two seeds or more, its 95 % band."""
    epochs = sorted(set.intersection(*(set(series) for series in curve.seeds)))
    points = [estimate([series[epoch] for series in curve.seeds]) for epoch in epochs]
    color, dash, means = _colour(index), _dash(index), [point.mean for point in points]
    marker = "o" if len(epochs) == 1 else ""
    axes.plot(epochs, means, color=color, linestyle=dash, linewidth=1.8, marker=marker, label=curve.label)
    if len(curve.seeds) > 1:
        low = [point.mean - (point.ci95 or 0.0) for point in points]
        high = [point.mean + (point.ci95 or 0.0) for point in points]
        axes.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)


def _reference_lines(axes: Axes, references: Sequence[Reference], first: int) -> None:
    for index, reference in enumerate(references, first):
        axes.axhline(reference.value, color=_colour(index), linestyle="--", linewidth=1.5, label=reference.label)


def _fit(axes: Axes, seeds: Sequence[Series]) -> None:
    """Fit the vertical axis to the values after the first tenth of the epochs."""
    last = max((max(series, default=0) for series in seeds), default=0)
    values = [v for series in seeds for epoch, v in series.items() if epoch >= last // 10 and math.isfinite(v)]
    if values and max(values) > min(values):
        margin = 0.08 * (max(values) - min(values))
        axes.set_ylim(min(values) - margin, max(values) + margin)


def _dress(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, color=_INK)
    axes.set_ylabel(y_label, color=_INK)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, length=3, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _dash(index: int) -> tuple[float, tuple[float, ...]]:
    return _DASHES[index // len(_COLOURS) % len(_DASHES)]


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    if figure.axes[0].get_legend_handles_labels()[1]:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    buffer = io.BytesIO()
    # no date or version in the file: the same numbers give the same bytes
    figure.savefig(buffer, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
