"""Check the dependencies of exports before a long run."""

from __future__ import annotations

from ganmc_lightning.io.dependencies import check_packages
from ganmc_lightning.tabular.export.c_library import find_compiler

ONNX_PACKAGES = ("skl2onnx", "onnxruntime")
"""Packages that write an ONNX file and run it for verification."""


def check_exports() -> None:
    """Validate that every export format can be written.

    Raises:
        ConfigurationError: a package or a C compiler is missing.
    """
    check_packages((*ONNX_PACKAGES, "skops"))
    find_compiler()
