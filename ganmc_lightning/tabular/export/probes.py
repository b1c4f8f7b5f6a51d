"""Rows that show where an exported model answers otherwise than its original."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.tabular.export.arrays import round_down
from ganmc_lightning.tabular.profiling import trees_of

Rows = NDArray[np.float32]

ROWS = 20_000
"""Most rows to probe a model with."""
VALUES = 2**24
"""Most values in all of these rows, for models with many columns."""
DRAWN = 256
"""Rows of drawn values, beside those on thresholds."""
NEIGHBORS = 6
"""Rows for each node: its threshold, the float32 below and above it, NaN and both infinities."""

_LARGEST, _NORMAL = np.finfo(np.float32).max, np.finfo(np.float32).tiny
_SUBNORMAL = np.nextafter(np.float32(0), np.float32(1))
SPECIAL = np.array(
    [0.0, -0.0, *(sign * value for sign in (-1, 1) for value in (_SUBNORMAL, _NORMAL, _LARGEST, np.inf)), np.nan],
    dtype=np.float32,
)
"""Values that comparisons go wrong with."""


def probe_rows(model: Any, known: NDArray[np.bool_], seed: int = 0) -> Rows:
    """Rows (N, D) float32 to compare an export with its model on.

    Drawn rows for every model. For trees also rows that reach a node and hold there, in the column it splits, its
    threshold, the float32 below and above it, NaN and the infinities; every inner node of a model of up to 3,000
    of them, a random choice of a larger model.

    Args:
        model: fitted, with ``n_features_in_``.
        known: bool (len(SPECIAL),), which of :data:`SPECIAL` the model accepts in a row.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    columns = int(model.n_features_in_)
    rows = rng.standard_normal((DRAWN, columns)).astype(np.float32)
    unusual = SPECIAL[known & ~np.isfinite(SPECIAL)]
    if len(unusual):
        replaced = rng.random(rows.shape) < 0.1
        replaced[::2] = False  # half of the rows stay finite
        rows[replaced] = rng.choice(unusual, int(replaced.sum()))
    # The trees of a pipeline or of a bag may split columns that are not the model's own.
    trees = [tree.tree_ for tree in trees_of(model) or [] if tree.n_features_in_ == columns]
    if not trees:
        return rows
    special = rng.choice(SPECIAL[known], rows.shape)
    backgrounds = _backgrounds(trees, columns, rng)
    most = max(1, min(ROWS, VALUES // columns) // NEIGHBORS)
    at_nodes = [
        neighbors
        for tree, nodes in zip(trees, _chosen_nodes(trees, most, rng), strict=True)
        for neighbors in _at_nodes(tree, nodes, backgrounds)
    ]
    together = np.concatenate([rows, next(backgrounds), special, *at_nodes])
    nan, infinity = known[np.isnan(SPECIAL)].all(), known[np.isinf(SPECIAL)].all()
    refused = (np.isnan(together) & ~nan) | (np.isinf(together) & ~infinity)
    allowed: Rows = together[~refused.any(axis=1)]
    return allowed


def _chosen_nodes(trees: list[Any], most: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """The inner nodes of each tree; a random choice where all trees together have more than ``most``."""
    inner = [np.flatnonzero(tree.children_left >= 0) for tree in trees]
    ends = np.cumsum([len(nodes) for nodes in inner])
    kept = np.zeros(ends[-1], dtype=bool)
    kept[rng.choice(len(kept), min(most, len(kept)), replace=False)] = True
    return [nodes[keep] for nodes, keep in zip(inner, np.split(kept, ends[:-1]), strict=True)]


def _backgrounds(trees: list[Any], columns: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Blocks of rows (DRAWN, D) of thresholds, so that rows spread over all trees; without end."""
    features = np.concatenate([tree.feature for tree in trees])
    thresholds = np.concatenate([round_down(tree.threshold) for tree in trees])
    usable = (features >= 0) & np.isfinite(thresholds)
    features, thresholds = features[usable], thresholds[usable]
    pools = [(column, thresholds[features == column]) for column in np.unique(features)]
    while True:
        block = np.zeros((DRAWN, columns), dtype=np.float32)
        for column, pool in pools:
            drawn = rng.choice(pool, DRAWN)
            with np.errstate(over="ignore"):  # above the largest number is an infinity
                block[:, column] = np.where(rng.random(DRAWN) < 0.5, drawn, np.nextafter(drawn, np.float32(np.inf)))
        yield block


def _at_nodes(tree: Any, nodes: NDArray[np.int64], backgrounds: Iterator[Rows]) -> Iterator[Rows]:
    """For each node, NEIGHBORS rows that reach it and differ in the column it splits."""
    parents = np.full(tree.node_count, -1)
    inner = np.flatnonzero(tree.children_left >= 0)
    parents[tree.children_left[inner]] = parents[tree.children_right[inner]] = inner
    thresholds = round_down(tree.threshold)
    for number, node in enumerate(nodes):
        if number % DRAWN == 0:
            block = next(backgrounds)
        row = _reaching(tree, thresholds, parents, node, block[number % DRAWN])
        threshold = thresholds[node]
        rows = np.tile(row, (NEIGHBORS, 1))
        with np.errstate(over="ignore", under="ignore"):
            below, above = (np.nextafter(threshold, np.float32(way)) for way in (-np.inf, np.inf))
        rows[:, tree.feature[node]] = [threshold, below, above, np.nan, -np.inf, np.inf]
        yield rows


def _reaching(tree: Any, thresholds: Rows, parents: NDArray[np.int64], node: int, background: Rows) -> Rows:
    """A copy of a row (D,), changed so that it reaches a node."""
    row = background.copy()
    highs: dict[int, np.float32] = {}
    child = node
    while (parent := parents[child]) >= 0:
        column, threshold = tree.feature[parent], thresholds[parent]
        high = highs.get(column, np.float32(np.inf))
        if child == tree.children_left[parent]:
            highs[column] = min(high, threshold)
            row[column] = min(row[column], highs[column])
        elif np.isinf(threshold):
            row[column] = np.nan  # nothing else goes right here
        elif row[column] <= threshold:
            above = np.nextafter(threshold, np.float32(np.inf))
            row[column] = above if np.isinf(high) else high
        child = parent
    return row
