"""Placeholders of modules, in new interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

START = """
import sys, inspect, scipy
from ganmc_lightning.cli.deferred_imports import defer_imports
loaded = lambda name: name in sys.modules
with defer_imports():
    import scipy.signal
    assert hasattr(scipy.signal, "hamming")  # as torchmetrics does
    inspect.getmodule(inspect.currentframe())  # reads attributes of all modules
    assert not loaded("scipy.signal._signaltools") and not loaded("transformers.utils")
"""
IMPORT_TORCHMETRICS = """
import sys
from ganmc_lightning.cli.deferred_imports import defer_imports
with defer_imports():
    import torchmetrics
    from torchmetrics.functional.text.bert import bert_score
    from torchmetrics.utilities.imports import _TRANSFORMERS_AVAILABLE
    assert str(_TRANSFORMERS_AVAILABLE)
loaded = [name for name in ("scipy.signal", "transformers", "matplotlib") if name in sys.modules]
assert not loaded, loaded
"""
PLOT = """
import matplotlib
matplotlib.use("agg")
metric = torchmetrics.MeanMetric()
metric.update(2.0)
figure, axes = metric.plot()
assert axes.get_lines()[0].get_ydata() == [2.0]
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "statements",
    [
        "    from scipy.signal import convolve",
        "    import scipy.signal.windows; convolve = sys.modules['scipy.signal'].convolve",
        "import scipy.signal; convolve = scipy.signal.convolve",
    ],
)
def test_functions_are_available_in_the_block_and_after_it(statements: str) -> None:
    check = "assert list(convolve([1, 2], [1, 1])) == [1, 3, 2] and loaded('scipy.signal._signaltools')"
    run(f"{START}{statements}\n{check}")


@pytest.mark.parametrize(
    "statements", ["    from transformers import AutoConfig", "from transformers import AutoConfig"]
)
def test_classes_are_available_in_the_block_and_after_it(statements: str) -> None:
    pytest.importorskip("transformers")
    run(f"{START}{statements}\nassert AutoConfig.for_model('vit').model_type == 'vit' and loaded('transformers.utils')")


def test_torchmetrics_is_imported_without_them_and_plots() -> None:
    run(IMPORT_TORCHMETRICS + PLOT)
