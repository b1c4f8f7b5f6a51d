"""Export of fitted trees, forests and gradient boosting as C source: arrays of nodes and one loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray
from sklearn.base import is_classifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.tabular.export.arrays import FORESTS, TREES, FlatTrees, flatten
from ganmc_lightning.tabular.export.boosting import check_link, clips_values, flatten_boosting, inner_model, is_boosting
from ganmc_lightning.tabular.export.c_library import CModel, compile_c, has_compiler
from ganmc_lightning.tabular.export.c_text import ModelDescription, header_and_source
from ganmc_lightning.tabular.export.ensemble import FlatEnsemble
from ganmc_lightning.tabular.export.ensemble_text import ensemble_texts
from ganmc_lightning.tabular.export.target import writing
from ganmc_lightning.tabular.export.verification import Predictions, accepts_missing, check_fitted, verify
from ganmc_lightning.tabular.profiling import trees_of
from ganmc_lightning.tabular.student import to_probabilities

TOLERANCE = 1e-12
"""Largest difference of values; zero unless the compiler uses extended precision."""


def to_c(model: Any, path: Path | str, name: str | None = None) -> Path:
    """Write a fitted model as ``<name>.c`` and ``<name>.h``: C99 without dependencies.

    The predictions equal scikit-learn's: features are compared in float32 (float64 for boosting), NaN and categories
    take the branches they take there, and sums have the same order. Probabilities of boosted classifiers may differ by
    rounding, because NumPy computes exponentials by its own code; their sums before the link function are equal.
    A classifier has probabilities and class indices, a regressor has values. The header lists features, categories and
    classes.

    Before writing, the source is compiled and compared with the model on samples on and next to its thresholds, with
    NaN where the model accepts it. Without a C compiler, the arrays of nodes are compared.

    Args:
        model: a :class:`~ganmc_lightning.tabular.StudentClassifier`, or scikit-learn's decision tree, random forest,
            extra trees or histogram gradient boosting; for a regressor also one such model per output in a
            ``MultiOutputRegressor``.
        path: ``.c`` file, or folder of the files; created if missing.
        name: name of the files in a folder, and prefix of the C symbols (default: ``"model"``).

    Returns:
        Path of the ``.c`` file.

    Raises:
        ConfigurationError: the type of the model is not supported, ``name`` is not a C identifier, the files cannot
            be written, or their predictions differ from the model's.
        NotFittedError: the model is not fitted.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> tree = DecisionTreeClassifier().fit([[0.0], [1.0]], ["no", "yes"])
        >>> with TemporaryDirectory() as folder:
        ...     to_c(tree, Path(folder, "tree.c")).name
        'tree.c'
    """
    target = source_path(Path(path), name)
    trees = flatten_for_c(model)
    described = describe(model, trees)
    if isinstance(trees, FlatEnsemble):
        header, source = ensemble_texts(target.stem, described, trees)
    else:
        header, source = header_and_source(target.stem, described, trees)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows cannot delete a loaded library
        # a student of a boosted classifier predicts the larger rounded probability, not the larger sum
        rounded = isinstance(trees, FlatEnsemble) and model is not inner_model(model)
        export = _predictor(model, trees, Path(folder, target.name), header, source)
        verify(target, model, export, TOLERANCE, ties=rounded)
    write_source(target, header, source)
    return target


def write_source(target: Path, header: str, source: str) -> None:
    """Write a ``.c`` file and its header.

    Raises:
        ConfigurationError: a file cannot be written.
    """
    with writing(target), atomic_write(target.with_suffix(".h")) as h_file, atomic_write(target) as c_file:
        for file, text in ((h_file, header), (c_file, source)):
            file.write(text)
            file.flush()  # both files are complete before the first is renamed


def source_path(path: Path, name: str | None) -> Path:
    """Return the path of the ``.c`` file.

    Raises:
        ConfigurationError: its name is not a C identifier, or is given twice.
    """
    if path.suffix == ".c" and not path.is_dir():
        if name is not None:
            raise ConfigurationError(f"name: got {name!r} in addition to the file {path}, expected a folder")
        target = path
    else:
        target = path / f"{'model' if name is None else name}.c"
    if not (target.stem.isidentifier() and target.stem.isascii()):
        raise ConfigurationError(f"name: got {target.stem!r}, expected a C identifier: letters, digits and '_'")
    return target


def flatten_for_c(model: Any) -> FlatTrees | FlatEnsemble:
    """Return the nodes of a model.

    Raises:
        ConfigurationError: the type of the model is not supported.
        NotFittedError: the model is not fitted.
    """
    inner = inner_model(model)
    kind = type(inner).__name__
    if is_boosting(model):
        check_link(model)
        check_fitted(model)
        return flatten_boosting(model)
    if not isinstance(inner, FORESTS + TREES):
        raise ConfigurationError(
            f"model: got {kind}, C export supports decision trees, random forests, extra trees and histogram gradient "
            "boosting"
        )
    check_fitted(model)
    if is_classifier(inner) and inner.n_outputs_ > 1:
        raise ConfigurationError(
            f"model: got {kind} with {inner.n_outputs_} outputs, C export supports one output per classifier"
        )
    return flatten(trees_of(inner) or [])


def describe(model: Any, trees: FlatTrees | FlatEnsemble) -> ModelDescription:
    """Return the properties of a model that the C files state.

    Raises:
        ConfigurationError: a student has another number of classes than outputs.
    """
    inner = inner_model(model)
    student = clips_values(model)
    values = len(trees.baseline) if isinstance(trees, FlatEnsemble) else trees.leaves.shape[1]
    two = student or (isinstance(trees, FlatEnsemble) and trees.link == "sigmoid")
    names = getattr(model, "feature_names_in_", None)
    described = ModelDescription(
        kind=type(inner).__name__,
        features=int(inner.n_features_in_),
        outputs=2 if two and values == 1 else values,
        columns=None if names is None else list(names),
        classes=model.classes_.tolist() if is_classifier(model) else None,
        student=student,
        missing=accepts_missing(model),
        categories=trees.categories if isinstance(trees, FlatEnsemble) else {},
    )
    if described.classes is not None and len(described.classes) != described.outputs:
        raise ConfigurationError(
            f"classes: got {len(described.classes)}, expected {described.outputs}, one per probability"
        )
    return described


def _predictor(
    model: Any, trees: FlatTrees | FlatEnsemble, source: Path, header_text: str, source_text: str
) -> Callable[[NDArray[Any]], Predictions]:
    """Return a function that predicts with the compiled source or, without a compiler, with its arrays."""
    classes = model.classes_ if is_classifier(model) else None
    if not has_compiler():
        return lambda X: predict_flat(model, trees, X)
    source.with_suffix(".h").write_text(header_text, encoding="utf-8")
    source.write_text(source_text, encoding="utf-8")
    compiled = CModel(compile_c(source))

    def predict(X: NDArray[Any]) -> Predictions:
        return Predictions(None if classes is None else classes[compiled.labels(X)], compiled.predict(X))

    return predict


def predict_flat(model: Any, trees: FlatTrees | FlatEnsemble, X: NDArray[Any]) -> Predictions:
    """Predict samples (N, D) with the arrays of a model."""
    values = trees.predict(X)
    if not is_classifier(model):
        return Predictions(None, values)
    if clips_values(model):
        values = to_probabilities(values[:, 0] if values.shape[1] == 1 else values)
    return Predictions(model.classes_[values.argmax(axis=1)], values)
