from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from ganmc_lightning.cli import main
from ganmc_lightning.cli.forest import _export, _print_table
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import TabularGenerator
from ganmc_lightning.tabular import StudentClassifier
from ganmc_lightning.tabular.export import CModel, load_skops
from ganmc_lightning.tabular.study_parts import StudyParts
from ganmc_lightning.tabular.study_result import StudyResult

CONFIG = """
data:
  dataset: {{class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {{path: {data}}}}}
  validation_fraction: 0.25
metric: auc
max_trees: 2
synthetic_ratio: 2
max_leaf_nodes: [3, 12]
min_samples_leaf: [1]
boosting_nodes: [60]
min_compression: 20
teacher: {{class_path: sklearn.ensemble.ExtraTreesClassifier, init_args: {{n_estimators: 12}}}}
checkpoints: {{gan: {gan}}}
synthesizers:
  jitter: {{class_path: ganmc_lightning.synthesizers.JitterSynthesizer, init_args: {{noise_std: 0.2}}}}
  munge: ganmc_lightning.synthesizers.MungeSynthesizer
"""


@pytest.fixture(scope="module")
def table():
    X, y = make_classification(300, 5, n_informative=4, n_redundant=0, class_sep=1.5, random_state=0)
    return X.astype(np.float32) * 10 + 3, y


@pytest.fixture
def folder(tmp_path, table, monkeypatch):
    X, y = table
    monkeypatch.chdir(tmp_path)
    np.savez("rows.npz", X_train=X[:220], y_train=y[:220], X_test=X[220:], y_test=y[220:])
    generator = TabularGenerator(5, 2)
    recipe = {"class_path": "ganmc_lightning.networks.TabularGenerator", "init_args": {"num_features": 5}}
    weights = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    state = {"step": 0, "scaler": RowScaler.fit(torch.from_numpy(X[:220])).state_dict()}
    content = {"state_dict": weights, "hyper_parameters": {"generator": recipe}, "GANAugmentedDataModule": state}
    torch.save(content, "gan.ckpt")
    (tmp_path / "forest.yaml").write_text(CONFIG.format(data="rows.npz", gan="gan.ckpt"))
    return tmp_path


def forest(*arguments):
    return main(["forest", "--config", "forest.yaml", "--n-jobs", "1", *arguments])


def test_a_run(folder, capsys, table):
    pytest.importorskip("skl2onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("skops")
    assert forest("--seed", "3", "--out", "out", "--export", "shipped") == 0
    result = json.loads((folder / "out" / "result.json").read_text())
    names = ["labels", "real", "gan", "real+gan", "jitter", "real+jitter", "munge", "real+munge"]
    assert list(result["curves"]) == [f"{name}/auc" for name in names]
    assert result["metrics"]["test/teacher/trees"] == 12
    assert result["metrics"]["test/jitter/small/compression_ratio"] >= 20
    assert result["data"] == {
        "name": "rows",
        "samples": {"fit": 165, "validation": 55, "train": 220, "test": 80},
        "features": 5,
        "classes": 2,
    }
    assert result["seed"] == 3
    command = "ganmc forest --config forest.yaml --n-jobs 1 --seed 3 --out out --export shipped"
    assert result["command"] == command
    out = capsys.readouterr().out
    for name in ("teacher", *names, "real+munge/small"):
        assert f"\n {name} " in out or f"\n{name} " in out
    small = [name for name in result["metrics"] if name.startswith("val/") and "/small/" in name]
    best = max(small, key=result["metrics"].__getitem__)
    student = load_skops(folder / "shipped" / "student.skops")
    X, y = table
    answers = student.predict_proba(X[220:])
    accuracy = best.replace("val/", "test/").replace("/auc", "/accuracy")
    assert np.mean(answers.argmax(axis=1) == y[220:]) == pytest.approx(result["metrics"][accuracy], rel=1e-9, abs=1e-10)
    library = next(path for path in (folder / "shipped").iterdir() if path.suffix in (".so", ".dylib", ".dll"))
    np.testing.assert_allclose(CModel(library).predict(X[220:]), answers, rtol=1e-9, atol=1e-12)
    names = {path.name for path in (folder / "shipped").iterdir()} - {library.name}
    assert names == {f"{m}.{form}" for m in ("student", "teacher") for form in ("c", "h", "onnx", "skops")}
    for model in ("student", "teacher"):
        assert re.search(rf"{model}\.onnx: the label differs from scikit-learn's for \d+ of 220 training samples", out)


def test_table_of_a_teacher_that_cannot_be_pickled(capsys):
    """Its size is unknown, also in numbers that were read from a file."""
    row = {"auc": 0.9, "average_precision": 0.8, "accuracy": 0.7, "compression_ratio": float("nan"), "speedup": 1}
    _print_table(Console(), StudyResult({f"teacher/{key}": value for key, value in row.items()}))
    assert "teacher 0.9000 0.8000 0.7000 - - 1.0" in " ".join(capsys.readouterr().out.split())


def test_unsupported_formats_do_not_prevent_other_exports(table, tmp_path, capsys):
    pytest.importorskip("skl2onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("skops")
    X, y = table
    student = StudentClassifier(DecisionTreeRegressor(max_depth=3).fit(X, y), [0, 1])
    models = {"student": student, "teacher": LogisticRegression().fit(X, y)}
    with pytest.raises(ConfigurationError, match=r"^model: got LogisticRegression, C export supports decision trees"):
        _export("real/small", models, tmp_path / "shipped", X, Console())
    forms = {path.name for path in (tmp_path / "shipped").iterdir() if path.suffix in (".c", ".onnx", ".skops")}
    assert forms == {"student.c", "student.onnx", "student.skops", "teacher.onnx", "teacher.skops"}
    assert (
        "student.onnx: the label differs from scikit-learn's for 0 of 300 training samples" in capsys.readouterr().out
    )


def test_paths_with_brackets_are_printed_as_they_are(folder, capsys):
    for name in ("skl2onnx", "onnxruntime", "skops"):
        pytest.importorskip(name)
    arguments = ("--data.train_size", "60", "--synthesizers", "{}", "--checkpoints.gan", "null")
    assert forest(*arguments, "--out", "out[v1]", "--export", "small[/x]") == 0
    out = capsys.readouterr().out
    assert "\nout[v1]\n" in out
    for name in ("student.skops", "teacher.c", "student.onnx: the label differs"):
        assert str(Path("small[/x]", name)) in out


def test_export_to_a_file_is_rejected(folder, capsys):
    pytest.importorskip("skl2onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("skops")
    (folder / "shipped").write_text("")
    assert forest("--export", "shipped") == 2
    assert "--export: cannot write to shipped (Not a directory); choose another folder" in capsys.readouterr().err


def test_a_stopped_command_continues(folder, monkeypatch, capsys):
    arguments = ("--checkpoints.gan", "null", "--max_trees", "1")
    assert forest(*arguments, "--out", "whole") == 0
    write = StudyParts.write

    def write_and_stop(self, name, *values):
        write(self, name, *values)
        if name == "real":
            raise KeyboardInterrupt

    monkeypatch.setattr(StudyParts, "write", write_and_stop)
    assert forest(*arguments, "--out", "stopped") == 130
    assert not (folder / "stopped" / "result.json").exists()
    monkeypatch.setattr(StudyParts, "write", write)
    capsys.readouterr()
    assert forest(*arguments, "--out", "stopped") == 0
    assert "2 of 6 training sets were finished before: labels, real" in capsys.readouterr().out
    whole, stopped = (json.loads((folder / name / "result.json").read_text()) for name in ("whole", "stopped"))
    assert list(whole["metrics"]) == list(stopped["metrics"])
    for key, value in whole["metrics"].items():
        if not key.endswith(("seconds", "speedup")):
            assert stopped["metrics"][key] == pytest.approx(value, rel=1e-3), key  # pickled bytes vary slightly
    assert {path.name for path in (folder / "stopped").iterdir()} == {"config.yaml", "result.json"}


def test_the_written_config_reproduces_the_run(folder):
    assert forest("--max_trees", "1", "--checkpoints.gan", "null", "--out", "first") == 0
    written = folder / "first" / "config.yaml"
    assert yaml.safe_load(written.read_text())["max_trees"] == 1
    assert main(["forest", "--config", str(written), "--n-jobs", "2", "--out", "second"]) == 0
    first, second = (json.loads((folder / name / "result.json").read_text())["metrics"] for name in ("first", "second"))
    assert first.keys() == second.keys()
    assert not any("/gan/" in key or "+gan/" in key for key in first)
    for key in first:
        if not key.endswith(("seconds", "speedup")):
            assert second[key] == pytest.approx(first[key], rel=1e-3, abs=1e-6), (
                key
            )  # pickled bytes depend slightly on interned strings


def test_train_size(folder):
    arguments = ("--data.train_size", "60", "--synthesizers", "{}", "--checkpoints.gan", "null")
    assert forest(*arguments) == 0
    result = json.loads((folder / "runs" / "rows" / "forest" / "seed0" / "result.json").read_text())
    assert result["data"]["samples"] == {"fit": 60, "validation": 55, "train": 60, "test": 80}
    assert list(result["curves"]) == ["labels/auc", "real/auc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], '"seed"'),
        (["--n-jobs", "0"], '"n_jobs"'),
        (["--checkpoints.gan", "missing.ckpt"], "checkpoints.gan: missing.ckpt: checkpoint not found"),
        (["--checkpoints.jitter", "gan.ckpt"], "got the name 'jitter', expected distinct names"),
        (["--checkpoints.real", "gan.ckpt"], "got the name 'real', expected distinct names"),
        (["--checkpoints.a/b", "gan.ckpt"], "got the name 'a/b', expected distinct names"),
        (["--trees", "3"], "trees"),
        (["--metric", "f1"], "metric"),
        (["--max_trees", "0"], "max_trees: got 0, expected a positive number"),
        (["--data.validation_fraction", "1"], "data.validation_fraction: got 1.0, expected a value in (0, 1)"),
        (["--data.train_size", "9999"], "data.train_size: got 9999, expected a value in [2, 165] for rows"),
        (["--data.dataset", "ganmc_lightning.data.datasets.Digits"], "data.dataset: digits contains images"),
        (["--synthesizers.jitter.init_args.noise_std", "-1"], "got -1"),
    ],
)
def test_invalid_input_is_one_line(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.setenv("GANMC_DATA", str(folder))
    assert forest(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("ganmc: ")
    assert error.count("\n") == 1


def test_a_missing_config(capsys):
    assert main(["forest", "--config", "missing.yaml"]) == 2
    error = capsys.readouterr().err
    assert "missing.yaml" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("option", ["--out", "--export"])
def test_an_unwritable_folder_is_found_before_the_study(folder, capsys, monkeypatch, option):
    monkeypatch.setattr("ganmc_lightning.cli.forest.Study.run", lambda study: pytest.fail("the study ran"))
    (folder / "taken").write_text("")
    assert forest("--synthesizers", "{}", "--checkpoints.gan", "null", option, "taken/out") == 2
    assert f"{option}: cannot write to taken/out (" in capsys.readouterr().err


def test_a_table_with_a_categorical_column(folder, table):
    """A categorical column is one-hot encoded, also in synthetic samples."""
    X, y = table
    colors = np.array(["red", "green", "blue"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 3)]
    lines = ["a,color,b,kind"]
    lines += [f"{row[0]},{color},{row[1]},{'xy'[label]}" for row, color, label in zip(X, colors, y, strict=True)]
    (folder / "mine.csv").write_text("\n".join(lines) + "\n")
    source = {
        "class_path": "ganmc_lightning.data.datasets.TableFile",
        "init_args": {"path": "mine.csv", "label_column": "kind"},
    }
    arguments = ("--data.dataset", json.dumps(source), "--max_trees", "1", "--checkpoints.gan", "null")
    assert forest(*arguments, "--out", "out") == 0
    result = json.loads((folder / "out" / "result.json").read_text())
    assert result["data"]["name"] == "mine"
    assert result["data"]["features"] == 5
    assert 0.5 < result["metrics"]["test/jitter/accuracy"] <= 1


def test_sample_weights_of_a_table(folder, table):
    """Sample weights change the students, and the weight column is not a feature."""
    X, y = table
    lines = ["a,b,importance,kind"]
    lines += [f"{row[0]},{row[1]},{10 if label else 1},{'xy'[label]}" for row, label in zip(X, y, strict=True)]
    (folder / "mine.csv").write_text("\n".join(lines) + "\n")
    losses = []
    for number, changes in enumerate([{"weight_column": "importance"}, {"drop_columns": ["importance"]}]):
        arguments = {"path": "mine.csv", "label_column": "kind", **changes}
        source = {"class_path": "ganmc_lightning.data.datasets.TableFile", "init_args": arguments}
        words = ("--data.dataset", json.dumps(source), "--max_trees", "1", "--synthesizers", "{}")
        assert forest(*words, "--checkpoints.gan", "null", "--out", f"out{number}") == 0
        result = json.loads((folder / f"out{number}" / "result.json").read_text())
        assert result["data"]["features"] == 2
        losses.append(result["metrics"]["test/labels/small/log_loss"])
    assert losses[0] != pytest.approx(losses[1], rel=1e-3)


def test_help_lists_the_keys_of_the_config(capsys):
    assert main(["forest", "--help", "full"]) == 0
    text = capsys.readouterr().out
    for option in ("--config", "--data.train_size", "--max_trees", "--checkpoints", "--n-jobs"):
        assert f"{option} " in text
