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
    blocks = [probes.background(256), rng.choice(special, (256, ensemble.n_features)).astype(dtype)]
    return np.concatenate([*blocks, *(probes.at(int(node)) for node in nodes)])


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

    def background(self, count: int) -> NDArray[Any]:
        """Draw samples (count, D) of thresholds, numbers next to thresholds, and categories."""
        samples = self._rng.standard_normal((count, self._ensemble.n_features)).astype(self._dtype)
        usable = np.isfinite(self._thresholds) & (self._ensemble.subsets < 0)
        for column in range(self._ensemble.n_features):
            if column in self._ensemble.categories:
                samples[:, column] = self._rng.choice(self._category_values(column), count)
                continue
            pool = self._thresholds[usable & (self._ensemble.features == column)]
            if len(pool):
                drawn = self._rng.choice(pool, count)
                samples[:, column] = np.where(self._rng.random(count) < 0.5, drawn, np.nextafter(drawn, np.inf))
        return samples

    def at(self, node: int) -> NDArray[Any]:
        """Return samples that reach a node, with each interesting value of its split feature."""
        column = int(self._ensemble.features[node])
        if self._ensemble.subsets[node] >= 0:
            values = [*self._category_values(column), UNKNOWN]
        else:
            threshold = self._thresholds[node]
            values = [threshold, *(np.nextafter(threshold, self._dtype.type(limit)) for limit in (-np.inf, np.inf))]
        finite = [value for value in values if np.isfinite(value)]
        samples = np.tile(self._reaching(node), (len(finite) + len(self._unusual), 1))
        samples[:, column] = [*finite, *self._unusual]
        return samples

    def _reaching(self, node: int) -> NDArray[Any]:
        """Draw a sample (D,) and change it so that it reaches a node."""
        sample: NDArray[Any] = self.background(1)[0]
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
