"""Plots as PNG files in memory, without a display."""

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

from ganmc_lightning.experiments.statistics import MeanCI, mean_ci

# Okabe and Ito's colors, distinct for color-blind readers and in gray.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
# After seven curves the colors repeat with dashes, after fourteen with dots (length and gap in points).
_DASHES: tuple[tuple[float, tuple[float, ...]], ...] = ((0, ()), (0, (5, 2)), (0, (1, 1.5)))
_MARKERS = ("o", "s", "^", "D")
INK, _GRID = "#333333", "#e3e3e3"


@dataclass(frozen=True)
class SeedCurves:
    """Curves of several seeds, plotted as one line.

    Attributes:
        label: entry of the legend.
        seeds: for each seed, epoch (or another count) -> value.
    """

    label: str
    seeds: Sequence[Mapping[int, float]]


@dataclass(frozen=True)
class Baseline:
    """A dashed horizontal line."""

    label: str
    value: float


@dataclass(frozen=True)
class ScatterGroup:
    """Points (x, y) of a scatter plot, joined from left to right."""

    label: str
    points: Sequence[tuple[MeanCI, MeanCI]]


def plot_learning_curves(curves: Sequence[SeedCurves], y_label: str) -> bytes:
    """Plot values per epoch: mean over seeds with its 95 % band.

    Epochs that were not reached by every seed are omitted. The limits of the vertical axis ignore the first tenth of
    the epochs, because its range would compress all others.
    """
    figure, axes = _new_figure(legend_entries=len(curves))
    for index, curve in enumerate(curves):
        _plot_mean_ci(axes, curve, index)
    _style_axes(axes, "epoch", y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _set_ylim(axes, [seed for curve in curves for seed in curve.seeds])
    return to_png(figure)


def plot_sweep(means: Mapping[float, MeanCI], baselines: Sequence[Baseline], x_label: str, y_label: str) -> bytes:
    """Plot a metric over a setting with 95 % intervals, and baselines."""
    figure, axes = _new_figure(legend_entries=len(baselines))
    axes.errorbar(
        list(means),
        [mean.mean for mean in means.values()],
        yerr=[mean.ci95 or 0.0 for mean in means.values()],
        color=COLORS[0],
        marker="o",
        markersize=6,
        linewidth=1.8,
        capsize=4,
        elinewidth=1.2,
    )
    _plot_baselines(axes, baselines, first=1)
    axes.set_xticks(list(means))
    _style_axes(axes, x_label, y_label)
    return to_png(figure)


def plot_result_curves(
    curves: Sequence[SeedCurves], baselines: Sequence[Baseline], x_label: str, y_label: str
) -> bytes:
    """Plot values over a count: mean over seeds with its 95 % band, and baselines."""
    figure, axes = _new_figure(legend_entries=len(curves) + len(baselines))
    for index, curve in enumerate(curves):
        _plot_mean_ci(axes, curve, index)
    _plot_baselines(axes, baselines, first=len(curves))
    _style_axes(axes, x_label, y_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return to_png(figure)


def plot_scatter(
    groups: Sequence[ScatterGroup], baselines: Sequence[Baseline], x_label: str, y_label: str, log_x: bool
) -> bytes:
    """Plot points with the 95 % interval of y, and baselines; values that are not finite are omitted.

    Intervals of x are not plotted, because they would overlap other points.
    """
    groups = [ScatterGroup(group.label, points) for group in groups if (points := _finite(group.points))]
    baselines = [baseline for baseline in baselines if math.isfinite(baseline.value)]
    figure, axes = _new_figure(legend_entries=len(groups) + len(baselines))
    for index, group in enumerate(groups):
        points = sorted(group.points, key=lambda point: point[0].mean)
        axes.errorbar(
            [x.mean for x, _ in points],
            [y.mean for _, y in points],
            yerr=[y.ci95 or 0.0 for _, y in points],
            color=_color(index),
            marker=_MARKERS[index // len(COLORS) % len(_MARKERS)],
            markersize=7,
            linewidth=1.8,
            linestyle="-" if len(points) > 1 else "",
            elinewidth=1.0,
            label=group.label,
        )
    _plot_baselines(axes, baselines, first=len(groups))
    if log_x and groups:  # a logarithmic scale requires x values, which baselines do not have
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(EngFormatter())  # 20 k
        axes.xaxis.set_minor_formatter(NullFormatter())
    _style_axes(axes, x_label, y_label)
    return to_png(figure)


def _finite(points: Sequence[tuple[MeanCI, MeanCI]]) -> list[tuple[MeanCI, MeanCI]]:
    return [point for point in points if all(math.isfinite(coordinate.mean) for coordinate in point)]


def _new_figure(legend_entries: int) -> tuple[Figure, Axes]:
    """Return a figure that is legible at the width of a phone, with additional height for the legend."""
    height = 3.8 + 0.22 * ((legend_entries + 1) // 2)
    figure = Figure(figsize=(5.8, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))
    return figure, figure.subplots()


def _plot_mean_ci(axes: Axes, curve: SeedCurves, index: int) -> None:
    """Plot the mean over seeds and, for several seeds, its 95 % band."""
    epochs = sorted(set.intersection(*(set(seed) for seed in curve.seeds)))
    points = [mean_ci([seed[epoch] for seed in curve.seeds]) for epoch in epochs]
    dash = _DASHES[index // len(COLORS) % len(_DASHES)]
    means = [point.mean for point in points]
    marker = "o" if len(epochs) == 1 else ""
    axes.plot(epochs, means, color=_color(index), linestyle=dash, linewidth=1.8, marker=marker, label=curve.label)
    if len(curve.seeds) > 1:
        low = [point.mean - (point.ci95 or 0.0) for point in points]
        high = [point.mean + (point.ci95 or 0.0) for point in points]
        axes.fill_between(epochs, low, high, color=_color(index), alpha=0.15, linewidth=0)


def _plot_baselines(axes: Axes, baselines: Sequence[Baseline], first: int) -> None:
    for index, baseline in enumerate(baselines, first):
        axes.axhline(baseline.value, color=_color(index), linestyle="--", linewidth=1.5, label=baseline.label)


def _set_ylim(axes: Axes, curves: Sequence[Mapping[int, float]]) -> None:
    """Set the limits of the vertical axis from the last 90 % of the epochs."""
    last = max((max(curve, default=0) for curve in curves), default=0)
    values = [v for curve in curves for epoch, v in curve.items() if epoch >= last // 10 and math.isfinite(v)]
    if values and max(values) > min(values):
        margin = 0.08 * (max(values) - min(values))
        axes.set_ylim(min(values) - margin, max(values) + margin)


def _style_axes(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=3, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")


def _color(index: int) -> str:
    return COLORS[index % len(COLORS)]


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG, with its legend below the axes."""
    FigureCanvasAgg(figure)
    if figure.axes[0].get_legend_handles_labels()[1]:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    buffer = io.BytesIO()
    # no date or version in the file: equal values give equal bytes
    figure.savefig(buffer, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()
