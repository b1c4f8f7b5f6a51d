"""Plot samples next to their nearest training samples (memorization check)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from ganmc_lightning.evaluation.evaluator import GeneratorEvaluator
from ganmc_lightning.evaluation.result import EvaluationResult
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.metrics import NearDuplicatesValue, near_duplicates

COLUMNS = 10
"""Number of plotted samples of a set with as many or more."""


class NearestPairs(NamedTuple):
    """Samples of one set and their nearest training samples.

    Attributes:
        name: name of the sample set.
        samples: uint8 (2, n, C, H, W), n at most :data:`COLUMNS`: random samples, and the samples closest to a training
            sample.
        neighbors: uint8 (2, n, C, H, W): the nearest training sample of each.
        distances: float64 (2, n) in feature space.
        threshold: largest distance of a near duplicate.
        rate: fraction of near duplicates among all samples.
    """

    name: str
    samples: Tensor
    neighbors: Tensor
    distances: Tensor
    threshold: float
    rate: float


def find_nearest(name: str, samples: Tensor, training: Tensor, nearest: NearDuplicatesValue, seed: int) -> NearestPairs:
    """Choose the samples to plot.

    Args:
        name: name of the sample set.
        samples: uint8 (N, C, H, W); all are plotted if fewer than :data:`COLUMNS`.
        training: uint8 (M, C, H, W).
        nearest: result of :func:`near_duplicates` for the features of both.
        seed: random seed of the first row.
    """
    random = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    rows = [order[:COLUMNS] for order in (random, nearest.distances.argsort(stable=True))]
    return NearestPairs(
        name,
        torch.stack([samples[row] for row in rows]),
        torch.stack([training[nearest.indices[row]] for row in rows]),
        torch.stack([nearest.distances[row] for row in rows]),
        nearest.threshold.item(),
        nearest.rate.item(),
    )


def plot_results(evaluator: GeneratorEvaluator, results: Sequence[EvaluationResult], path: Path) -> None:
    """Plot the nearest training samples of all evaluated sets except the training samples themselves."""
    training = evaluator.data.samples("train")[0]
    pairs = []
    for result in results:
        if result.features is not None and result.real_split != "train":
            features = result.features.features, evaluator.training.features, evaluator.held_out.features
            nearest = near_duplicates(*features)
            pairs.append(find_nearest(result.name, result.samples, training, nearest, evaluator.seed))
    plot_nearest(pairs, path)


def plot_nearest(sets: Sequence[NearestPairs], path: Path) -> None:
    """Plot all sets as one PNG file, each sample above its nearest training sample."""
    figure = Figure(figsize=(COLUMNS * 0.75 + 1.5, len(sets) * 3.9), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    subfigures = figure.subfigures(len(sets), 1, squeeze=False)[:, 0]
    for subfigure, pairs in zip(subfigures, sets, strict=True):
        subfigure.suptitle(
            f"{pairs.name}: {pairs.rate:.1%} closer to a training sample than {pairs.threshold:.3g} "
            "(1 % of held-out real samples are)",
            fontsize=9,
        )
        axes = subfigure.subplots(4, COLUMNS)
        for row, label in enumerate(("samples", "nearest real", "closest of all", "nearest real")):
            images = (pairs.samples, pairs.neighbors)[row % 2][row // 2]
            for column, image in enumerate(images):
                _show(axes[row, column], image)
                if row % 2 == 0:
                    axes[row, column].set_title(f"{pairs.distances[row // 2, column].item():.3g}", fontsize=7, pad=2)
            for empty in axes[row, len(images) :]:  # a set of few samples
                empty.set_axis_off()
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
