"""Store and load models without pickle, because unpickling can run arbitrary code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.archives import check_archive
from ganmc_lightning.io.dependencies import check_packages
from ganmc_lightning.io.input_files import check_regular_file
from ganmc_lightning.tabular.export.target import write_bytes
from ganmc_lightning.tabular.export.verification import comparable, predict_with, verify

LOSSES = (
    "AbsoluteError",
    "HalfBinomialLoss",
    "HalfGammaLoss",
    "HalfMultinomialLoss",
    "HalfPoissonLoss",
    "HalfSquaredError",
    "PinballLoss",
)
KNOWN = (
    "ganmc_lightning.tabular.student.StudentClassifier",
    "ganmc_lightning.tabular.table_student.TableClassifier",
    "ganmc_lightning.tabular.table_student.TableRegressor",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    # the next two encode categories of boosting; skops also requires that the function of a partial is trusted
    "functools.partial",
    "sklearn.utils.validation.check_array",
    # the oldest supported skops does not trust these parts of boosting
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "_loss.CyHalfMultinomialLoss",
    *(f"sklearn._loss.loss.{name}" for name in LOSSES),
    *(
        f"sklearn._loss.link.{name}"
        for name in ("IdentityLink", "Interval", "LogLink", "LogitLink", "MultinomialLogit")
    ),
)
"""Types that a file may contain in addition to those that skops trusts."""


def save_skops(model: Any, path: Path | str) -> Path:
    """Write a fitted model as a skops file; requires skops.

    Before writing, the content is loaded. A classifier or regressor must predict exactly the values of the model on
    samples on and next to its thresholds, with NaN and infinities where it accepts them.

    Args:
        model: a :class:`~ganmc_lightning.tabular.StudentClassifier` or a scikit-learn model.
        path: output file, usually ``*.skops``.

    Returns:
        Path of the file.

    Raises:
        ConfigurationError: skops is not installed or cannot store the model, the predictions of the file differ from
            the model's, or the file cannot be written.
    """
    path = Path(path)
    check_packages(("skops",))
    from skops import io

    try:
        content = io.dumps(model, compression=ZIP_DEFLATED)
        # all types are trusted, because the content was written by this process
        loaded = io.loads(content, trusted=io.get_untrusted_types(data=content))
    except Exception as error:  # skops raises exceptions of many types for models it does not support
        kind = type(model).__name__
        raise ConfigurationError(f"model: {kind} cannot be stored by skops: {one_line(error)}") from error
    if comparable(model):
        verify(path, model, lambda X: predict_with(loaded, X), 0)
    write_bytes(path, content)
    return path


def load_skops(path: Path | str, trusted: Sequence[str] = ()) -> Any:
    """Load a file of :func:`save_skops`; only students, trees and types that skops trusts are created.

    Args:
        path: skops file.
        trusted: full names of additional types that may be created (default: none).

    Raises:
        ConfigurationError: skops is not installed, or the file is not found or contains other types.
    """
    path = Path(path)
    check_packages(("skops",))
    from skops import io

    check_regular_file(path)
    check_archive(path)
    try:
        untrusted = sorted(set(io.get_untrusted_types(file=path)) - {*KNOWN, *trusted})
        if untrusted:
            raise ConfigurationError(
                f"{path}: contains untrusted types {', '.join(untrusted)}; list them in trusted to load them"
            )
        return io.load(path, trusted=[*KNOWN, *trusted])
    except ConfigurationError:
        raise
    except Exception as error:  # skops raises exceptions of many types for invalid files
        raise ConfigurationError(f"{path}: cannot be read as a skops file: {one_line(error)}") from error
