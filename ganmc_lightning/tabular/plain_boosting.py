"""Boosting on the labels alone, the baseline of a student: fit it in the same size, and compare both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.metrics import r2_score

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.compress_rows import ChoiceRows
from ganmc_lightning.tabular.compress_search import SHRINK
from ganmc_lightning.tabular.metrics import (
    auc_influence,
    exceeds_standard_error,
    r2_influence,
    roc_auc,
)
from ganmc_lightning.tabular.recipes import LABELS_ONLY, REAL, TrainingRecipe
from ganmc_lightning.tabular.students import BoostingKind
from ganmc_lightning.tabular.teacher_labels import IN_BAG


def is_plain(model: Any) -> bool:
    """Return whether the student of a fitted distilled estimator is boosting on the labels alone."""
    chosen = model.chosen_
    return bool(chosen.student == BoostingKind.name and chosen.recipe == TrainingRecipe(LABELS_ONLY, 1.0, REAL))


def fit_plain(
    fit: Callable[..., Any], model: Any, limits: Mapping[str, Any], measure: Callable[[Any], int]
) -> tuple[Any, Any | None]:
    """Fit boosting on the labels, with at most as many nodes as a student, at least one tree per class.

    Args:
        fit: fits a distilled estimator; keyword arguments replace those of its constructor.
        model: fitted distilled estimator of the student.
        limits: ``max_nodes``, ``max_bytes`` and ``max_predict_seconds``; None for no limit.
        measure: returns the bytes that ``max_bytes`` limits, of a fitted estimator.

    Returns:
        The estimator of the student's size, and the largest one within the limits, which may be the same, or None.
    """
    smallest = BoostingKind().smallest_nodes(len(getattr(model, "classes_", ())))
    arguments = {
        "student": BoostingKind.name,
        "teacher_labels": IN_BAG,
        "label_weight": 1.0,
        "training_data": REAL,
    }
    nodes = max(smallest, model.profile_.student.nodes)
    same_size = fit(**arguments, max_nodes=nodes)
    limit, max_bytes, max_seconds = (limits[key] for key in ("max_nodes", "max_bytes", "max_predict_seconds"))
    plain = None
    if max_seconds is None and (limit is None or nodes <= limit):
        plain = same_size
    nodes = nodes if limit is None else min(nodes, limit)
    while nodes >= smallest:
        try:
            if plain is None:
                plain = fit(**arguments, max_nodes=nodes, max_predict_seconds=max_seconds)
        except ConfigurationError as error:
            if not str(error).startswith("max_predict_seconds"):
                raise
            break
        size = 0 if max_bytes is None else measure(plain)
        if max_bytes is None or size <= max_bytes:
            return same_size, plain
        nodes, plain = int(SHRINK * min(nodes, plain.profile_.student.nodes) * max_bytes / size), None
    return same_size, None


def is_better(model: Any, plain: Any, choice: ChoiceRows) -> bool:
    """Return whether the validation score of a student exceeds that of plain boosting by more than a standard error.

    This is the one-standard-error rule of Breiman et al. (1984).

    Args:
        model: fitted distilled estimator of the student.
        plain: fitted distilled estimator of plain boosting.
        choice: validation rows.
    """
    classes = getattr(model, "classes_", None)
    if classes is None:
        values = np.ravel(choice.y_val).astype(np.float64)
        outputs = [item.predict(choice.X_val) for item in (model, plain)]
        scores = [float(r2_score(values, output)) for output in outputs]
        influences = [r2_influence(values, output) for output in outputs]
    else:
        codes = np.equal(np.ravel(choice.y_val)[:, None], classes).argmax(axis=1)
        outputs = [item.predict_proba(choice.X_val) for item in (model, plain)]
        scores = [roc_auc(codes, output) for output in outputs]
        influences = [auc_influence(codes, output) for output in outputs]
    return exceeds_standard_error(scores[0] - scores[1], influences[0] - influences[1])
