"""Critical-difference diagram (Demsar 2006, figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganmc_lightning.experiments.plots import COLORS, INK, to_png

_ROW = 0.26
"""Height of a label or a bar in inches, also the unit of the vertical axis."""
_AXIS = 2.6
"""Length of the axis of ranks in inches."""
_CHARACTER = 0.06
"""Width of a character of a label in inches, at most."""


def plot_ranks(ranks: Mapping[str, float], groups: Sequence[Sequence[str]], difference: float) -> bytes:
    """Plot mean ranks on an axis; bars join the models that do not differ significantly.

    Args:
        ranks: mean rank by name, ascending; 1 is the best.
        groups: names of the models joined by each bar.
        difference: critical difference, shown above the axis.
    """
    half = (len(ranks) + 1) // 2
    depth = len(groups) * 0.6 + half + 1
    labels = max(1.6, 0.35 + _CHARACTER * max(len(f"{name}  10.00") for name in ranks))
    figure = Figure(figsize=(_AXIS + 2 * labels, _ROW * (depth + 3.2)))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    low, high = 1, max(len(ranks), 2)
    margin = labels / _AXIS * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(-depth, 3.2)
    axes.axis("off")
    _plot_axis(axes, low, high, difference)
    for level, group in enumerate(groups):
        y = -0.6 * (level + 1)
        axes.plot([ranks[group[0]] - 0.03, ranks[group[-1]] + 0.03], [y, y], color=COLORS[1], linewidth=3.5)
    for index, (name, rank) in enumerate(ranks.items()):
        left = index < half
        y = -0.6 * len(groups) - 1 - (index if left else len(ranks) - 1 - index)
        edge = low - 0.06 * (high - low) if left else high + 0.06 * (high - low)
        axes.plot([rank, rank, edge], [0, y, y], color=INK, linewidth=0.9)
        text = f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}"
        axes.text(
            edge, y, f"{text} " if left else f" {text}", ha="right" if left else "left", va="center", fontsize=8.5
        )
    return to_png(figure)


def _plot_axis(axes: Axes, low: int, high: int, difference: float) -> None:
    axes.plot([low, high], [0, 0], color=INK, linewidth=1.2)
    for rank in range(low, high + 1):
        axes.plot([rank, rank], [0, 0.25], color=INK, linewidth=1.0)
        axes.text(rank, 0.4, str(rank), ha="center", va="bottom", fontsize=8.5, color=INK)
    axes.plot([low, low + difference], [1.9, 1.9], color=COLORS[0], linewidth=2.0)
    for x in (low, low + difference):
        axes.plot([x, x], [1.7, 2.1], color=COLORS[0], linewidth=1.2)
    axes.text(low + difference / 2, 2.2, f"critical difference {difference:.2f}", ha="center", fontsize=8.5, color=INK)
