"""Read the files of ``ganmc compress``: teacher, tables, GAN."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.cli.compress_arguments import input_paths
from ganmc_lightning.cli.compress_gan_rows import load_table_synthesizer
from ganmc_lightning.data.datasets.table_frame import TargetTable, read_target_table
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.card.text import GAN
from ganmc_lightning.tabular.compress_checks import check_columns
from ganmc_lightning.tabular.sampling import SupportsSample
from ganmc_lightning.tabular.teacher_files import load_teacher

MAX_CLASSES = 20
"""Integer targets with more distinct values are values of a regression, unless the model is a classifier."""
EXACT = 2**53
"""float64 rounds larger integers, and those of 2**63 or more do not fit into int64."""


class CompressInputs(NamedTuple):
    """Content of the files of the command.

    Attributes:
        teacher: fitted model, or None.
        X: features of the training table.
        y: labels or values.
        sample_weight: weights of the rows, or None.
        regression: whether the target is continuous.
        validation: rows and targets to choose the student on, or None.
        test: rows and targets to measure on, or None.
        synthesizers: sources of synthetic rows by name.
    """

    teacher: Any
    X: Any
    y: NDArray[Any]
    sample_weight: NDArray[np.float64] | None
    regression: bool
    validation: tuple[Any, NDArray[Any]] | None
    test: tuple[Any, NDArray[Any]] | None
    synthesizers: Mapping[str, SupportsSample]


def read_inputs(arguments: argparse.Namespace) -> CompressInputs:
    """Read and validate all files of the command.

    Raises:
        ConfigurationError: a file is missing or invalid, or the teacher was fitted to other columns.
    """
    model, path = input_paths(arguments)
    table = read_target_table(path, arguments.target, arguments.drop, weight=arguments.weight)
    y = _plain_values(table.y, f"{path}: column {arguments.target!r}")
    classes: list[Any] = [] if _is_continuous(y) else np.unique(y).tolist()
    teacher = None if model is None else load_teacher(model, classes, arguments.trust, list(table.X.columns))
    regression = _is_regression(arguments, teacher, y, path)
    if teacher is not None:
        check_columns(teacher, [str(name) for name in table.X.columns], str(path))
        if not regression:
            y = _like_classes(y, getattr(teacher, "classes_", None))

    def read(option: Path | None) -> tuple[Any, NDArray[Any]] | None:
        if option is None:
            return None
        other: TargetTable = read_target_table(option, arguments.target, arguments.drop, table.X)
        column = f"{option}: column {arguments.target!r}"
        values = _targets_like(_plain_values(other.y, column), y, regression, column)
        if len(np.unique(values.astype(str))) == 1:
            raise ConfigurationError(f"{column}: got one value, {values.tolist()[0]!r}, expected two or more")
        return other.X, values

    return CompressInputs(
        teacher,
        table.X,
        np.asarray(y, dtype=np.float64) if regression else y,
        None if table.weight is None else table.weight.to_numpy(),
        regression,
        read(arguments.validation),
        read(arguments.test),
        _synthesizers(arguments.gan, table.X, str(path)),
    )


def _plain_values(series: Any, name: str) -> NDArray[Any]:
    """Return text as objects, whole numbers as integers, other numbers as float64.

    Raises:
        ConfigurationError: a number is infinite.
    """
    values: NDArray[Any] = series.to_numpy()
    if values.dtype.kind != "f":
        return values.astype(object)
    infinite = values[~np.isfinite(values)]
    if len(infinite):
        raise ConfigurationError(f"{name}: got {infinite[0]}, expected finite numbers")
    whole = np.equal(values, np.round(values)) & (np.abs(values) < EXACT)
    return values.astype(np.int64) if whole.all() else values


def _is_continuous(y: NDArray[Any]) -> bool:
    return y.dtype.kind == "f"


def _is_regression(arguments: argparse.Namespace, teacher: Any, y: NDArray[Any], path: Path) -> bool:
    """Decide the task: ``--task``, else by the model, else by the target.

    Raises:
        ConfigurationError: the model or the target does not fit the task.
    """
    column, first = f"{path}: column {arguments.target!r}", y.tolist()[0]
    numeric = y.dtype.kind in "if"
    regression: bool
    if arguments.task != "auto":
        regression = arguments.task == "regression"
    elif teacher is not None:
        regression = not hasattr(teacher, "predict_proba")
    else:
        regression = _is_continuous(y) or bool(numeric and len(np.unique(y)) > MAX_CLASSES)
    if teacher is not None and regression == hasattr(teacher, "predict_proba"):
        kind = type(teacher).__name__
        raise ConfigurationError(f"--task: got {arguments.task}, the model {kind} is not of this kind")
    if regression and not numeric:
        raise ConfigurationError(f"{column}: got text, e.g. {first!r}, expected numbers for regression")
    if not regression and _is_continuous(y):
        raise ConfigurationError(
            f"{column}: got a continuous target, e.g. {first!r}, expected classes; choose --task regression and a "
            "regressor"
        )
    if len(np.unique(y.astype(str))) == 1:
        raise ConfigurationError(f"{column}: got one value, {first!r}, expected two or more")
    return regression


def _like_classes(y: NDArray[Any], classes: Any) -> NDArray[Any]:
    """Convert labels to the type of a model's classes, such as 1 to '1' or True, where their texts are equal."""
    if classes is None:
        return y
    known: dict[str, Any] = {}
    for label in np.asarray(classes).tolist():
        known[str(int(label)) if isinstance(label, bool | float) and label == int(label) else str(label)] = label
    if y.dtype.kind == "O":
        known |= {str(label): label for label in np.asarray(classes).tolist()}
    texts = [str(value) for value in y.tolist()]
    if not set(texts) <= set(known):
        return y
    return np.asarray([known[text] for text in texts], dtype=np.asarray(classes).dtype)


def _targets_like(values: NDArray[Any], y: NDArray[Any], regression: bool, name: str) -> NDArray[Any]:
    if regression:
        if values.dtype.kind not in "if":
            raise ConfigurationError(f"{name}: got text, e.g. {values[0]!r}, expected numbers for regression")
        return values.astype(np.float64)
    labels = _like_classes(values, np.unique(y))
    unknown = sorted({str(value) for value in labels.tolist()} - {str(value) for value in y.tolist()})
    if unknown:
        raise ConfigurationError(f"{name}: got {unknown[0]!r}, expected one of the classes of the training table")
    return labels


def _synthesizers(gan: str | None, X: Any, source: str) -> dict[str, SupportsSample]:
    from ganmc_lightning.synthesizers import (
        AdversarialForestSynthesizer,
        JitterSynthesizer,
        MungeSynthesizer,
        SmoteSynthesizer,
    )

    given: dict[str, SupportsSample] = {} if gan is None else {GAN: load_table_synthesizer(gan, X, source)}
    others: dict[str, Any] = {
        "jitter": JitterSynthesizer(),
        "smote": SmoteSynthesizer(),
        "munge": MungeSynthesizer(),
        "adversarial forest": AdversarialForestSynthesizer(),
    }
    return {**given, **others}
