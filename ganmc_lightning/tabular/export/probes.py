"""Probe samples that reveal differences between an exported model and its original."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ganmc_lightning.tabular.export.arrays import round_down
from ganmc_lightning.tabular.export.boosting import flatten_boosting, is_boosting
from ganmc_lightning.tabular.export.ensemble_probes import probe_ensemble
from ganmc_lightning.tabular.profiling import trees_of

Samples = NDArray[np.float32]

N_SAMPLES = 20_000
"""Maximum number of probe samples."""
VALUES = 2**24
"""Maximum number of values in all probe samples, for models with many features."""
DRAWN = 256
"""Number of samples with random values, in addition to those on thresholds."""
NEIGHBORS = 6
"""Samples per node: its threshold, the float32 below and above it, NaN and both infinities."""

_LARGEST, _NORMAL = np.finfo(np.float32).max, np.finfo(np.float32).tiny
_SUBNORMAL = np.nextafter(np.float32(0), np.float32(1))
SPECIAL = np.array(
    [0.0, -0.0, *(sign * value for sign in (-1, 1) for value in (_SUBNORMAL, _NORMAL, _LARGEST, np.inf)), np.nan],
    dtype=np.float32,
)
"""Values that comparisons often handle wrongly."""


def probe_samples(
    model: Any, accepted: NDArray[np.bool_], dtype: DTypeLike = np.float64, seed: int = 0
) -> NDArray[Any]:
    """Generate samples (N, D) to compare an export with its model on.

    Every model gets random samples. Trees also get samples that reach a node and whose split feature is the
    threshold, the float32 below and above it, NaN and the infinities: for all inner nodes of a model of up to about
    3,000 of them, for a random subset of a larger model.

    Args:
        model: fitted model with ``n_features_in_``.
        accepted: bool (len(SPECIAL),), which values of :data:`SPECIAL` the model accepts.
        dtype: type of the samples of boosted models (default: float64); those of other models are float32.
        seed: random seed (default: 0).
    """
    if is_boosting(model):
        return probe_ensemble(flatten_boosting(model), SPECIAL[accepted], dtype, seed)
    rng = np.random.default_rng(seed)
    columns = int(model.n_features_in_)
    drawn = rng.standard_normal((DRAWN, columns)).astype(np.float32)
    unusual = SPECIAL[accepted & ~np.isfinite(SPECIAL)]
    if len(unusual):
        replaced = rng.random(drawn.shape) < 0.1
        replaced[::2] = False  # half of the samples stay finite
        drawn[replaced] = rng.choice(unusual, int(replaced.sum()))
    # trees of a pipeline or of bagging may have other features than the model
    trees = [tree.tree_ for tree in trees_of(model) or [] if tree.n_features_in_ == columns]
    if not trees:
        return drawn
    special = rng.choice(SPECIAL[accepted], drawn.shape)
    backgrounds = _backgrounds(trees, columns, rng)
    max_nodes = max(1, min(N_SAMPLES, VALUES // columns) // NEIGHBORS)
    at_nodes = [
        neighbors
        for tree, nodes in zip(trees, _choose_nodes(trees, max_nodes, rng), strict=True)
        for neighbors in _at_nodes(tree, nodes, backgrounds)
    ]
    samples = np.concatenate([drawn, next(backgrounds), special, *at_nodes])
    nan, infinity = accepted[np.isnan(SPECIAL)].all(), accepted[np.isinf(SPECIAL)].all()
    rejected = (np.isnan(samples) & ~nan) | (np.isinf(samples) & ~infinity)
    allowed: Samples = samples[~rejected.any(axis=1)]
    return allowed


def _choose_nodes(trees: list[Any], max_nodes: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return the inner nodes of each tree, a random subset of ``max_nodes`` where there are more."""
    inner = [np.flatnonzero(tree.children_left >= 0) for tree in trees]
    ends = np.cumsum([len(nodes) for nodes in inner])
    kept = np.zeros(ends[-1], dtype=bool)
    kept[rng.choice(len(kept), min(max_nodes, len(kept)), replace=False)] = True
    return [nodes[keep] for nodes, keep in zip(inner, np.split(kept, ends[:-1]), strict=True)]


def _backgrounds(trees: list[Any], columns: int, rng: np.random.Generator) -> Iterator[Samples]:
    """Yield blocks of samples (DRAWN, D) of thresholds, which spread over all trees, endlessly."""
    features = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([round_down(tree.threshold) for tree in trees])
    usable = (features >= 0) & np.isfinite(thresholds)
    features, thresholds = features[usable], thresholds[usable]
    pools = [(column, thresholds[features == column]) for column in np.unique(features)]
    while True:
        block = np.zeros((DRAWN, columns), dtype=np.float32)
        for column, pool in pools:
            drawn = rng.choice(pool, DRAWN)
            with np.errstate(over="ignore"):  # the successor of the largest number is infinity
                block[:, column] = np.where(rng.random(DRAWN) < 0.5, drawn, np.nextafter(drawn, np.float32(np.inf)))
        yield block


def _at_nodes(tree: Any, nodes: NDArray[np.int64], backgrounds: Iterator[Samples]) -> Iterator[Samples]:
    """Yield NEIGHBORS samples per node that reach it and differ in its split feature."""
    parents = np.full(tree.node_count, -1)
    inner = np.flatnonzero(tree.children_left >= 0)
    parents[tree.children_left[inner]] = parents[tree.children_right[inner]] = inner
    thresholds = round_down(tree.threshold)
    for number, node in enumerate(nodes):
        if number % DRAWN == 0:
            block = next(backgrounds)
        sample = _reaching(tree, thresholds, parents, node, block[number % DRAWN])
        threshold = thresholds[node]
        samples = np.tile(sample, (NEIGHBORS, 1))
        with np.errstate(over="ignore", under="ignore"):
            below, above = (np.nextafter(threshold, np.float32(limit)) for limit in (-np.inf, np.inf))
        samples[:, tree.feature[node]] = [threshold, below, above, np.nan, -np.inf, np.inf]
        yield samples


def _reaching(tree: Any, thresholds: Samples, parents: NDArray[np.int64], node: int, background: Samples) -> Samples:
    """Return a copy of a sample (D,) changed so that it reaches a node."""
    sample = background.copy()
    highs: dict[int, np.float32] = {}
    child = node
    while (parent := parents[child]) >= 0:
        column, threshold = tree.feature[parent], thresholds[parent]
        high = highs.get(column, np.float32(np.inf))
        if child == tree.children_left[parent]:
            highs[column] = min(high, threshold)
            sample[column] = min(sample[column], highs[column])
        elif np.isinf(threshold):
            sample[column] = np.nan  # only NaN takes the right child here
        elif sample[column] <= threshold:
            above = np.nextafter(threshold, np.float32(np.inf))
            sample[column] = above if np.isinf(high) else high
        child = parent
    return sample
