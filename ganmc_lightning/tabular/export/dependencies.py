"""Whether everything that exports need is there, asked before the work and not after it."""

from __future__ import annotations

from importlib.util import find_spec

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.export.c_library import find_compiler


def check_exports() -> None:
    """Make sure that every form of export can be written.

    Raises:
        ConfigurationError: a package or a C compiler is missing.
    """
    for package in ("skl2onnx", "onnxruntime", "skops"):
        if find_spec(package) is None:
            raise ConfigurationError(
                f'exports need {package}, which is not installed: pip install "ganmc-lightning[export]"'
            )
    find_compiler()
