from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ganmc_lightning.cli import evaluate, evaluate_arguments
from ganmc_lightning.evaluation import evaluator, load_datamodule, samples
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import ClassifierExtractor, FrechetInceptionDistance, laplacian_variance
from ganmc_lightning.networks import MLPClassifier, load_network

STUDENT = (
    "{class_path: ganmc_lightning.networks.MLPClassifier, init_args: {in_features: 64, num_classes: 3, hidden: [8]}}"
)


@pytest.fixture
def tools(trained, data_root, tmp_path, monkeypatch):
    """Arguments for every metric on the tiny data."""
    monkeypatch.setenv("GANMC_DATA", str(tmp_path / "root"))
    (tmp_path / "student.yaml").write_text(STUDENT)
    extractor = ["--extractor", f"classifier:{trained.teacher_checkpoint}"]
    students = ["--teacher", trained.teacher_checkpoint, "--student", tmp_path / "student.yaml", "--num-students", 2]
    return ["--data", data_root / "tiny.npz", "--num-samples", 60, *extractor, *students, "--student-batch-size", 8]


def fid(network, generated, real):
    metric = FrechetInceptionDistance(ClassifierExtractor(network))
    metric.update(generated, real=False)
    metric.update(real, real=True)
    return pytest.approx(metric.compute().item(), rel=1e-4)


def read_images(path):
    with np.load(path) as arrays:
        return torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2)


def save_images(path, maximum):
    """Write 60 images of noise."""
    images = np.random.default_rng(maximum).integers(0, maximum, (60, 8, 8, 1), dtype=np.uint8)
    np.savez(path, images=images)
    return read_images(path)


def test_one_set_for_a_stage_of_an_experiment(ganmc, tools, trained, tmp_path):
    plot, out = tmp_path / "figures" / "nearest.png", tmp_path / "run"
    done = ganmc("evaluate", trained.generator_checkpoint, *tools, "--out", out, "--nearest-plot", plot, "--seed", 3)
    assert done.status == 0, done.err
    result = json.loads((out / "result.json").read_text())
    assert {
        "test/inception_score",
        "test/fid",
        "test/kid",
        "test/precision",
        "test/near_duplicate_rate",
        "test/laplacian_variance_ratio",
        "test/compression_score_5_epochs",
        "test/compression_score_5_epochs_standard_error",
        "test/compression_score_1_epoch",
    } <= set(result["metrics"])
    assert result["command"].startswith(f"ganmc evaluate {trained.generator_checkpoint} --data")
    assert result["train_seconds"] > 0
    settings = result["settings"]
    assert (settings["data"], settings["real_split"], settings["seed"], settings["num_samples"]) == (
        "tiny",
        "test",
        3,
        60,
    )
    assert settings["extractor"] == "classifier (MLPClassifier)"
    (samples,) = settings["samples"].values()
    assert samples["metrics"]["compression_score_5_epochs"]["seeds"] == "6, 7"
    assert samples["metrics"]["fid"]["n_generated"] == 60
    assert settings["extractor_digest"] in done.out
    assert "FID" in done.out
    with Image.open(plot) as picture:
        assert picture.width > 0


def test_several_sets_differ_and_are_reproducible(ganmc, tools, trained, tmp_path):
    assert (
        ganmc("sample", trained.generator_checkpoint, "--num-samples", 60, "--out", tmp_path / "stored.npz").status == 0
    )
    sets = ["real=real:train", f"gan={trained.generator_checkpoint}", tmp_path / "stored.npz"]
    for name in ("a", "b"):
        done = ganmc(
            "evaluate", *sets, *tools, "--metrics", "inception_score,fid,near_duplicates", "--out", tmp_path / name
        )
        assert done.status == 0, done.err
    first, second = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("a", "b"))
    assert first["metrics"] == second["metrics"]
    assert {name.split("/")[1] for name in first["metrics"]} == {"real", "gan", "stored"}
    assert first["metrics"]["test/real/fid"] < first["metrics"]["test/gan/fid"]
    network, real = load_network(str(trained.teacher_checkpoint), "network"), load_datamodule(str(tools[1]))
    expected = fid(network, read_images(tmp_path / "stored.npz"), real.samples("test")[0])
    assert first["metrics"]["test/stored/fid"] == expected
    assert "test/real/near_duplicate_rate" not in first["metrics"]
    assert "skipped: near_duplicates of real" in done.out


def test_other_references_and_students(ganmc, tools, trained, tmp_path):
    generated = save_images(tmp_path / "noise.npz", 250)
    reference = save_images(tmp_path / "dark.npz", 50)
    metrics = ("--metrics", "fid,laplacian_variance,compression_score", "--num-students", 1)
    options = ("--real-split", "val", "--sharpness-reference", tmp_path / "dark.npz", "--student-learning-rate", 0.02)
    done = ganmc("evaluate", tmp_path / "noise.npz", *tools, *metrics, *options, "--out", tmp_path / "run")
    assert done.status == 0, done.err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    network, real = load_network(str(trained.teacher_checkpoint), "network"), load_datamodule(str(tools[1]))
    assert result["metrics"]["test/fid"] == fid(network, generated, real.samples("val")[0])
    ratio = laplacian_variance(generated).mean() / laplacian_variance(reference).mean()
    assert result["metrics"]["test/laplacian_variance_ratio"] == pytest.approx(ratio.item())
    settings = result["settings"]
    assert (settings["real_split"], settings["held_out_split"]) == ("val", "val")
    assert settings["sharpness_reference"] == str(tmp_path / "dark.npz")
    students = settings["samples"]["noise"]["metrics"]["compression_score_5_epochs"]
    assert (students["learning_rate"], students["batch_size"], students["seeds"]) == (0.02, 8, "0")


def test_images_are_resized_for_the_extractor(ganmc, tools, tmp_path, monkeypatch):
    (tmp_path / "sixteen.py").write_text(SIXTEEN)
    monkeypatch.syspath_prepend(tmp_path)
    network = MLPClassifier(in_features=256, num_classes=3, hidden=[8]).eval()
    torch.save(network.state_dict(), tmp_path / "sixteen.pt")
    generated = save_images(tmp_path / "noise.npz", 250)
    extractor = ("--extractor", f"classifier:sixteen:build:{tmp_path / 'sixteen.pt'}", "--extractor-size", 16)
    options = ("--metrics", "fid", "--out", tmp_path / "run")
    done = ganmc("evaluate", tmp_path / "noise.npz", *tools, *extractor, *options)
    assert done.status == 0, done.err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["settings"]["resize"] == "bilinear to 16x16, antialiased"
    resized = torch.nn.Sequential(torch.nn.Upsample((16, 16), mode="bilinear"), network)
    real = load_datamodule(str(tools[1])).samples("test")[0]
    assert result["metrics"]["test/fid"] == fid(resized, generated, real)


SIXTEEN = """
from ganmc_lightning.networks import MLPClassifier


def build() -> MLPClassifier:
    return MLPClassifier(in_features=256, num_classes=3, hidden=[8])
"""


def test_the_result_is_written_before_the_figure(ganmc, tools, tmp_path, monkeypatch):
    def fail(*_):
        raise ConfigurationError("no figure")

    monkeypatch.setattr(evaluate, "plot_results", fail)
    plot, out = tmp_path / "nearest.png", tmp_path / "run"
    done = ganmc("evaluate", "real:val", *tools, "--metrics", "fid", "--out", out, "--nearest-plot", plot)
    assert done.status == 2
    assert "test/fid" in json.loads((out / "result.json").read_text())["metrics"]


def test_images_without_a_figure(ganmc, tools, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 2), dtype=np.uint8)
    arrays = {"train_images": images[:60], "test_images": images[60:]}
    np.savez(tmp_path / "two.npz", **arrays, train_labels=np.arange(60) % 2, test_labels=np.arange(20) % 2)
    arguments = ["real:val", *tools[2:6], "--data", tmp_path / "two.npz", "--nearest-plot", tmp_path / "nearest.png"]
    done = ganmc("evaluate", *arguments)
    assert done.status == 2
    assert done.err == "ganmc: --nearest-plot: got images of 2 channels, expected 1, 3 or 4\n"


def test_the_result_of_a_training_is_not_replaced(ganmc, tools, tmp_path):
    text = '{"command": "ganmc fit", "steps": 9, "metrics": {"test/accuracy": 0.5}}'
    (tmp_path / "result.json").write_text(text)
    done = ganmc("evaluate", "real:val", *tools, "--metrics", "fid", "--out", tmp_path)
    assert done.status == 2
    assert done.err == f"ganmc: --out: {tmp_path} contains the result of a training, expected another folder\n"
    assert (tmp_path / "result.json").read_text() == text


def test_rows_without_an_extractor(ganmc, tmp_path, monkeypatch):
    """No metric remains without an extractor."""
    monkeypatch.setenv("GANMC_DATA", str(tmp_path))
    done = ganmc("evaluate", "real:val", "--data", "breast_cancer")
    assert done.status == 2
    assert "laplacian_variance requires images" in done.err
    assert "fid requires an extractor" in done.err


def test_weights_are_refused(ganmc, tmp_path):
    rows, labels = np.random.default_rng(0).normal(size=(80, 2)), np.arange(80) % 2
    np.savez(tmp_path / "rows.npz", X=rows, y=labels, sample_weight=np.ones(80))
    done = ganmc("evaluate", "real:val", "--data", tmp_path / "rows.npz")
    assert done.status == 2
    assert "rows.npz: got rows with weights, expected none" in done.err


def test_image_with_too_many_channels_for_the_teacher_only(ganmc, tools, tmp_path):
    """Samples of another shape are refused before any network runs."""
    np.savez(tmp_path / "color.npz", images=np.zeros((9, 8, 8, 3), np.uint8))
    done = ganmc("evaluate", tmp_path / "color.npz", *tools)
    assert done.status == 2
    assert "(3, 8, 8)" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-samples", "1"], "--num-samples: got 1, expected at least 2"),
        (["--num-samples", "9", "--nearest-plot", "p.png"], "--num-samples: got 9, expected at least 10"),
        (["--num-students", "0"], "--num-students: got 0, expected at least 1"),
        (["--student-learning-rate", "-1"], "--student-learning-rate: got -1.0, expected a positive, finite number"),
        (["--student-learning-rate", "inf"], "--student-learning-rate: got inf, expected a positive, finite number"),
        (["--metrics", "fid,lpips"], "metrics: got 'lpips', expected"),
        (["--extractor", "vgg"], "extractor: got 'vgg', expected"),
        (["--sharpness-reference", "absent.ckpt"], "absent.ckpt: checkpoint not found"),
        (["--out", "file/below"], "--out: cannot write to file/below ("),
        (["--nearest-plot", "."], "--nearest-plot: . is a folder, expected a file"),
        (["--data", "dgits"], "--data: got 'dgits', expected"),
        (["--teacher", "absent.ckpt"], "absent.ckpt: checkpoint not found"),
        (["--real-split", "valid"], "--real-split"),
    ],
)
def test_bad_input_is_one_line(ganmc, tools, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    done = ganmc("evaluate", "real:val", *tools, *arguments)
    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_two_sets_of_one_name(ganmc, tools):
    done = ganmc("evaluate", "real:train", "real:train", *tools)
    assert done.status == 2
    assert "real:train: got 2 sample sets with this name" in done.err


def test_teacher_without_student(ganmc, data_root):
    done = ganmc("evaluate", "real:train", "--data", data_root / "tiny.npz", "--teacher", "a.ckpt")
    assert done.status == 2
    assert "expected both or neither" in done.err


def test_constants_equal_those_of_the_metrics():
    assert evaluate_arguments.METRICS == evaluator.METRICS
    assert evaluate_arguments.SPLITS == samples.SPLITS
