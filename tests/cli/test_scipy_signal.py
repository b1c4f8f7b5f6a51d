"""Placeholder of ``scipy.signal``, in new interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

START = """
import sys, inspect, scipy
from ganmc_lightning.cli.scipy_signal import defer_scipy_signal
loaded = lambda: "scipy.signal._signaltools" in sys.modules
with defer_scipy_signal():
    import scipy.signal
    assert hasattr(scipy.signal, "hamming")  # as torchmetrics does
    inspect.getmodule(inspect.currentframe())  # reads attributes of all modules
    assert not loaded()
"""


@pytest.mark.parametrize(
    "statements",
    [
        "    from scipy.signal import convolve",
        "    import scipy.signal.windows; convolve = sys.modules['scipy.signal'].convolve",
        "import scipy.signal; convolve = scipy.signal.convolve",
    ],
)
def test_functions_are_available_in_the_block_and_after_it(statements: str) -> None:
    code = f"{START}{statements}\nassert loaded() and list(convolve([1, 2], [1, 1])) == [1, 3, 2]"
    subprocess.run([sys.executable, "-c", code], check=True)
