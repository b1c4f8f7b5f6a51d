"""Export of fitted trees, forests and gradient boosting as C source of 16-bit integers, for microcontrollers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export.boosting import clips_values, encode_samples, is_boosting
from ganmc_lightning.tabular.export.c_library import CModel, compile_c, has_compiler
from ganmc_lightning.tabular.export.c_source import (
    TOLERANCE,
    describe,
    flatten_for_c,
    predict_flat,
    source_path,
    write_source,
)
from ganmc_lightning.tabular.export.ensemble import FlatEnsemble, apply_link, blocks, to_ensemble
from ganmc_lightning.tabular.export.ensemble_probes import probe_ensemble
from ganmc_lightning.tabular.export.fixed_point import FixedPointEnsemble, to_fixed_point, to_single
from ganmc_lightning.tabular.export.fixed_point_text import fixed_point_texts
from ganmc_lightning.tabular.export.probes import SPECIAL
from ganmc_lightning.tabular.export.target import to_samples
from ganmc_lightning.tabular.export.verification import verify
from ganmc_lightning.tabular.student import to_probabilities

LARGEST_INDEX = 2**15 - 1
"""Largest row of a subset of categories, which is stored in an int16."""


@dataclass(frozen=True)
class FixedPointReport:
    """Errors of a model in 16-bit integers.

    Values are predictions of a regressor, probabilities of trees and forests, sums before the link function of boosted
    classifiers, and values before normalization of a student of three or more classes that is a regressor.

    Attributes:
        path: the ``.c`` file.
        bits: number of fractional bits of leaves and sums.
        bound: largest possible error of a value of a sample that reaches the same leaves.
        largest_error: largest error of a value on the samples, moved ones included.
        inexact_thresholds: number of thresholds that at least one sample takes the other child of.
        moved_rows: number of samples that reach another leaf in at least one tree.
        changed_labels: number of samples with another label; None for a regressor.

    Example:
        >>> FixedPointReport(Path("model.c"), 15, 2e-5, 2e-5, 0, 0, None).bound
        2e-05
    """

    path: Path
    bits: int
    bound: float
    largest_error: float
    inexact_thresholds: int
    moved_rows: int
    changed_labels: int | None


def to_c_int16(model: Any, path: Path | str, X: ArrayLike, name: str | None = None) -> FixedPointReport:
    """Write a fitted model as C99 source that predicts with 16-bit integers, without a floating-point unit.

    Features are rounded to 16 bits on a grid between the thresholds of their column, leaf values to 16 bits with one
    power of two as unit; sums have 32 bits. ``<name>_quantize``, ``<name>_sums`` and ``<name>_classify`` predict one
    sample; ``<name>_predict`` returns predictions as :func:`to_c` does.

    Before writing, the source is compiled and compared with the same integer arithmetic in Python, where there is a C
    compiler.

    Args:
        model: a model that :func:`to_c` supports.
        path: ``.c`` file, or folder of the files; created if missing.
        X: samples (N, D), such as the training samples, on which thresholds are placed and errors are counted.
        name: name of the files in a folder, and prefix of the C symbols (default: ``"model"``).

    Returns:
        The errors that rounding causes.

    Raises:
        ConfigurationError: as for :func:`to_c`; or ``X`` is empty or has another shape.
        NotFittedError: the model is not fitted.

    Example:
        >>> from sklearn.tree import DecisionTreeClassifier
        >>> X = [[0.0], [1.0], [2.0]]
        >>> tree = DecisionTreeClassifier(random_state=0).fit(X, [0, 1, 0])
        >>> with TemporaryDirectory() as folder:
        ...     report = to_c_int16(tree, folder, X)
        >>> report.bits, report.largest_error, report.moved_rows
        (15, 0.0, 0)
    """
    target = source_path(Path(path), name)
    trees = flatten_for_c(model)
    described = describe(model, trees)
    verify(target, model, lambda rows: predict_flat(model, trees, rows), TOLERANCE, ties=True)
    ensemble = trees if isinstance(trees, FlatEnsemble) else to_ensemble(trees, described.features)
    if len(ensemble.goes_left) > LARGEST_INDEX:
        raise ConfigurationError(
            f"model: got {len(ensemble.goes_left)} splits by categories, expected at most {LARGEST_INDEX}"
        )
    samples = to_samples(encode_samples(model, X), described.features, np.float64 if is_boosting(model) else np.float32)
    if len(samples) == 0:
        raise ConfigurationError("X: got 0 samples, expected at least one")
    fixed = to_fixed_point(ensemble, samples)
    header, source = fixed_point_texts(target.stem, described, fixed)
    if has_compiler():
        _check_compiled(target, model, fixed, samples, header, source)
    write_source(target, header, source)
    return _report(target, model, fixed, samples)


def _check_compiled(
    target: Path, model: Any, fixed: FixedPointEnsemble, X: NDArray[Any], header: str, source: str
) -> None:
    """Compile the source and compare its predictions with those of the same integers in Python.

    Raises:
        ConfigurationError: the predictions differ.
    """
    rows = np.concatenate([probe_ensemble(fixed.ensemble, SPECIAL, np.float32), to_single(X)])
    expected = _predictions(model, fixed.ensemble, fixed.decision_function(rows))
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows cannot delete a loaded library
        copy = Path(folder, target.name)
        copy.with_suffix(".h").write_text(header, encoding="utf-8")
        copy.write_text(source, encoding="utf-8")
        compiled = CModel(compile_c(copy))
        actual, labels = compiled.predict(rows), compiled.classify(rows) if is_classifier(model) else None
    allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    different = ~(np.abs(actual - expected).max(axis=1) <= allowed)
    if labels is not None:  # of classes with equal probability, any may be returned
        different |= expected[np.arange(len(rows)), labels] < expected.max(axis=1) - allowed
    if different.any():
        raise ConfigurationError(
            f"{target}: not written, because the compiled integers differ from {type(model).__name__} in integers: "
            f"{int(different.sum())} of {len(rows)} samples; use to_c instead"
        )


def _report(target: Path, model: Any, fixed: FixedPointEnsemble, X: NDArray[Any]) -> FixedPointReport:
    exact, largest_error, moved_rows, changed_labels = fixed.ensemble, 0.0, 0, 0
    for rows in blocks(len(X)):
        reached, moved = exact.apply(exact.encode(X[rows])), fixed.apply(fixed.round_features(X[rows]))
        expected, actual = exact.to_values(reached), fixed.to_values(moved)
        labels = [_predictions(model, exact, values).argmax(axis=1) for values in (expected, actual)]
        largest_error = max(largest_error, float(np.abs(actual - expected).max()))
        moved_rows += int((reached != moved).any(axis=1).sum())
        changed_labels += int((labels[0] != labels[1]).sum())
    return FixedPointReport(
        path=target,
        bits=fixed.bits,
        bound=fixed.bound(),
        largest_error=largest_error,
        inexact_thresholds=fixed.count_inexact_thresholds(X),
        moved_rows=moved_rows,
        changed_labels=changed_labels if is_classifier(model) else None,
    )


def _predictions(model: Any, ensemble: FlatEnsemble, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if clips_values(model):
        return to_probabilities(values[:, 0] if values.shape[1] == 1 else values)
    return apply_link(ensemble.link, values)
