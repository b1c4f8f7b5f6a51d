from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.datasets import make_classification

from ganmc_lightning.cli import main
from ganmc_lightning.cli.tabular_study_config import StudentStudyData
from ganmc_lightning.data.datasets import Digits, NpzFile
from ganmc_lightning.exceptions import ConfigurationError

CONFIG = """
data: {dataset: {class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {path: rows.npz}}, train_size: 150}
node_ratio: 10
synthetic_ratio: 1
students: [tree]
teacher: {class_path: sklearn.ensemble.RandomForestClassifier, init_args: {n_estimators: 20}}
synthesizers: {munge: ganmc_lightning.synthesizers.MungeSynthesizer}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = make_classification(400, 5, n_informative=4, n_redundant=0, class_sep=1.5, random_state=0)
    np.savez("rows.npz", X=X, y=y)
    (tmp_path / "study.yaml").write_text(CONFIG)
    return tmp_path


def run(*arguments):
    return main(["tabular-study", "--config", "study.yaml", *arguments])


def test_result_contains_students_and_counts_of_rows(folder, capsys):
    assert run("--seed", "1", "--out", "run[v1]") == 0
    assert capsys.readouterr().out.endswith("\nrun[v1]\n")
    result = json.loads((folder / "run[v1]" / "result.json").read_text())
    assert result["data"]["samples"] == {"fit": 150, "validation": 80, "test": 80}
    assert result["metrics"]["test/tree/real+munge/auc"] > 0.5
    assert "val/best/auc" in result["metrics"]
    assert result["seed"] == 1
    assert "seed: 1" in (folder / "run[v1]" / "config.yaml").read_text()


def test_seed_and_configuration_determine_the_result(folder):
    for out in ("first", "second"):
        assert run("--out", out) == 0
    first, second = (json.loads((folder / out / "result.json").read_text())["metrics"] for out in ("first", "second"))
    assert first == second


def test_names_with_versions(folder):
    names = "{jitter-01: ganmc_lightning.synthesizers.JitterSynthesizer, ctgan_0.1: null}"
    assert run("--out", "run", "--synthesizers", names, "--data.train_size", "60") == 0
    metrics = json.loads((folder / "run" / "result.json").read_text())["metrics"]
    assert {"test/tree/jitter-01/auc", "test/tree/real+jitter-01/auc"} <= set(metrics)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--students", "[trees]"], "students: got 'trees', expected tree, forest, boosting"),
        (["--checkpoints.gan", "missing.ckpt"], "missing.ckpt"),
        (["--data.validation_fraction", "1.5"], "data.validation_fraction: got 1.5, expected a value in (0, 1)"),
        (["--data.dataset.path", "other.npz"], "other.npz"),
        (["--data.train_size", "1"], "data.train_size: got 1, expected at least 2, the number of classes of rows"),
        (["--data.train_size", "-5"], "data.train_size: got -5, expected at least 2, the number of classes of rows"),
        (["--data.validation_size", "0"], "data.validation_size: got 0, expected at least 2, the number of classes of"),
        (["--checkpoints.munge", "gan.ckpt"], "got the name 'munge', expected distinct names of letters, digits,"),
        (["--checkpoints.best", "gan.ckpt"], "got the name 'best', expected distinct names of letters, digits,"),
        (["--checkpoints.in_bag", "gan.ckpt"], "got the name 'in_bag', expected distinct names of letters, digits,"),
    ],
)
def test_errors_are_one_line(folder, capsys, arguments, message):
    assert run("--out", "run", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "run").exists()


def test_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    StudentStudyData(Digits(), root="~/cache").load(0)
    assert (folder / "cache").is_dir()


def test_subsets_depend_on_the_seed_but_training_and_validation_rows_are_disjoint(folder):
    data = StudentStudyData(NpzFile("rows.npz"), train_size=100, validation_size=50)
    first, second = data.load(0), data.load(1)
    assert (len(first.fit.X), len(first.validation.X), len(first.test.X)) == (100, 50, 80)
    assert not np.array_equal(first.fit.X, second.fit.X)
    np.testing.assert_array_equal(first.test.X, second.test.X)
    fit = {row.tobytes() for row in np.concatenate([first.fit.X, second.fit.X])}
    assert not any(row.tobytes() in fit for row in np.concatenate([first.validation.X, second.validation.X]))


def test_images_are_flattened(tmp_path):
    splits = StudentStudyData(Digits(), root=str(tmp_path)).load(0)
    assert splits.fit.X.shape[1] == 64
    assert splits.fit.X.dtype == np.float64


def test_images_in_files_are_rejected(folder):
    from PIL import Image

    from ganmc_lightning.data.datasets import ImageNet

    for split in ("train", "val"):
        for name in ("a", "b"):
            path = folder / "images" / split / name
            path.mkdir(parents=True)
            for i in range(4):
                Image.new("RGB", (8, 8)).save(path / f"{i}.png")
    with pytest.raises(ConfigurationError, match=r"data.dataset: .* is read from files, expected rows in memory"):
        StudentStudyData(ImageNet(path="images")).load(0)
