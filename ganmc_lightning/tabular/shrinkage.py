"""Shrinkage of the validation scores of many candidates."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

RecipeT = TypeVar("RecipeT", bound=Hashable)


def score_table(
    part_scores: Mapping[tuple[str, str, RecipeT], Sequence[float]],
) -> dict[tuple[str, str, RecipeT], float]:
    """Return the score of each candidate: kind of student, estimator and training set.

    Args:
        part_scores: scores of each candidate on each validation part.

    Returns:
        Shrunken scores of the kinds of which each estimator was scored with each training set on each part; mean scores
        of the others.

    Example:
        >>> score_table({("tree", "5 leaves", "labels"): [0.7, 0.8]})
        {('tree', '5 leaves', 'labels'): 0.75}
    """
    scores = {key: float(np.mean(values)) for key, values in part_scores.items()}
    for kind in dict.fromkeys(key[0] for key in part_scores):
        estimators = list(dict.fromkeys(key[1] for key in part_scores if key[0] == kind))
        recipes = list(dict.fromkeys(key[2] for key in part_scores if key[0] == kind))
        keys = [(kind, estimator, recipe) for estimator in estimators for recipe in recipes]
        lengths = {len(part_scores.get(key, ())) for key in keys}
        if len(lengths) == 1:
            table = np.array([part_scores[key] for key in keys]).T.reshape(-1, len(estimators), len(recipes))
            scores |= zip(keys, shrink_scores(table).ravel().tolist(), strict=True)
    return scores


def shrink_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shrink the mean scores of candidates toward the sum of the effects of their estimators and training sets.

    The highest of many noisy scores is often that of a lucky candidate. The part of a mean score that is not the sum of
    the two effects, the interaction, is therefore multiplied by the share of its variance that is not noise, estimated
    from the differences between the validation parts (empirical Bayes; Efron and Morris 1973).

    Args:
        scores: scores (P, E, R) of E estimators and R training sets on P validation parts.

    Returns:
        Scores (E, R); the mean scores where there is one part, one estimator or one training set.

    Example:
        >>> noise = np.array([[[0.02, 0.0], [0.0, 0.0]], [[-0.01, 0.0], [0.0, 0.0]]])
        >>> shrink_scores(np.array([[0.7, 0.8], [0.8, 0.9]]) + noise).round(4).tolist()
        [[0.7038, 0.8013], [0.8013, 0.8988]]
    """
    means: NDArray[np.float64] = scores.mean(axis=0)
    if min(scores.shape) < 2:
        return means
    effects = (
        scores.mean(axis=1, keepdims=True)
        + scores.mean(axis=2, keepdims=True)
        - scores.mean(axis=(1, 2), keepdims=True)
    )
    interactions = scores - effects
    mean_interactions = interactions.mean(axis=0)
    noise = interactions.var(axis=0, ddof=1).mean() / len(scores)
    variance = np.square(mean_interactions).mean()
    share = max(0.0, 1 - noise / variance) if variance else 0.0
    shrunken: NDArray[np.float64] = means - (1 - share) * mean_interactions
    return shrunken
