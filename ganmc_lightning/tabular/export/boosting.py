"""Nodes of scikit-learn's histogram gradient boosting.

scikit-learn has no public access to the trees of these models, unlike ``tree_`` of a decision tree. These private
attributes exist in scikit-learn 1.7 to 1.9 and are read only here: ``_predictors`` (trees of each iteration and
output, with ``nodes`` and ``raw_left_cat_bitsets``), ``_baseline_prediction`` (start of the sums) and
``_preprocessor`` (encoder of categories). The bitsets of known categories are not needed, as the encoder converts
unknown categories to NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export.ensemble import FlatEnsemble, Link, is_text
from ganmc_lightning.tabular.student import StudentClassifier

LOG_LINKS = ("gamma", "poisson")
"""Losses of regressors that predict the exponential of the sums."""


def is_boosting(model: Any) -> bool:
    """Return whether a model, or the model inside a student, is histogram gradient boosting with one or more outputs.

    Example:
        >>> is_boosting(HistGradientBoostingClassifier()), is_boosting(MultiOutputRegressor(None))
        (True, False)
    """
    inner = inner_model(model)
    if isinstance(inner, MultiOutputRegressor):
        members = getattr(inner, "estimators_", [inner.estimator])
        return all(isinstance(member, HistGradientBoostingRegressor) for member in members)
    return isinstance(inner, HistGradientBoostingClassifier | HistGradientBoostingRegressor)


def inner_model(model: Any) -> Any:
    """Return the regressor or classifier of a student, or the model itself."""
    return model.regressor if isinstance(model, StudentClassifier) else model


def clips_values(model: Any) -> bool:
    """Return whether a model is a student that converts the values of a regressor to probabilities.

    Example:
        >>> clips_values(StudentClassifier(HistGradientBoostingRegressor(), [0, 1]))
        True
    """
    return isinstance(model, StudentClassifier) and not is_classifier(model.regressor)


def check_link(model: Any) -> None:
    """Validate that a boosted model has the identity, sigmoid or softmax link.

    Raises:
        ConfigurationError: its loss has another link.
    """
    for member in _members(model):
        if member.loss in LOG_LINKS:
            raise ConfigurationError(
                f"model: got {type(member).__name__} with loss {member.loss!r}, expected squared_error, absolute_error "
                "or quantile"
            )


def flatten_boosting(model: Any) -> FlatEnsemble:
    """Concatenate the trees of fitted histogram gradient boosting, or of a student of it, in the order of its sums.

    Raises:
        ConfigurationError: the outputs have different categories.
    """
    members = _members(model)
    categories = _categories(members[0])
    builder = _Builder(max(map(len, categories.values()), default=0))
    baselines: list[NDArray[np.float64]] = []
    for member in members:
        if not _equal(_categories(member), categories):
            raise ConfigurationError("model: got outputs with different categories, expected equal ones")
        columns, first = _columns(member), sum(map(len, baselines))
        baselines.append(np.asarray(member._baseline_prediction, dtype=np.float64).ravel())
        for iteration in member._predictors:
            for number, predictor in enumerate(iteration):
                builder.add(predictor, columns, first + number)
    # scikit-learn adds the baseline to zero, which changes -0.0
    return builder.build(np.concatenate(baselines) + 0.0, _link(members[0]), categories, members[0].n_features_in_)


def decode_samples(model: Any, X: Any) -> Any:
    """Replace codes by the text categories that a boosted model was fitted to, where samples (N, D) contain codes.

    Samples of other models, and samples that are no float arrays, are returned unchanged.
    """
    if not (is_boosting(model) and isinstance(X, np.ndarray) and X.dtype.kind == "f"):
        return X
    text = {column: values for column, values in _categories(_members(model)[0]).items() if is_text(values)}
    if not text:
        return X
    decoded = X.astype(object)
    for column, values in text.items():
        known = np.isin(X[:, column], np.arange(len(values)))
        decoded[:, column] = np.nan
        decoded[known, column] = values[X[known, column].astype(int)]
    return decoded


def encode_samples(model: Any, X: Any) -> Any:
    """Replace the text categories of samples (N, D) by codes, as exported boosted models require.

    Numeric samples and those of other models are returned unchanged. An unknown category becomes NaN.

    Example:
        >>> X = np.array([["red", 0.5], ["blue", 1.5]] * 20, dtype=object)
        >>> model = HistGradientBoostingRegressor(max_iter=1, categorical_features=[0]).fit(X, [0, 1] * 20)
        >>> encode_samples(model, X[:2]).tolist()
        [[1.0, 0.5], [0.0, 1.5]]
    """
    if not is_boosting(model):
        return X
    member = _members(model)[0]
    if not any(is_text(values) for values in _categories(member).values()):
        return X
    encoded = member._preprocessor.transform(X)
    samples = np.empty_like(encoded)
    samples[:, _columns(member)] = encoded
    for column, values in _categories(member).items():
        if not is_text(values):
            codes = samples[:, column]
            known = ~np.isnan(codes)
            samples[known, column] = values[codes[known].astype(int)]
    return samples


def _members(model: Any) -> list[Any]:
    inner = inner_model(model)
    if isinstance(inner, MultiOutputRegressor):
        return list(getattr(inner, "estimators_", [inner.estimator]))
    return [inner]


def _link(member: Any) -> Link:
    if isinstance(member, HistGradientBoostingClassifier):
        return "sigmoid" if member.n_trees_per_iteration_ == 1 else "softmax"
    return "exp" if member.loss in LOG_LINKS else "identity"


def _columns(member: Any) -> NDArray[np.int64]:
    """Return the input column of each feature of the trees: the encoder moves categorical columns to the front."""
    columns = np.arange(member.n_features_in_)
    if member._preprocessor is None:
        return columns
    return np.concatenate([columns[member.is_categorical_], columns[~member.is_categorical_]])


def _categories(member: Any) -> dict[int, NDArray[Any]]:
    """Return the categories of each categorical column in the order of their codes, without NaN."""
    if getattr(member, "_preprocessor", None) is None:
        return {}
    encoder = member._preprocessor.named_transformers_["encoder"]
    columns = np.flatnonzero(member.is_categorical_).tolist()
    return {
        column: values[:-1] if len(values) and values[-1] != values[-1] else values
        for column, values in zip(columns, encoder.categories_, strict=True)
    }


def _equal(first: dict[int, NDArray[Any]], second: dict[int, NDArray[Any]]) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


class _Builder:
    """Collects the nodes of trees.

    Args:
        n_categories: largest number of categories of a feature.
    """

    def __init__(self, n_categories: int) -> None:
        self._n_categories = n_categories
        self._nodes: list[tuple[NDArray[Any], ...]] = []
        self._leaves: list[NDArray[np.float64]] = []
        self._subsets: list[NDArray[np.bool_]] = []
        self._roots: list[int] = []
        self._outputs: list[int] = []
        self._counts = [0, 0, 0]  # inner nodes, leaves and subsets so far

    def add(self, predictor: Any, columns: NDArray[np.int64], output: int) -> None:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        n_inner, n_leaves, n_subsets = self._counts
        child = np.where(leaf, ~(n_leaves + np.cumsum(leaf) - 1), n_inner + np.cumsum(~leaf) - 1)
        inner = nodes[~leaf]
        categorical = inner["is_categorical"].astype(bool)
        self._nodes.append(
            (
                np.where(categorical, 0, inner["num_threshold"]),
                columns[inner["feature_idx"]],
                inner["missing_go_to_left"].astype(bool),
                np.where(categorical, n_subsets + inner["bitset_idx"].astype(np.int64), -1),
                child[inner["left"]],
                child[inner["right"]],
            )
        )
        bitsets = np.asarray(predictor.raw_left_cat_bitsets, dtype="<u4").reshape(-1, 8)
        bits = np.unpackbits(bitsets.view(np.uint8), axis=1, bitorder="little")
        self._subsets.append(bits[:, : self._n_categories].astype(bool))
        self._leaves.append(nodes["value"][leaf])
        self._roots.append(int(child[0]))
        self._outputs.append(output)
        self._counts = [n_inner + len(inner), n_leaves + int(leaf.sum()), n_subsets + len(bitsets)]

    def build(
        self, baseline: NDArray[np.float64], link: Link, categories: dict[int, NDArray[Any]], n_features: int
    ) -> FlatEnsemble:
        thresholds, features, missing, subsets, left, right = (
            np.concatenate(arrays) for arrays in zip(*self._nodes, strict=True)
        )
        return FlatEnsemble(
            thresholds=thresholds,
            features=features,
            missing_left=missing,
            subsets=subsets,
            left=left,
            right=right,
            roots=np.asarray(self._roots),
            outputs=np.asarray(self._outputs),
            leaves=np.concatenate(self._leaves)[:, None],
            baseline=baseline,
            divisor=1,
            link=link,
            goes_left=np.concatenate(self._subsets),
            categories=categories,
            n_features=n_features,
        )
