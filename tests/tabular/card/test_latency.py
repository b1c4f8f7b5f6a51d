from __future__ import annotations

import shutil

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.card import latency
from ganmc_lightning.tabular.card.latency import measure_compiled
from ganmc_lightning.tabular.export import c_library

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler")


@pytest.fixture
def student():
    X = np.arange(20.0)[:, None]
    return DecisionTreeClassifier(random_state=0).fit(X, np.arange(20) % 3), X


def test_all_parts_are_measured(student):
    tree, X = student
    compiled = measure_compiled(tree, X, X)
    assert None not in compiled
    assert compiled.notes == ()


def test_without_the_program_size(student, monkeypatch):
    tree, X = student
    which = shutil.which
    monkeypatch.setattr(c_library.shutil, "which", lambda name: None if name == "size" else which(name))
    compiled = measure_compiled(tree, X, X)
    assert compiled.latency.row > 0
    assert compiled.rounded.moved_rows == 0
    assert (compiled.size, compiled.rounded_size) == (None, None)
    assert len(compiled.notes) == 1
    assert compiled.notes[0].startswith("C: not measured: size, size of 16-bit integers (size: not found, expected")


def test_a_failure_of_16_bit_integers_keeps_the_rest(student, monkeypatch):
    def fail(student, path, X):
        raise ConfigurationError(f"{path}: not written, because the compiled integers differ")

    tree, X = student
    monkeypatch.setattr(latency, "to_c_int16", fail)
    compiled = measure_compiled(tree, X, X)
    assert None not in (compiled.size, compiled.latency)
    assert (compiled.rounded, compiled.rounded_size) == (None, None)
    reason = "rounded.c: not written, because the compiled integers differ"
    assert compiled.notes == (f"C: not measured: 16-bit integers ({reason})",)
