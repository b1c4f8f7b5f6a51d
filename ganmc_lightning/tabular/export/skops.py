"""Models stored and loaded without pickle, which runs whatever code a file holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.tabular.export.target import writing
from ganmc_lightning.tabular.export.verification import answers_of, comparable, verify

KNOWN = ("ganmc_lightning.tabular.student.StudentClassifier", "sklearn.tree._tree.Tree")
"""Types that a file may hold besides those skops trusts by itself."""


def save_skops(model: Any, path: Path | str) -> Path:
    """Store a fitted model; needs skops.

    Before it is written, the file is loaded back. A classifier or regressor must give the same answers, exactly, on
    rows on and beside its thresholds, with NaN and infinities where it accepts them.

    Args:
        model: a :class:`~ganmc_lightning.tabular.StudentClassifier` or a model of scikit-learn.
        path: the file to write, usually ``*.skops``.

    Returns:
        The file.

    Raises:
        ConfigurationError: skops is not installed or cannot store the model, or the file would answer otherwise than
            the model or cannot be written.
    """
    path = Path(path)
    skops = _skops()
    try:
        content = skops.dumps(model)
        # What the file holds is what this process holds already: there is nothing to distrust.
        loaded = skops.loads(content, trusted=skops.get_untrusted_types(data=content))
    except Exception as error:  # of many kinds, for whatever it does not know
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"{type(model).__name__} cannot be stored by skops: {reason}") from error
    if comparable(model):
        verify(path, model, lambda rows: answers_of(loaded, rows), 0)
    with writing(path), atomic_write(path, "wb") as file:
        file.write(content)
    return path


def load_skops(path: Path | str, trusted: Sequence[str] = ()) -> Any:
    """Load what :func:`save_skops` stored; nothing is built but students, trees and what skops trusts by itself.

    Args:
        path: the file.
        trusted: full names of further types that may be built.

    Raises:
        ConfigurationError: skops is not installed, there is no such file, or it holds other types.
    """
    path = Path(path)
    skops = _skops()
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file: check the name and the folder")
    try:
        foreign = sorted(set(skops.get_untrusted_types(file=path)) - {*KNOWN, *trusted})
        if foreign:
            raise ConfigurationError(f"{path} holds {', '.join(foreign)}: name them in trusted if you know them")
        return skops.load(path, trusted=[*KNOWN, *trusted])
    except ConfigurationError:
        raise
    except Exception as error:  # on bytes that are no such file it raises whatever it stumbles over
        raise ConfigurationError(
            f"{path} cannot be read as a skops file: {' '.join(str(error).split())[:200]}"
        ) from error


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ConfigurationError('skops is not installed: pip install "ganmc-lightning[export]"') from error
    return skops.io
