"""Check the dependencies of exports before a long run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export.c_library import find_compiler

ONNX_PACKAGES = ("skl2onnx", "onnxruntime")
"""Packages that write an ONNX file and run it for verification."""


def check_packages(packages: Sequence[str]) -> None:
    """Validate that packages are installed.

    Raises:
        ConfigurationError: naming the first missing package.
    """
    for package in packages:
        if find_spec(package) is None:
            raise ConfigurationError(f'exports require {package}: pip install "ganmc-lightning[export]"')


def check_exports() -> None:
    """Validate that every export format can be written.

    Raises:
        ConfigurationError: a package or a C compiler is missing.
    """
    check_packages((*ONNX_PACKAGES, "skops"))
    find_compiler()
