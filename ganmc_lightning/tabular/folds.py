"""Partition of rows into validation parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEVER_HELD_OUT = -1


def stratified_folds(
    codes: NDArray[np.int64], n_folds: int, seed: int, sample_weight: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Assign each row to a fold so that every class has equal shares.

    Args:
        codes: classes (N,) in 0..K-1; zeros for regression.
        n_folds: number of folds, at least 2.
        seed: random seed.
        sample_weight: weights (N,); the rows of positive weight of each class have equal shares too. None (default)
            weights all rows equally.

    Returns:
        Fold (N,) in 0..n_folds-1; -1 for a class's only row of positive weight, since a classifier fitted without it
        has a class less.

    Example:
        >>> folds = stratified_folds(np.array([0, 0, 0, 0, 1, 1, 2]), 2, seed=0)
        >>> np.bincount(folds[:4]).tolist(), sorted(folds[4:6].tolist()), int(folds[6])
        ([2, 2], [0, 1], -1)
    """
    random = np.random.default_rng(seed)
    folds = np.full(len(codes), NEVER_HELD_OUT)
    strata = 2 * codes + (0 if sample_weight is None else sample_weight <= 0)
    start = 0
    for stratum in np.unique(strata):
        members = random.permutation(np.flatnonzero(strata == stratum))
        if len(members) > 1:
            folds[members] = (start + np.arange(len(members))) % n_folds
            start += len(members)  # the remainders of the classes are spread over all folds
    return folds
