"""A picture of samples beside the training samples nearest to them: does the generator recite?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.metrics import near_duplicates

COLUMNS = 10


class Pairs(NamedTuple):
    """Samples of one set and their nearest training samples.

    Attributes:
        name: of the sample set.
        samples: uint8 (2, COLUMNS, C, H, W): samples as they come, and those closest to a training sample.
        neighbors: uint8 of the same shape, the nearest training sample of each.
        distances: float64 (2, COLUMNS) in feature space.
        threshold: distance up to which a sample is a near-copy.
        share: share of near-copies among all samples.
    """

    name: str
    samples: Tensor
    neighbors: Tensor
    distances: Tensor
    threshold: float
    share: float


def find_nearest(
    name: str, samples: Tensor, features: Tensor, training: Tensor, training_features: Tensor, held_out: Tensor
) -> Pairs:
    """Find the training sample nearest to each sample.

    Args:
        name: of the sample set.
        samples: uint8 (N, C, H, W), N at least :data:`COLUMNS`.
        features: (N, D) of the samples.
        training: uint8 (M, C, H, W).
        training_features: (M, D).
        held_out: features (L, D) of real samples that the generator never saw.
    """
    found = near_duplicates(features, training_features, held_out)
    rows = [torch.arange(COLUMNS), found.distances.argsort(stable=True)[:COLUMNS]]
    return Pairs(
        name,
        torch.stack([samples[row] for row in rows]),
        torch.stack([training[found.indices[row]] for row in rows]),
        torch.stack([found.distances[row] for row in rows]),
        found.threshold.item(),
        found.share.item(),
    )


def plot_nearest(sets: Sequence[Pairs], path: Path) -> None:
    """Draw all sets into one PNG: each sample with its nearest training sample below it."""
    figure = Figure(figsize=(COLUMNS * 0.75 + 1.5, len(sets) * 3.9), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(sets), 1, squeeze=False)[:, 0]
    for part, pairs in zip(parts, sets, strict=True):
        part.suptitle(
            f"{pairs.name}: {pairs.share:.1%} closer to a training sample than {pairs.threshold:.3g} "
            "(1 % of held-out real samples are)",
            fontsize=9,
        )
        axes = part.subplots(4, COLUMNS)
        for row, label in enumerate(("samples", "nearest real", "closest of all", "nearest real")):
            images = (pairs.samples, pairs.neighbors)[row % 2][row // 2]
            for column in range(COLUMNS):
                _show(axes[row, column], images[column])
                if row % 2 == 0:
                    axes[row, column].set_title(f"{pairs.distances[row // 2, column].item():.3g}", fontsize=7, pad=2)
            axes[row, 0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center")
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png")


def _show(axes: Axes, image: Tensor) -> None:
    pixels = image.permute(1, 2, 0).squeeze(-1).numpy()
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
