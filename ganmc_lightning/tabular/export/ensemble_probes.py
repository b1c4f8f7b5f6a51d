"""Probe samples of boosted trees: at each threshold, its neighbors, each category and missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.tabular.export.arrays import round_down
from ganmc_lightning.tabular.export.ensemble import FlatEnsemble, is_text

NODES = 3_000
"""Maximum number of inner nodes that are probed; a random subset of a larger model."""
UNKNOWN = -7
"""A value that is no category."""
DRAWN = 256
"""Number of samples with random values, in addition to those on thresholds."""


def probe_ensemble(ensemble: FlatEnsemble, special: NDArray[np.float32], dtype: Any, seed: int = 0) -> NDArray[Any]:
    """Generate samples (N, D) that reach a node and differ in its split feature.

    Args:
        ensemble: trees.
        special: unusual values that the model accepts.
        dtype: float32 or float64, the type of the samples; neighbors of thresholds are the next numbers of this type.
        seed: random seed (default: 0).
    """
    rng = np.random.default_rng(seed)
    probes = _Probes(ensemble, special[~np.isfinite(special)].astype(dtype), np.dtype(dtype), rng)
    nodes = rng.permutation(len(ensemble.features))[:NODES]
    blocks = [probes.background(), rng.choice(special, (DRAWN, ensemble.n_features)).astype(dtype)]
    for start in range(0, len(nodes), DRAWN):
        chosen = nodes[start : start + DRAWN].tolist()
        blocks += [probes.at(node, sample) for node, sample in zip(chosen, probes.background(), strict=False)]
    return np.concatenate(blocks)


class _Probes:
    def __init__(
        self, ensemble: FlatEnsemble, unusual: NDArray[Any], dtype: np.dtype[Any], rng: np.random.Generator
    ) -> None:
        self._ensemble, self._unusual, self._dtype, self._rng = ensemble, unusual, dtype, rng
        down = round_down(ensemble.thresholds) if dtype == np.float32 else ensemble.thresholds
        self._thresholds = np.asarray(down, dtype=dtype)
        self._parents = np.full(len(ensemble.features), -1)
        for children in (ensemble.left, ensemble.right):
            inner = np.flatnonzero(children >= 0)
            self._parents[children[inner]] = inner
        usable = np.isfinite(self._thresholds) & (ensemble.subsets < 0)
        features, thresholds = ensemble.features[usable], self._thresholds[usable]
        self._pools = {column: thresholds[features == column] for column in np.unique(features).tolist()}

    def background(self) -> NDArray[Any]:
        """Draw samples (DRAWN, D) of thresholds, numbers next to thresholds, and categories."""
        samples = self._rng.standard_normal((DRAWN, self._ensemble.n_features)).astype(self._dtype)
        for column in self._ensemble.categories:
            samples[:, column] = self._rng.choice(self._category_values(column), DRAWN)
        for column, pool in self._pools.items():
            drawn = self._rng.choice(pool, DRAWN)
            samples[:, column] = np.where(self._rng.random(DRAWN) < 0.5, drawn, np.nextafter(drawn, np.inf))
        return samples

    def at(self, node: int, background: NDArray[Any]) -> NDArray[Any]:
        """Return samples that reach a node, with each interesting value of its split feature.

        Args:
            node: inner node.
            background: sample (D,) with the values of the other features, unless the path to the node needs others.
        """
        column = int(self._ensemble.features[node])
        if self._ensemble.subsets[node] >= 0:
            values = [*self._category_values(column), UNKNOWN]
        else:
            threshold = self._thresholds[node]
            values = [threshold, *(np.nextafter(threshold, self._dtype.type(limit)) for limit in (-np.inf, np.inf))]
        finite = [value for value in values if np.isfinite(value)]
        samples = np.tile(self._reaching(node, background), (len(finite) + len(self._unusual), 1))
        samples[:, column] = [*finite, *self._unusual]
        return samples

    def _reaching(self, node: int, background: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of a sample (D,) changed so that it reaches a node."""
        sample = background.copy()
        child = node
        highs: dict[int, Any] = {}
        while (parent := int(self._parents[child])) >= 0:
            column, left = int(self._ensemble.features[parent]), self._ensemble.left[parent] == child
            if (subset := self._ensemble.subsets[parent]) >= 0:
                sample[column] = self._category_on(subset, left, column, sample[column])
            elif left:
                highs[column] = min(highs.get(column, np.inf), self._thresholds[parent])
                sample[column] = min(sample[column], highs[column])
            elif np.isinf(self._thresholds[parent]):
                if np.isnan(self._unusual).any():
                    sample[column] = np.nan  # only NaN takes the right child here
            elif sample[column] <= self._thresholds[parent]:
                above = np.nextafter(self._thresholds[parent], self._dtype.type(np.inf))
                sample[column] = min(highs.get(column, np.inf), max(above, self._thresholds[parent] + 1))
            child = parent
        return sample

    def _category_on(self, subset: int, left: bool, column: int, current: Any) -> Any:
        """Return a category that takes a child; the current value where it does, or where none does."""
        values = self._category_values(column)
        fitting = values[self._ensemble.goes_left[subset, : len(values)] == left]
        return current if len(fitting) == 0 or current in fitting else self._rng.choice(fitting)

    def _category_values(self, column: int) -> NDArray[Any]:
        """Return the categories of a column as they occur in samples: numbers, or codes of text."""
        values = self._ensemble.categories[column]
        numbers = np.arange(len(values)) if is_text(values) else values
        typed: NDArray[Any] = numbers.astype(self._dtype)
        return typed
