"""`ganmc compress` on small tables."""

from __future__ import annotations

import json
import os
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from ganmc_lightning.cli import compress_arguments, compress_table
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.tabular.compress import KINDS, SEARCH_SECONDS
from ganmc_lightning.tabular.export import load_skops, save_skops


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables and models of 3 columns, fitted on data frames."""
    path = tmp_path_factory.mktemp("compress")
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(300, 3)), columns=["a", "b", "c"])
    X = table.copy()
    table["y"] = np.where(X["a"] * X["b"] + 0.3 * random.normal(size=300) > 0, "yes", "no")
    table["value"] = (X["a"] + X["c"] ** 2).round(3)
    table[:200].assign(w=np.where(table["y"][:200] == "yes", 9.5, 1.0)).to_csv(path / "weights.csv", index=False)
    table[:200].to_csv(path / "train.csv", index=False)
    table[200:].to_csv(path / "test.csv", index=False)
    table[:200].to_csv(path / "index.csv")
    forest = RandomForestClassifier(20, max_depth=6, random_state=0).fit(X[:200], table["y"][:200])
    save_skops(forest, path / "forest.skops")
    joblib.dump(forest, path / "forest.joblib")
    regressor = RandomForestRegressor(20, max_depth=6, random_state=0).fit(X[:200], table["value"][:200])
    save_skops(regressor, path / "regressor.skops")
    save_skops(forest.fit(X[["b", "a", "c"]], table["y"]), path / "other_order.skops")
    save_skops(forest.fit(X[["a", "b"]], table["y"]), path / "fewer.skops")
    return path


@pytest.fixture
def compress(ganmc, folder, tmp_path):
    """Run the command with options that make it fast; paths without folder are those of the fixture."""

    def run(*arguments, options=("--target", "y", "--drop", "value")):
        inputs = [folder / name if (folder / name).exists() else name for name in arguments]
        fast = ("--students", "tree", "--max-nodes", "31", "--time", "0.01", "--out", tmp_path / "small")
        return ganmc("compress", *inputs, *options, *fast)

    return run


def test_forest(compress, folder, tmp_path):
    outcome = compress("forest.skops", "train.csv", "--test", "test.csv")
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    files = {path.name for path in (tmp_path / "small").iterdir()}
    sources = {"student.c", "student.h", "student_int16.c", "student_int16.h"}
    assert files == {"student.skops", "student.onnx", "card.html", "result.json", *sources}
    test = pd.read_csv(folder / "test.csv")
    student = load_skops(tmp_path / "small" / "student.skops")
    accuracy = (student.predict(test[["a", "b", "c"]]) == test["y"]).mean()
    result = json.loads((tmp_path / "small" / "result.json").read_text())
    assert result["metrics"]["test/student/accuracy"] == pytest.approx(accuracy)
    assert result["data"] == {"train_rows": 200, "test_rows": 100}
    assert result["sizes"]["models"]["student"]["nodes"] <= 31
    assert result["command"].startswith("ganmc compress")
    assert f"AUC {result['settings']['intervals']['student auc'][0]:.4f}" in outcome.out


def test_scores_of_a_teacher_fitted_by_the_command_are_those_of_unseen_rows(compress, tmp_path):
    outcome = compress("train.csv", "--teacher", "forest", "--validation", "test.csv")
    assert outcome.status == 0, outcome.err
    result = json.loads((tmp_path / "small" / "result.json").read_text())
    assert result["settings"]["teacher_scores"] == "unseen"


@pytest.fixture
def passed(ganmc, folder, tmp_path, monkeypatch):
    """Run the command without its search; return the arguments of ``compress_table``."""
    calls = []

    def spy(*arguments, **options):
        calls.append((*arguments, options))
        raise ConfigurationError("recorded")

    monkeypatch.setattr(compress_table, "compress_table", spy)

    def run(*words):
        outcome = ganmc("compress", *words, "--out", tmp_path / "small")
        assert outcome.err == "ganmc: recorded\n"
        return calls.pop()

    return run


LIMITS = ("students", "max_nodes", "max_bytes", "max_predict_seconds", "seconds", "random_state")


def test_defaults_are_passed(passed, folder):
    teacher, X, y, options = passed(folder / "train.csv", "--teacher", "forest", "--target", "y")
    assert teacher is None
    assert list(X.columns) == ["a", "b", "c", "value"]
    assert y.tolist() == pd.read_csv(folder / "train.csv")["y"].tolist()
    assert [options[name] for name in ("sample_weight", "validation", "test")] == [None, None, None]
    assert options["regression"] is False
    assert [options[name] for name in LIMITS] == [["boosting", "tree", "forest"], None, None, None, 120.0, 0]


def test_values_of_the_options_are_passed(passed, folder, tmp_path):
    table = pd.read_csv(folder / "test.csv")
    table[:40].to_csv(tmp_path / "validation.csv", index=False)
    table[40:].to_csv(tmp_path / "rest.csv", index=False)
    tables = ("--validation", tmp_path / "validation.csv", "--test", tmp_path / "rest.csv")
    limits = ("--students", "tree,forest", "--max-nodes", 31, "--max-bytes", "64k", "--max-predict-seconds", 0.5)
    words = ("--target", "y", "--drop", "value,b", "--weight", "w", "--time", "2m", "--seed", 3)
    teacher, X, _, options = passed(folder / "weights.csv", "--teacher", "forest", *words, *tables, *limits)
    assert teacher is None
    assert list(X.columns) == ["a", "c"]
    weights = pd.read_csv(folder / "weights.csv")["w"]
    assert options["sample_weight"].tolist() == weights.tolist()
    for name, rows in (("validation", table[:40]), ("test", table[40:])):
        pd.testing.assert_frame_equal(options[name][0], rows[["a", "c"]].reset_index(drop=True))
        assert options[name][1].tolist() == rows["y"].tolist()
    assert [options[name] for name in LIMITS] == [["tree", "forest"], 31, 64_000, 0.5, 120.0, 3]


@pytest.mark.parametrize(("words", "regression"), [((), False), (("--task", "regression"), True)])
def test_task_of_integers(passed, tmp_path, words, regression):
    pd.DataFrame({"a": [0.5, 1.5] * 20, "y": [0, 1] * 20}).to_csv(tmp_path / "integers.csv", index=False)
    *_, y, options = passed(tmp_path / "integers.csv", "--teacher", "forest", "--target", "y", *words)
    assert options["regression"] is regression
    assert y.dtype == (np.float64 if regression else np.int64)


def test_files_are_within_the_limit(ganmc, folder, tmp_path):
    """The largest file is 8 kB without a limit."""
    inputs = (folder / "regressor.skops", folder / "train.csv", "--test", folder / "test.csv")
    options = ("--target", "value", "--drop", "y", "--students", "tree", "--time", "0.01", "--max-bytes", "4k")
    outcome = ganmc("compress", *inputs, *options, "--out", tmp_path / "small")
    assert outcome.status == 0, outcome.err
    files = [tmp_path / "small" / name for name in ("student.skops", "student.onnx", "student.c")]
    assert max(file.stat().st_size for file in files) <= 4000


def test_regression_by_the_model(compress, tmp_path):
    outcome = compress(
        "regressor.skops", "train.csv", "--test", "test.csv", options=("--target", "value", "--drop", "y")
    )
    assert outcome.status == 0, outcome.err
    assert "test/student/r2" in json.loads((tmp_path / "small" / "result.json").read_text())["metrics"]


def test_trusted_pickle(compress, tmp_path):
    outcome = compress("forest.joblib", "train.csv", "--trust")
    assert outcome.status == 0, outcome.err
    result = json.loads((tmp_path / "small" / "result.json").read_text())
    assert result["settings"]["teacher_scores"] == "refitted"
    assert result["data"] == {"train_rows": 160, "test_rows": 40}


def test_weights_are_no_feature(compress, folder, tmp_path):
    outcome = compress("forest.skops", "weights.csv", "--weight", "w", "--test", "test.csv")
    assert outcome.status == 0, outcome.err
    student, test = load_skops(tmp_path / "small" / "student.skops"), pd.read_csv(folder / "test.csv")
    weighted = student.predict_proba(test[["a", "b", "c"]])[:, 1].mean()
    outcome = compress("forest.skops", "train.csv", "--test", "test.csv")
    assert outcome.status == 0, outcome.err
    student = load_skops(tmp_path / "small" / "student.skops")
    assert weighted > student.predict_proba(test[["a", "b", "c"]])[:, 1].mean() + 0.02


VALUE = ("--target", "value", "--drop", "y")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("forest.joblib", "train.csv"), None, "a pickle runs code when it is loaded; pass --trust"),
        (("other_order.skops", "train.csv"), None, "fitted to the columns in another order, 'b' is at place 1"),
        (("fewer.skops", "train.csv"), None, "was not fitted to the column 'c' of"),
        (("forest.skops", "train.csv"), ("--target", "Y"), "has no column 'Y', did you mean 'y'?"),
        (("forest.skops", "train.csv"), VALUE, "got a continuous target, e.g. "),
        (("regressor.skops", "train.csv"), None, "got text, e.g. 'no', expected numbers for regression"),
        (("regressor.skops", "train.csv", "--task", "classification"), None, "--task: got classification, the model"),
        (("train.csv",), None, "expected a model and a table, or --teacher and a table"),
        (("forest.skops", "train.csv", "--teacher", "forest"), None, "expected one table with --teacher"),
        (("train.csv", "forest.skops"), None, "got the suffix '.skops', expected a table"),
        (("none.skops", "train.csv"), None, "none.skops: file not found"),
        (("forest.skops", "index.csv"), None, "has no name in the header, like the row numbers that pandas writes"),
        (("forest.skops", "train.csv", "--max-bytes", "1"), None, "--max-bytes: got 1, expected at least "),
        (("forest.skops", "train.csv", "--max-bytes", "big"), None, "--max-bytes: got 'big', expected a size"),
        (("forest.skops", "train.csv", "--gan", "none.ckpt"), None, "none.ckpt"),
        (("forest.skops", "train.csv", "--weight", "A"), None, "has no column 'A', did you mean 'a'?"),
        (
            ("forest.skops", "train.csv", "--weight", "y"),
            None,
            "--weight: got 'y', expected another column than that of",
        ),
        (("train.csv", "--teacher", "forest", "--weight", "a"), None, "--weight: got -"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(compress, tmp_path, arguments, options, message):
    outcome = compress(*arguments) if options is None else compress(*arguments, options=options)
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_current_folder(ganmc, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fast = ("--students", "tree", "--max-nodes", "31", "--time", "0.01", "--out", ".")
    outcome = ganmc(
        "compress", folder / "forest.skops", folder / "train.csv", "--target", "y", "--drop", "value", *fast
    )
    assert outcome.status == 0, outcome.err
    assert {"student.skops", "card.html"} <= {path.name for path in tmp_path.iterdir()}


def test_mount_point_is_refused_before_the_search(compress, tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path / "small")
    monkeypatch.delattr(compress_table, "compress_table")
    outcome = compress("forest.skops", "train.csv")
    assert outcome.status == 2
    assert outcome.err == f"ganmc: --out: {tmp_path / 'small'}: is a mount point, expected a folder in it\n"


def test_link_to_a_folder_that_cannot_be_replaced_is_refused_before_the_search(compress, tmp_path, monkeypatch):
    def check(folder, option):
        if folder == tmp_path / "other":
            raise ConfigurationError(f"{option}: cannot write to {folder}")

    (tmp_path / "other" / "small").mkdir(parents=True)
    (tmp_path / "small").symlink_to(tmp_path / "other" / "small", target_is_directory=True)
    monkeypatch.setattr(compress_table, "check_writable", check)
    monkeypatch.delattr(compress_table, "compress_table")
    outcome = compress("forest.skops", "train.csv")
    assert outcome.status == 2
    assert f"--out: cannot write to {tmp_path / 'other'}" in outcome.err


def test_regression_student_has_the_names_of_the_columns(compress, folder, tmp_path):
    options = ("--target", "value", "--drop", "y")
    outcome = compress("train.csv", "--teacher", "forest", "--validation", "test.csv", options=options)
    assert outcome.status == 0, outcome.err
    assert "0  'a'" in (tmp_path / "small" / "student.h").read_text()
    student = load_skops(tmp_path / "small" / "student.skops")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(student.predict(pd.read_csv(folder / "test.csv")[["a", "b", "c"]])) == 100


def test_one_value(compress, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b,c,y\n" + "1.5,2,3,yes\n2,1,4,yes\n" * 10)
    outcome = compress(table, "--teacher", "forest", options=("--target", "y"))
    assert outcome.status == 2
    assert "column 'y': got one value, 'yes', expected two or more" in outcome.err


def test_constants_equal_those_of_the_students():
    assert compress_arguments.KINDS == KINDS
    assert compress_arguments.SEARCH_SECONDS == SEARCH_SECONDS
