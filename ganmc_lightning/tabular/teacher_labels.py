"""Teacher's outputs of its training rows: from the whole teacher, or from parts fitted without the row."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble._forest import BaseForest
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.folds import NEVER_HELD_OUT, stratified_folds
from ganmc_lightning.tabular.teacher import Teacher, fit_teacher, is_fitted, weight_argument

IN_BAG, OUT_OF_BAG, CROSS_FIT = "in_bag", "out_of_bag", "cross_fit"
CROSS_FIT_FOLDS = 5
CHECKED_TREES = 10
"""One tree is not enough: in another order of 100 rows of two classes, one root in twelve is the same."""
ROOT_TOLERANCE = 1e-7


class TableRows(NamedTuple):
    """Rows of a table.

    Attributes:
        encoded: numbers (N, E); categories are one-hot encoded.
        raw: the rows as given (N, D) where the table has categorical columns, or is a data frame for a pipeline; else
            None.
    """

    encoded: NDArray[Any]
    raw: Any = None

    def take(self, index: NDArray[np.int64]) -> TableRows:
        """Return some of the rows."""
        raw = self.raw.iloc[index] if hasattr(self.raw, "iloc") else None if self.raw is None else self.raw[index]
        return TableRows(self.encoded[index], raw)


@dataclass
class TeacherLabels:
    """A teacher, fitted or not, and the real rows that it labels.

    Its outputs are kept, since several training sets contain the same ones: an array for each source and each set of
    rows to fit to.

    Attributes:
        teacher: classifier or regressor; None for the random forest of GAN-MC.
        rows: real rows.
        y: labels or values (N,).
        codes: integer classes (N,); zeros for regression.
        feature_names: names of the columns that the teacher receives, or None.
        takes_raw: whether the teacher receives raw rows, where there are any.
        sample_weight: weights (N,) for an unfitted teacher, or None.
        seed: random seed.
        regression: whether the teacher is a regressor.
    """

    teacher: Any
    rows: TableRows
    y: NDArray[Any]
    codes: NDArray[np.int64]
    feature_names: Sequence[str] | None
    takes_raw: bool
    sample_weight: NDArray[np.float64] | None
    seed: int
    regression: bool
    _outputs: dict[tuple[str, bytes], NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False)

    def inputs(self, rows: TableRows) -> Any:
        """Return rows in the form that the teacher receives."""
        return rows.raw if self.takes_raw and rows.raw is not None else rows.encoded

    def fit(self, index: NDArray[np.int64]) -> Teacher:
        """Fit an unfitted teacher to the real rows ``index``; use a fitted one unchanged."""
        return self._fit(self.teacher, index)

    def fit_part(self, index: NDArray[np.int64]) -> Teacher:
        """Fit a teacher to the real rows ``index`` to choose students on the others.

        A forest that was fitted to all real rows would pass on the labels of the others, so a clone is fitted. Any
        other fitted teacher is used unchanged: its training rows are unknown.
        """
        if is_fitted(self.teacher) and is_forest_of(self.teacher, len(self.y)):
            return self._fit(clone(self.teacher), index)
        return self.fit(index)

    def sources(self, teacher: Teacher, requested: str) -> list[str]:
        """Return the sources of labels to compare: the requested one, or for ``"auto"`` those that the teacher has.

        In-bag labels always; out-of-bag labels of a bootstrap forest, else cross-fitted ones where the teacher can be
        fitted again.

        Raises:
            ConfigurationError: the teacher does not have the requested source.
        """
        kind = type(teacher.model).__name__
        if requested == OUT_OF_BAG and not self._has_out_of_bag(teacher):
            raise ConfigurationError(
                f"teacher_labels: got 'out_of_bag', {kind} has no out-of-bag rows; expected a forest with "
                "bootstrap=True that was fitted to X, its rows in the same order"
            )
        if requested == CROSS_FIT and not self._can_refit:
            raise ConfigurationError(
                f"teacher_labels: got 'cross_fit', {kind} cannot be cloned and fitted to the rows; expected 'in_bag'"
            )
        if requested != "auto":
            return [requested]
        if self._has_out_of_bag(teacher):
            return [IN_BAG, OUT_OF_BAG]
        return [IN_BAG, CROSS_FIT] if self._can_refit else [IN_BAG]

    def outputs(self, teacher: Teacher, index: NDArray[np.int64], source: str) -> NDArray[np.float64]:
        """Compute the teacher's outputs of real rows.

        Args:
            teacher: result of :meth:`fit` or :meth:`fit_part` with the same ``index``.
            index: real rows.
            source: ``"in_bag"``, ``"out_of_bag"`` or ``"cross_fit"``; a row that is in the bag of every tree, the only
                one of its class, or refused by a teacher that was not fitted to it, has its in-bag output.

        Returns:
            Probabilities (len(index), K), or values (len(index),) of a regressor; not to be changed in place.
        """
        if source != CROSS_FIT and teacher.model is self.teacher:
            return (self._in_bag_outputs if source == IN_BAG else self._out_of_bag_outputs)[index]
        key = (source, index.tobytes())
        if key not in self._outputs:
            self._outputs[key] = self._compute_outputs(teacher, index, source)
        return self._outputs[key]

    def _compute_outputs(self, teacher: Teacher, index: NDArray[np.int64], source: str) -> NDArray[np.float64]:
        if source == CROSS_FIT:
            return self._cross_fit(teacher, index)
        rows = self.rows.take(index)
        if source == IN_BAG:
            return self._predict(teacher, rows)
        in_bag = self.outputs(teacher, index, IN_BAG)
        return out_of_bag_outputs(teacher.model, self._fit_format(teacher, rows), in_bag)

    @cached_property
    def _in_bag_outputs(self) -> NDArray[np.float64]:
        """The outputs of all rows from a fitted teacher."""
        return self._predict(self._all_rows_teacher, self.rows)

    @cached_property
    def _out_of_bag_outputs(self) -> NDArray[np.float64]:
        teacher = self._all_rows_teacher
        return out_of_bag_outputs(teacher.model, self._fit_format(teacher, self.rows), self._in_bag_outputs)

    @cached_property
    def _all_rows_teacher(self) -> Teacher:
        return self.fit(np.arange(len(self.y)))

    @cached_property
    def _can_refit(self) -> bool:
        if self.teacher is None:
            return True
        if not hasattr(self.teacher, "fit") or not hasattr(self.teacher, "get_params"):
            return False
        try:
            weight_argument(self.teacher, self.sample_weight, "teacher")
        except ConfigurationError:
            return False
        return not is_fitted(clone(self.teacher))

    def _has_out_of_bag(self, teacher: Teacher) -> bool:
        """Return whether a fitted teacher is a bootstrap forest of the real rows."""
        if teacher.model is not self.teacher:  # fitted here
            return is_bootstrap_forest(teacher.model)
        return has_out_of_bag(teacher.model, self.y)

    def _cross_fit(self, teacher: Teacher, index: NDArray[np.int64]) -> NDArray[np.float64]:
        weights = None if self.sample_weight is None else self.sample_weight[index]
        folds = stratified_folds(self.codes[index], CROSS_FIT_FOLDS, self.seed, weights)
        unfitted = None if self.teacher is None else clone(self.teacher)
        outputs = np.empty((len(index), len(teacher.classes)) if len(teacher.classes) else len(index))
        for fold in np.unique(folds):
            held_out = folds == fold
            model = teacher if fold == NEVER_HELD_OUT else self._fit(unfitted, index[~held_out])
            outputs[held_out] = self._predict_unseen(model, teacher, index[held_out])
        return outputs

    def _predict_unseen(self, model: Teacher, teacher: Teacher, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Predict rows that a model was not fitted to; a row that it refuses is predicted by the whole teacher."""
        rows = self.rows.take(index)
        try:
            return self._predict(model, rows)
        except ConfigurationError:
            raise
        except ValueError:  # such as a category that occurs in this row only
            if len(index) == 1:
                return self._predict(teacher, rows)
        return np.concatenate([self._predict_unseen(model, teacher, half) for half in np.array_split(index, 2)])

    def _fit(self, teacher: Any, index: NDArray[np.int64]) -> Teacher:
        weights = None if self.sample_weight is None else self.sample_weight[index]
        inputs = self.inputs(self.rows.take(index))
        return fit_teacher(teacher, inputs, self.y[index], self.seed, self.feature_names, weights, self.regression)

    def _predict(self, teacher: Teacher, rows: TableRows) -> NDArray[np.float64]:
        return teacher.predict_outputs(self.inputs(rows))

    def _fit_format(self, teacher: Teacher, rows: TableRows) -> Any:
        return teacher.to_fit_format(self.inputs(rows))


def is_bootstrap_forest(model: Any) -> bool:
    """Return whether a model, or the last step of a pipeline, is a forest whose trees have bootstrap samples."""
    forest = _last_step(model)
    return isinstance(forest, BaseForest) and bool(forest.bootstrap)


def is_forest_of(model: Any, n_rows: int) -> bool:
    """Return whether a fitted model, or the last step of a pipeline, is a forest that was fitted to as many rows."""
    forest = _last_step(model)
    return isinstance(forest, BaseForest) and bool(forest._n_samples == n_rows)


def has_out_of_bag(model: Any, y: NDArray[Any]) -> bool:
    """Return whether the out-of-bag rows of a fitted model are known: a bootstrap forest of these rows in this order.

    The root of a tree stores the mean of its bootstrap rows. Where this is not the mean of ``y`` at these, the forest
    was fitted to other rows or in another order. It is not compared where it depends on unknown weights.

    Args:
        model: fitted model, or a pipeline that ends with one.
        y: labels or values (N,) of the rows.
    """
    if not is_bootstrap_forest(model) or not is_forest_of(model, len(y)):
        return False
    forest = copy.copy(_last_step(model))
    forest.estimators_ = forest.estimators_[:CHECKED_TREES]  # the bootstrap rows of all trees take seconds
    trees = [tree.tree_ for tree in forest.estimators_]
    weighted = any(tree.weighted_n_node_samples[0] != forest._n_samples_bootstrap for tree in trees)
    if weighted or forest.n_outputs_ > 1 or getattr(forest, "class_weight", None) is not None:
        return True
    if hasattr(forest, "classes_"):
        targets = np.equal(y[:, None], forest.classes_).astype(np.float64)
    elif forest.criterion == "absolute_error":  # the root is the median
        return True
    else:
        targets = np.asarray(y, dtype=np.float64)[:, None]
    roots = [tree.value[0].ravel() for tree in trees]
    means = [targets[bag].mean(axis=0) for bag in forest.estimators_samples_]
    return bool(np.allclose(roots, means, rtol=ROOT_TOLERANCE, atol=ROOT_TOLERANCE * targets.std()))


def _last_step(model: Any) -> Any:
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def out_of_bag_outputs(model: Any, X: Any, in_bag: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average, for each training row, the trees of a forest whose bootstrap sample does not contain the row.

    Unlike ``oob_decision_function_`` it needs no ``oob_score=True``, and uses the given rows.

    Args:
        model: fitted forest with ``bootstrap=True``, or a pipeline that ends with one.
        X: training rows (N, D), in the order of ``fit``.
        in_bag: outputs (N, K) or (N,) for the rows that every bootstrap sample contains.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> forest = RandomForestClassifier(50, oob_score=True, random_state=0).fit(X, y)
        >>> outputs = out_of_bag_outputs(forest, X, forest.predict_proba(X))
        >>> bool(np.allclose(outputs, forest.oob_decision_function_))
        True
    """
    if isinstance(model, Pipeline):
        X, model = model[:-1].transform(X) if len(model) > 1 else X, model[-1]
    inputs = check_array(X, accept_sparse="csr", dtype=np.float32, ensure_all_finite=False)  # an encoder may be sparse
    total, count = np.zeros_like(in_bag), np.zeros(len(in_bag))
    for tree, bag in zip(model.estimators_, model.estimators_samples_, strict=True):
        rows = np.ones(len(in_bag), dtype=bool)
        rows[bag] = False
        predict = tree.predict_proba if in_bag.ndim == 2 else tree.predict
        if rows.any():
            total[rows] += predict(inputs[rows], check_input=False)
            count[rows] += 1
    mean: NDArray[np.float64] = (total.T / np.maximum(count, 1)).T
    mean[count == 0] = in_bag[count == 0]
    return mean
