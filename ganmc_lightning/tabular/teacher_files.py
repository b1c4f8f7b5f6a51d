"""Load a fitted teacher from a file: skops, XGBoost, LightGBM, or pickle where it is trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.input_files import check_regular_file
from ganmc_lightning.tabular.export.skops import load_skops
from ganmc_lightning.tabular.student import ArgmaxClassifier

PICKLES, XGBOOST, LIGHTGBM = (".joblib", ".pkl", ".pickle"), (".json", ".ubj"), (".txt",)
SUFFIXES = (".skops", *PICKLES, *XGBOOST, *LIGHTGBM)


def load_teacher(
    path: Path | str, classes: Sequence[Any] = (), trust: bool = False, columns: Sequence[str] = ()
) -> Any:
    """Load a fitted classifier or regressor.

    Args:
        path: ``.skops``; ``.joblib``, ``.pkl`` or ``.pickle``; ``.json`` or ``.ubj`` of XGBoost; ``.txt`` of LightGBM.
        classes: class labels in sorted order; the files of XGBoost and LightGBM contain only their numbers. Unused for
            other files and for regressors.
        trust: whether to load files that can run code: pickles, and skops files with other types than those of
            scikit-learn (default: False).
        columns: names of the columns of the table; LightGBM stores them with underscores in place of spaces.

    Raises:
        ConfigurationError: the file is not found, is not trusted, cannot be read, or has another number of classes; or
            the library that wrote it is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigurationError(f"{path}: got the suffix {suffix!r}, expected one of {', '.join(SUFFIXES)}")
    check_regular_file(path)
    if suffix in PICKLES:
        return _load_pickle(path, trust)
    if suffix in XGBOOST:
        return _load_xgboost(path, classes)
    if suffix in LIGHTGBM:
        return _load_lightgbm(path, classes, columns)
    return load_skops(path, _types_of(path) if trust else ())


class _FittedBooster(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Properties of an estimator that predicts with a fitted booster, which accepts missing values."""

    n_features: int
    feature_names: Sequence[str] | None

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self.n_features

    @property
    def feature_names_in_(self) -> NDArray[Any] | None:
        """Names of the features (D,), or None."""
        return None if self.feature_names is None else np.asarray(self.feature_names, dtype=object)


class BoosterClassifier(_FittedBooster, ArgmaxClassifier):
    """Fitted classifier that predicts with a booster of XGBoost or LightGBM, and names its classes.

    Args:
        booster: object with ``predict_proba``, or with ``predict`` that returns P(y = second class) (N,) or
            probabilities (N, K).
        classes: class labels (K,), in the order of the numbers that the booster was fitted to.
        n_features: number of features D.
        feature_names: names of the features (D,), or None for a booster that was fitted to an array (default).

    Attributes:
        classes_: class labels (K,).
        n_features_in_: number of features D.
        feature_names_in_: names of the features (D,), or None.
    """

    def __init__(
        self, booster: Any, classes: Sequence[Any], n_features: int, feature_names: Sequence[str] | None = None
    ) -> None:
        self.booster = booster
        self.classes = classes
        self.n_features = n_features
        self.feature_names = feature_names

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels (K,), in the order of the probabilities."""
        return np.asarray(self.classes)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict class probabilities (N, K) of samples (N, D)."""
        predict = getattr(self.booster, "predict_proba", self.booster.predict)
        values = np.asarray(predict(X), dtype=np.float64)
        return np.stack([1 - values, values], axis=1) if values.ndim == 1 else values


class BoosterRegressor(RegressorMixin, _FittedBooster):  # type: ignore[misc]  # scikit-learn has no types
    """Fitted regressor that predicts with a booster of XGBoost or LightGBM.

    Args:
        booster: object with ``predict``.
        n_features: number of features D.
        feature_names: names of the features (D,), or None for a booster that was fitted to an array (default).

    Attributes:
        n_features_in_: number of features D.
        feature_names_in_: names of the features (D,), or None.
    """

    def __init__(self, booster: Any, n_features: int, feature_names: Sequence[str] | None = None) -> None:
        self.booster = booster
        self.n_features = n_features
        self.feature_names = feature_names

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict values (N,) of samples (N, D)."""
        return np.asarray(self.booster.predict(X), dtype=np.float64).ravel()


def _types_of(path: Path) -> list[str]:
    from skops import io

    try:
        return list(io.get_untrusted_types(file=path))
    except Exception:  # load_skops reports an invalid file
        return []


def _load_pickle(path: Path, trust: bool) -> Any:
    if not trust:
        raise ConfigurationError(
            f"{path}: a pickle runs code when it is loaded; pass --trust if you know its origin, or save the model as "
            ".skops"
        )
    import joblib  # type: ignore[import-untyped]

    try:
        return joblib.load(path)  # also reads plain pickles
    except Exception as error:  # unpickling can raise any exception
        raise ConfigurationError(f"{path}: cannot be unpickled: {type(error).__name__}: {one_line(error)}") from error


def _load_xgboost(path: Path, classes: Sequence[Any]) -> Any:
    xgboost = _import_library("xgboost", path)
    booster = xgboost.Booster()
    try:
        booster.load_model(path)
        objective = str(json.loads(booster.save_config())["learner"]["objective"]["name"])
    except Exception as error:  # xgboost has its own exceptions
        raise ConfigurationError(f"{path}: cannot be read as an XGBoost model: {one_line(error)}") from error
    if objective.startswith(("binary:", "multi:")):
        model = xgboost.XGBClassifier()
        model.load_model(path)
        _check_count(path, int(model.n_classes_), classes)
        return BoosterClassifier(model, list(classes), int(booster.num_features()), booster.feature_names)
    model = xgboost.XGBRegressor()
    model.load_model(path)
    return BoosterRegressor(model, int(booster.num_features()), booster.feature_names)


def _load_lightgbm(path: Path, classes: Sequence[Any], columns: Sequence[str]) -> Any:
    lightgbm = _import_library("lightgbm", path)
    try:
        booster = lightgbm.Booster(model_file=path)
        objective = str(booster.dump_model(num_iteration=1).get("objective", ""))
    except Exception as error:  # lightgbm has its own exceptions
        raise ConfigurationError(f"{path}: cannot be read as a LightGBM model: {one_line(error)}") from error
    given = list(booster.feature_name())
    unnamed = given == [f"Column_{number}" for number in range(len(given))]  # LightGBM's names of columns of an array
    stored = {name.replace(" ", "_"): name for name in columns}
    names = None if unnamed else [stored.get(name, name) for name in given]
    if not objective.startswith(("binary", "multiclass")):
        return BoosterRegressor(booster, int(booster.num_feature()), names)
    per_iteration = int(booster.num_model_per_iteration())
    _check_count(path, 2 if per_iteration == 1 else per_iteration, classes)
    return BoosterClassifier(booster, list(classes), int(booster.num_feature()), names)


def _import_library(name: str, path: Path) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"{path}: requires {name}: pip install {name}") from error


def _check_count(path: Path, count: int, classes: Sequence[Any]) -> None:
    if count != len(classes):
        raise ConfigurationError(f"{path}: the model has {count} classes, the target has {len(classes)}")
