"""Whether everything that exports need is there, asked before the work and not after it."""

from __future__ import annotations

from importlib.util import find_spec

from ganmc_lightning.errors import InputError
from ganmc_lightning.forests.export.c_library import find_compiler


def check_exports() -> None:
    """Make sure that every form of export can be written.

    Raises:
        InputError: a package or a C compiler is missing.
    """
    for package in ("skl2onnx", "onnxruntime", "skops"):
        if find_spec(package) is None:
            raise InputError(f'exports need {package}, which is not installed: pip install "ganmc-lightning[export]"')
    find_compiler()
