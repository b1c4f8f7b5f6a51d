from __future__ import annotations

import copy
import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from ganmc_lightning.cards.bootstrap import Interval
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular import compress_files, compress_table, write_compression
from ganmc_lightning.tabular.card import measure_card, render_card
from ganmc_lightning.tabular.card.text import conclusion_of, notes_of
from ganmc_lightning.tabular.compress_search import TriedStudent
from ganmc_lightning.tabular.export import CModel, c_source, compile_c, fixed_point_source, load_skops
from ganmc_lightning.tabular.export.target import writing


class Tags(HTMLParser):
    """Collects the tags, and checks that they are closed in order."""

    VOID = ("meta",)

    def __init__(self):
        super().__init__()
        self.open, self.names = [], []

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.names.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def compression():
    random = np.random.default_rng(0)
    X = pd.DataFrame({"color": random.choice(["red", "blue"], 200), "a<b": random.normal(size=200)})
    y = np.where((X["color"] == "red") ^ (X["a<b"] > 0), "yes", "<no>")
    forest = RandomForestClassifier(10, random_state=0)
    return compress_table(forest, X, y, students=["tree"], max_nodes=15, seconds=0.01)


@pytest.fixture(scope="module")
def written(compression, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compress") / "small"
    card = write_compression(compression, folder, "ganmc compress <x>", {"python": "3"})
    return card, folder


def test_folder(written):
    card, folder = written
    assert {path.name for path in folder.iterdir()} == {*card.files, "card.html"}
    sources = {"student.c", "student.h", "student_encode.h", "student_int16.c", "student_int16.h"}
    assert set(card.files) == {"student.skops", "student.onnx", *sources}
    assert all((folder / name).stat().st_size == size for name, size in card.files.items())
    assert [path.name for path in folder.parent.iterdir()] == ["small"]


def test_skops_predicts_rows_of_the_table(written, compression):
    X = compression.rows.X_test
    loaded = load_skops(written[1] / "student.skops")
    np.testing.assert_array_equal(loaded.predict_proba(X), compression.model.predict_proba(X))
    assert set(loaded.predict(X)) <= {"yes", "<no>"}


def test_c_predicts_encoded_rows(written, compression, tmp_path):
    for name in ("student.c", "student.h"):
        (tmp_path / name).write_bytes((written[1] / name).read_bytes())
    X = compression.rows.X_test
    encoded = compression.model.encoder_.transform(X)
    actual = CModel(compile_c(tmp_path / "student.c")).predict(np.asarray(encoded))
    np.testing.assert_array_equal(actual, compression.model.predict_proba(X))


def test_c_in_16_bit_integers_changes_as_many_labels_as_stated(written, compression, tmp_path):
    for name in ("student_int16.c", "student_int16.h"):
        (tmp_path / name).write_bytes((written[1] / name).read_bytes())
    X = compression.rows.X
    labels = CModel(compile_c(tmp_path / "student_int16.c")).labels(compression.encode(X).astype(np.float32))
    expected = compression.model.predict_proba(X).argmax(axis=1)
    rounded = written[0].compiled.rounded
    assert (labels != expected).sum() == rounded.changed_labels
    assert f"changes by at most {rounded.bound:.1e}" in (written[1] / "card.html").read_text()


def test_parts_of_c_that_were_not_measured(written):
    card = written[0]
    compiled = card.compiled._replace(size=None, rounded_size=None, notes=("C: not measured: size (no <size>)",))
    text = render_card(dataclasses.replace(card, compiled=compiled))
    assert "C: not measured: size (no &lt;size&gt;)." in text
    assert "one row in C<" in text
    assert "of code and constants" not in text
    assert "changes by at most" in text
    nothing = render_card(dataclasses.replace(card, compiled=compiled._replace(latency=None, rounded=None)))
    assert "student in C" not in nothing
    assert "changes by at most" not in nothing


def test_the_student_is_exported_once(compression, tmp_path, monkeypatch):
    """The card measures the exported files; the verification of 16-bit integers predicts all training rows."""
    calls = []
    for module, name in ((fixed_point_source, "to_fixed_point"), (c_source, "verify")):
        function = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, f=function, n=name, **named: calls.append(n) or f(*given, **named)
        )
    card = write_compression(compression, tmp_path / "small")
    assert calls == ["verify", "to_fixed_point"]
    assert None not in card.compiled


def test_the_student_is_measured_in_c_by_default(compression, written):
    card = measure_card(compression)
    assert None not in card.compiled
    assert card.compiled.notes == ()
    assert card.compiled.size == written[0].compiled.size
    assert card.compiled.rounded_size == written[0].compiled.rounded_size


def test_a_teacher_of_unknown_size(written):
    card = written[0]
    model = copy.copy(card.compression.model)
    model.profile_ = dataclasses.replace(
        model.profile_, teacher=dataclasses.replace(model.profile_.teacher, bytes=None)
    )
    assert "<span>pickled; teacher " in render_card(card)
    text = render_card(dataclasses.replace(card, compression=dataclasses.replace(card.compression, model=model)))
    assert "<span>pickled</span>" in text


@pytest.mark.parametrize("fitted", [False, True])
def test_scores_of_a_teacher_that_was_given_fitted(fitted):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(300, 2)), np.arange(300) % 2
    forest = RandomForestClassifier(3, random_state=0)
    teacher = forest.fit(X[:200], y[:200]) if fitted else forest
    given = {"test": (X[200:], y[200:]), "students": ["tree"], "max_nodes": 7, "seconds": 0.01}
    notes = notes_of(compress_table(teacher, X[:200], y[:200], **given))
    assert ("The scores of the teacher assume that it was not fitted to the test table." in notes) is fitted


def test_the_bound_of_three_classes_is_that_before_normalization(tmp_path):
    X = np.random.default_rng(0).normal(size=(200, 2))
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
    forest = RandomForestClassifier(5, random_state=0)
    result = compress_table(forest, X, y, students=["tree"], max_nodes=15, seconds=0.01)
    card = write_compression(result, tmp_path / "small")
    assert "a value before normalization changes by at most" in render_card(card)


def test_page(written):
    text = (written[1] / "card.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert not {"script", "link", "img"} & set(tags.names)
    assert not re.search(r"(src|href)=", text)
    assert tags.names.count("svg") == 2
    for words in ("&lt;no&gt;", "ganmc compress &lt;x&gt;", "plain boosting, same size", "prefers-color-scheme: dark"):
        assert words in text
    assert "<no>" not in text


def test_plain_boosting_is_stated_first(compression):
    plain = dataclasses.replace(compression, model=compression.plain)
    text = render_card(measure_card(plain))
    body = text[text.index("<main>") :]
    assert body.index("no student of the teacher is better than plain boosting") < body.index("Scores on the test rows")
    assert 'class="conclusion warning"' in body


@pytest.mark.parametrize(
    ("interval", "words", "warning"),
    [
        ((0.01, 0.005, 0.02), "The student beats plain boosting", False),
        ((0.01, -0.005, 0.02), "does not differ measurably", True),
        ((-0.01, -0.02, -0.005), "Plain boosting of the same size on the labels is better", True),
    ],
)
def test_conclusion(written, interval, words, warning):
    card = written[0]
    scores = dataclasses.replace(card.scores, differences={"plain": Interval(*interval)})
    conclusion = conclusion_of(card.compression, scores)
    assert words in conclusion.text
    assert conclusion.warning is warning


@pytest.mark.parametrize(
    ("best", "words"),
    [
        ("labels", "No student of the teacher beats those of the labels on the validation rows."),
        ("in_bag", "The best student on the validation rows, one of the teacher, exceeds a limit of size or time."),
    ],
)
def test_conclusion_of_a_student_of_the_labels(best, words, written):
    card = written[0]
    chosen = dataclasses.replace(card.compression.model.chosen_, teacher_labels="labels", label_weight=1.0)
    model = copy.copy(card.compression.model)
    model.chosen_ = chosen
    tried = [TriedStudent(dataclasses.replace(chosen, teacher_labels=best)), TriedStudent(chosen)]
    scores = dataclasses.replace(card.scores, differences={"plain": Interval(0.01, 0.005, 0.02)})
    conclusion = conclusion_of(dataclasses.replace(card.compression, model=model, tried=tried), scores)
    assert conclusion.text.startswith(f"{words} The exported tree is fitted to the labels alone. AUC minus that of")
    assert conclusion.warning


def test_student_of_fewer_rows_is_stated(compression):
    text = render_card(measure_card(dataclasses.replace(compression, not_refitted="a reason")))
    assert (
        "The student was fitted without the 32 validation rows, which are a part of the table, because a reason."
        in text
    )
    assert "validation rows, which are a part" not in render_card(measure_card(compression))


def test_regression_card(tmp_path):
    X, y = make_regression(200, 4, random_state=0)
    forest = RandomForestRegressor(5, random_state=0)
    result = compress_table(forest, X, y, regression=True, students=["tree"], max_nodes=31, seconds=0.01)
    write_compression(result, tmp_path / "small")
    text = (tmp_path / "small" / "card.html").read_text()
    assert "RMSE by value of the target" in text
    assert "calibration error" not in text


def test_files_that_receive_float32_are_compared_with_the_student(tmp_path):
    random = np.random.default_rng(0)
    seconds = 1.7e9 + random.integers(0, 200, 300)
    X = pd.DataFrame({"seconds": seconds, "other": random.normal(size=300)})
    forest = RandomForestClassifier(5, random_state=0)
    result = compress_table(forest, X, (seconds > 1.7e9 + 90).astype(int), students=["boosting"], seconds=0.01)
    with pytest.warns(UserWarning, match=r"float32") as warned:
        card = write_compression(result, tmp_path / "small")
    assert [str(warning.message) for warning in warned] == list(card.export_notes)
    text = (tmp_path / "small" / "card.html").read_text()
    for words in (
        r"student\.onnx: predictions may be wrong, because it receives float32; X: column &#39;seconds&#39; has values",
        r"student_int16\.c: predictions may be wrong, because it receives float32",
        r"student\.onnx: the label of \d+ of 240 training rows differs from the student&#39;s, because ONNX computes",
    ):
        assert re.search(words, text)


class TestFolder:
    def test_a_file_that_cannot_be_written_is_omitted(self, compression, tmp_path, monkeypatch):
        def fail(model, path, **arguments):
            raise ConfigurationError(f"{path}: not written, because the predictions of the export differ")

        monkeypatch.setattr(compress_files, "to_onnx", fail)
        monkeypatch.setattr(compress_files, "to_c", fail)
        with pytest.warns(UserWarning, match=r"^student\.(c|onnx): not written, because the predictions of the export"):
            card = write_compression(compression, tmp_path / "small")
        assert {"student.skops", "student_int16.c"} <= set(card.files)
        assert not {"student.onnx", "student.c", "student_encode.h"} & set(card.files)
        assert "student.c: not written, because the predictions" in (tmp_path / "small" / "card.html").read_text()

    def test_a_full_disk_is_an_error(self, compression, tmp_path, monkeypatch):
        def fail(model, path, **arguments):
            with writing(path):
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(compress_files, "to_onnx", fail)
        with pytest.raises(ConfigurationError, match=r"student\.onnx: cannot be written \(No space left on device\)"):
            write_compression(compression, tmp_path / "small")
        assert list(tmp_path.iterdir()) == []

    def test_an_earlier_compression_is_replaced(self, compression, tmp_path):
        folder = tmp_path / "small"
        folder.mkdir()
        (folder / "card.html").write_text("old")
        (folder / "result.json").write_text("{}")

        def add(card, path):
            (path / "result.json").write_text(json.dumps({"new": 1}))

        write_compression(compression, folder, add_files=add)
        assert "old" not in (folder / "card.html").read_text()
        assert json.loads((folder / "result.json").read_text()) == {"new": 1}
        assert [path.name for path in tmp_path.iterdir()] == ["small"]

    def test_other_files_are_kept(self, compression, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(ConfigurationError, match=r"contains 'notes\.txt', expected a new or empty folder"):
            write_compression(compression, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

    def test_a_failure_leaves_nothing(self, compression, tmp_path):
        def fail(card, path):
            raise RuntimeError("full disk")

        with pytest.raises(RuntimeError, match="full disk"):
            write_compression(compression, tmp_path / "small", add_files=fail)
        assert list(tmp_path.iterdir()) == []

    def test_a_file_is_no_folder(self, compression, tmp_path):
        (tmp_path / "small").write_text("")
        with pytest.raises(ConfigurationError, match="is a file, expected a folder"):
            write_compression(compression, tmp_path / "small")

    def test_the_current_folder_remains_the_same(self, compression, tmp_path, monkeypatch):
        folder = tmp_path / "small"
        folder.mkdir()
        (folder / "result.json").write_text("{}")
        monkeypatch.chdir(folder)
        node = folder.stat().st_ino
        card = write_compression(compression, ".")
        assert folder.stat().st_ino == node
        assert {path.name for path in folder.iterdir()} == {*card.files, "card.html"}
        assert [path.name for path in tmp_path.iterdir()] == ["small"]

    def test_a_link_remains_a_link(self, compression, tmp_path):
        link, folder = tmp_path / "link", tmp_path / "small"
        folder.mkdir()
        link.symlink_to(folder, target_is_directory=True)
        write_compression(compression, link)
        assert link.is_symlink()
        assert (folder / "card.html").is_file()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "small"]
