"""A fitted tree or forest as plain C: arrays of nodes and one loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.tabular.export.arrays import FORESTS, TREES, Arrays, flatten
from ganmc_lightning.tabular.export.c_library import CModel, compile_c, has_compiler
from ganmc_lightning.tabular.export.c_text import Described, header_and_source
from ganmc_lightning.tabular.export.target import writing
from ganmc_lightning.tabular.export.verification import Answers, accepts_missing, check_fitted, verify
from ganmc_lightning.tabular.profiling import trees_of
from ganmc_lightning.tabular.student import StudentClassifier, to_probabilities

TOLERANCE = 1e-12
"""How far values may differ; where numbers are kept in float64 alone they do not differ at all."""


def to_c(model: Any, path: Path | str, name: str | None = None) -> Path:
    """Write a fitted model as ``<name>.c`` and ``<name>.h``: C99 without any library.

    Its answers are scikit-learn's: thresholds are compared as scikit-learn compares them, with rows in float32, NaN
    goes the way it goes there, and sums are made in the same order. A classifier answers with its probabilities, and
    with the numbers of its classes, a regressor with its values. The header names columns and classes.

    Before anything is written, the source is compiled and compared with the model on rows on and beside its
    thresholds, with NaN where the model accepts it; without a C compiler, the arrays of nodes in it are compared.

    Args:
        model: a :class:`~ganmc_lightning.tabular.StudentClassifier`, or scikit-learn's decision tree, random forest or
            extra trees.
        path: the ``.c`` file to write, or the folder to write into; made if need be.
        name: of the files in a folder, ``"model"`` when left out, and what the names in them begin with.

    Returns:
        The ``.c`` file.

    Raises:
        ConfigurationError: the model is none of these or is not fitted, ``name`` is no name in C, the files cannot be
            written, or would answer otherwise than the model.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> tree = DecisionTreeClassifier().fit([[0.0], [1.0]], ["no", "yes"])
        >>> to_c(tree, "shipped/tree.c").name  # doctest: +SKIP
        'tree.c'
    """
    target = _target(Path(path), name)
    inner = model.regressor if isinstance(model, StudentClassifier) else model
    _check(model, inner)
    arrays = flatten(trees_of(inner) or [])
    header, source = header_and_source(target.stem, _describe(model, inner, arrays), arrays)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows deletes no library that is loaded
        verify(target, model, _export(model, arrays, Path(folder, target.name), header, source), TOLERANCE)
    with writing(target), atomic_write(target.with_suffix(".h")) as h_file, atomic_write(target) as c_file:
        for file, text in ((h_file, header), (c_file, source)):
            file.write(text)
            file.flush()  # both are complete before the first takes its place
    return target


def _target(path: Path, name: str | None) -> Path:
    """The ``.c`` file that is meant.

    Raises:
        ConfigurationError: its name is no name in C, or is given twice.
    """
    if path.suffix == ".c" and not path.is_dir():
        if name is not None:
            raise ConfigurationError(f"name: {path} names the file already: leave name={name!r} out, or give a folder")
        target = path
    else:
        target = path / f"{'model' if name is None else name}.c"
    if not (target.stem.isidentifier() and target.stem.isascii()):
        raise ConfigurationError(f"name: {target.stem!r} is no name in C: use letters, digits and '_'")
    return target


def _check(model: Any, inner: Any) -> None:
    kind = type(inner).__name__
    if not isinstance(inner, FORESTS + TREES):
        raise ConfigurationError(f"{kind} cannot be written as C: a decision tree, a random forest or extra trees can")
    check_fitted(model)
    if is_classifier(inner) and inner.n_outputs_ > 1:
        raise ConfigurationError(f"{kind} has {inner.n_outputs_} outputs: one classifier an output can be written")


def _describe(model: Any, inner: Any, arrays: Arrays) -> Described:
    student = model is not inner
    values = arrays.leaves.shape[1]
    names = getattr(model, "feature_names_in_", None)
    described = Described(
        kind=type(inner).__name__,
        features=int(inner.n_features_in_),
        outputs=2 if student and values == 1 else values,
        columns=None if names is None else list(names),
        classes=model.classes_.tolist() if is_classifier(model) else None,
        student=student,
        missing=accepts_missing(model),
    )
    if described.classes is not None and len(described.classes) != described.outputs:
        raise ConfigurationError(
            f"classes: got {len(described.classes)} for a student of {described.outputs} probabilities: name one each"
        )
    return described


def _export(
    model: Any, arrays: Arrays, source: Path, header_text: str, source_text: str
) -> Callable[[NDArray[np.float32]], Answers]:
    """What predicts with the compiled source or, without a compiler, with its arrays."""
    classes = model.classes_ if is_classifier(model) else None
    if not has_compiler():
        return lambda rows: _answers_of_arrays(model, arrays, rows)
    source.with_suffix(".h").write_text(header_text, encoding="utf-8")
    source.write_text(source_text, encoding="utf-8")
    compiled = CModel(compile_c(source))

    def predict(rows: NDArray[np.float32]) -> Answers:
        return Answers(None if classes is None else classes[compiled.labels(rows)], compiled.predict(rows))

    return predict


def _answers_of_arrays(model: Any, arrays: Arrays, rows: NDArray[np.float32]) -> Answers:
    values = arrays.mean(rows)
    if not is_classifier(model):
        return Answers(None, values)
    if isinstance(model, StudentClassifier):
        values = to_probabilities(values[:, 0] if values.shape[1] == 1 else values)
    return Answers(model.classes_[values.argmax(axis=1)], values)
