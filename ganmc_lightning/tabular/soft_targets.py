"""Targets of a student: the labels, the teacher's outputs, or a mixture of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight

MIN_CLASS_WEIGHT = 1e-3
"""A row is not repeated for a class of smaller probability; the sum of the omitted weights is negligible."""


def mix_labels(
    codes: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    label_weight: float,
    class_weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mix one-hot labels and the teacher's probabilities: ``a c y + (1 - a) p``, normalized.

    The teacher's probabilities already contain its class weights c. Only the labels are multiplied by them, and the
    norm of the sum becomes the weight of the row.

    Args:
        codes: labels (N,) in 0..K-1.
        probabilities: the teacher's probabilities (N, K).
        label_weight: share a of the labels in [0, 1].
        class_weights: weight c of each row's class (N,); None (default) for 1.

    Returns:
        Targets (N, K), rows that sum to 1, and weights (N,), or None where all are 1.

    Example:
        >>> targets, weights = mix_labels(np.array([1]), np.array([[0.4, 0.6]]), 0.5)
        >>> targets.round(2).tolist(), weights
        ([[0.2, 0.8]], None)
    """
    labels = np.eye(probabilities.shape[1])[codes]
    if class_weights is None or label_weight == 0:
        return label_weight * labels + (1 - label_weight) * probabilities, None
    mixed = label_weight * class_weights[:, None] * labels + (1 - label_weight) * probabilities
    norms = mixed.sum(axis=1)
    return mixed / norms[:, None], norms


def repeat_by_class(
    X: NDArray[Any], targets: NDArray[np.float64], sample_weight: NDArray[np.float64] | None
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64] | None]:
    """Repeat each row once per class, weighted by its target, so that log loss becomes cross-entropy of soft targets.

    Args:
        X: samples (N, D).
        targets: probabilities (N, K).
        sample_weight: weights (N,) or None.

    Returns:
        Samples (M, D), classes (M,) and weights (M,); the weights are None where the targets are one-hot and
        ``sample_weight`` is None. Every class occurs, at least with its most probable row.

    Example:
        >>> rows, classes, weights = repeat_by_class(np.array([[7.0], [8.0]]), np.array([[0.25, 0.75], [1, 0]]), None)
        >>> rows[:, 0].tolist(), classes.tolist(), weights.tolist()
        ([7.0, 8.0, 7.0], [0, 0, 1], [0.25, 1.0, 0.75])
    """
    used = targets > MIN_CLASS_WEIGHT
    used[targets.argmax(axis=0), np.arange(targets.shape[1])] = True
    classes, rows = np.nonzero(used.T)
    weights = np.maximum(targets[rows, classes], 1e-9)
    if sample_weight is not None:
        weights = weights * sample_weight[rows]
    elif np.equal(weights, 1).all():
        return X[rows], classes, None
    return X[rows], classes, weights


def teacher_class_weights(teacher: Any, y: NDArray[Any]) -> NDArray[np.float64] | None:
    """Compute each row's class weight from the ``class_weight`` of a classifier, or of a classifier inside it.

    Args:
        teacher: classifier, of any library.
        y: labels (N,).

    Returns:
        Weights (N,) of mean 1; None where the classifier weights all classes equally.

    Example:
        >>> from sklearn.svm import SVC
        >>> teacher_class_weights(SVC(class_weight="balanced"), np.array([0, 1, 1, 1])).round(2).tolist()
        [2.0, 0.67, 0.67, 0.67]
    """
    parameters = teacher.get_params() if hasattr(teacher, "get_params") else {}
    labels = set(np.unique(y).tolist())
    for name, value in parameters.items():
        path, _, key = name.rpartition("__")
        if key == "class_weight" and value is not None and _is_of(labels, value, "estimator" in path):
            weights: NDArray[np.float64] = compute_sample_weight(
                "balanced" if value == "balanced_subsample" else value, y
            )
            normalized: NDArray[np.float64] = weights / weights.mean()
            return normalized
    return None


def _is_of(labels: set[Any], class_weight: Any, is_wrapped: bool) -> bool:
    """Return whether class weights are those of the labels; the classes of a wrapped binary classifier are 0 and 1."""
    if not isinstance(class_weight, dict) or labels <= set(class_weight):
        return True
    return set(class_weight) <= labels and (len(labels) == 2 or not is_wrapped)


def multiply_weights(parts: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """Multiply weights (N,), where None stands for 1.

    Example:
        >>> multiply_weights([None, np.array([2.0])]), multiply_weights([None, None])
        (array([2.]), None)
    """
    given = [part for part in parts if part is not None]
    if not given:
        return None
    product: NDArray[np.float64] = np.prod(given, axis=0)
    return product
