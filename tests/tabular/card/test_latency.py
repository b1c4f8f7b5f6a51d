from __future__ import annotations

import shutil

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.card import latency
from ganmc_lightning.tabular.card.latency import measure_compiled, measure_student
from ganmc_lightning.tabular.export import c_library, to_c, to_c_int16

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler")


X = np.arange(20.0)[:, None]


@pytest.fixture
def tree():
    return DecisionTreeClassifier(random_state=0).fit(X, np.arange(20) % 3)


@pytest.fixture
def exported(tree, tmp_path):
    return to_c(tree, tmp_path / "exact.c"), to_c_int16(tree, tmp_path / "small.c", X)


def test_all_parts_are_measured(exported, tmp_path):
    compiled = measure_compiled(*exported, X)
    assert None not in compiled
    assert compiled.notes == ()
    assert compiled.rounded_size.flash_bytes < compiled.size.flash_bytes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exact.c", "exact.h", "small.c", "small.h"]


def test_without_the_program_size(exported, monkeypatch):
    which = shutil.which
    monkeypatch.setattr(c_library.shutil, "which", lambda name: None if name == "size" else which(name))
    compiled = measure_compiled(*exported, X)
    assert compiled.latency.row > 0
    assert compiled.rounded.moved_rows == 0
    assert (compiled.size, compiled.rounded_size) == (None, None)
    assert len(compiled.notes) == 1
    assert compiled.notes[0].startswith("C: not measured: size, size of 16-bit integers (size: not found, expected")


def test_files_that_were_not_exported(exported):
    source, rounded = exported
    without = measure_compiled(source, None, X)
    assert None not in (without.size, without.latency)
    assert without[2:] == (None, None, ())
    assert measure_compiled(None, rounded, X)[:3] == (None, None, rounded)


def test_a_source_that_cannot_be_compiled_is_named(exported):
    source, rounded = exported
    source.write_text("int main(")
    compiled = measure_compiled(source, rounded, X)
    assert compiled[:2] == (None, None)
    assert compiled.rounded_size is not None
    assert len(compiled.notes) == 1
    assert compiled.notes[0].startswith("C: not measured: time, size (exact.c: ")


@pytest.mark.parametrize(
    ("function", "part", "missing"),
    [("to_c", "time and size", [0, 1]), ("to_c_int16", "16-bit integers", [2, 3])],
)
def test_an_export_that_fails_keeps_the_rest(tree, monkeypatch, function, part, missing):
    def fail(student, path, *rows):
        raise ConfigurationError(f"{path}: not written, because the compiled student differs")

    assert measure_student(tree, X, X).notes == ()
    monkeypatch.setattr(latency, function, fail)
    compiled = measure_student(tree, X, X)
    assert [index for index, value in enumerate(compiled) if value is None] == missing
    name = "student.c" if function == "to_c" else "student_int16.c"
    reason = f"{name}: not written, because the compiled student differs"
    assert compiled.notes == (f"C: not measured: {part} ({reason})",)
