"""Names of the formats of exported networks, validated before PyTorch is imported."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from difflib import get_close_matches
from io import StringIO

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.dependencies import check_packages

EXPORT_PACKAGES: dict[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "pt2": (),
    "safetensors": (),
    "int8": ("onnx", "onnxscript", "onnxruntime"),
}
"""Formats of exported networks, and the optional packages that each requires."""


def check_export_formats(formats: Iterable[str], option: str = "formats") -> tuple[str, ...]:
    """Validate formats of exported networks, and that their packages are installed.

    Args:
        formats: names; repeated names count once.
        option: argument or command-line option, for error messages (default: ``"formats"``).

    Returns:
        The names without repetitions, in the given order.

    Raises:
        ConfigurationError: there is no name, a name is unknown, or a package is not installed.

    Example:
        >>> check_export_formats(["pt2", "safetensors", "pt2"])
        ('pt2', 'safetensors')
    """
    names = tuple(dict.fromkeys(formats))
    if not names:
        raise ConfigurationError(f"{option}: got no format, expected some of {', '.join(EXPORT_PACKAGES)}")
    for name in names:
        if name not in EXPORT_PACKAGES:
            raise ConfigurationError(f"{option}: got '{name}', expected some of {_formats(name)}")
        check_packages(EXPORT_PACKAGES[name])
    return names


def split_names(text: str) -> list[str]:
    """Split a comma-separated list of names, as a row of a CSV file: a name that contains commas is quoted.

    Example:
        >>> split_names("onnx, pt2")
        ['onnx', 'pt2']
        >>> split_names('"Height, cm",b')
        ['Height, cm', 'b']
    """
    rows = csv.reader(StringIO(text, newline=""), skipinitialspace=True)
    return [name.strip() for row in rows for name in row if name.strip()]


def _formats(name: str) -> str:
    similar = get_close_matches(name, EXPORT_PACKAGES, n=1)
    return ", ".join(EXPORT_PACKAGES) + (f"; did you mean '{similar[0]}'?" if similar else "")
