from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.cli import main
from ganmc_lightning.cli.export import print_files, read_calibration
from ganmc_lightning.data.datasets import image_splits
from ganmc_lightning.export import files
from ganmc_lightning.networks import LeNet, TabularGenerator, build_network, load_network
from ganmc_lightning.networks.training_data import get_training_data

LENET = {"in_channels": 1, "image_size": 16, "num_classes": 2, "widths": [8, 16, 64]}


def save(network, class_name, arguments, path, submodule, spec):
    recipe = {"class_path": f"ganmc_lightning.networks.{class_name}", "init_args": arguments}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "state_dict": {f"{submodule}.{name}": value for name, value in network.state_dict().items()},
            "hyper_parameters": {"_class_path": "ganmc_lightning.modules.ClassifierModule", submodule: recipe},
            "trained_on": spec and spec.state_dict(),
        },
        path,
    )


@pytest.fixture
def classifier(tmp_path):
    """Return a run folder with a classifier of gray images of 16 pixels."""
    network = LeNet(**LENET)
    *_, last = (layer for layer in network.modules() if isinstance(layer, nn.Linear))
    last.bias.data.copy_(torch.tensor([1.0, -1.0]))  # no ties between the classes
    spec = DataSpec((1, 16, 16), 2, ("ant", "bee"))
    save(network, "LeNet", LENET, tmp_path / "run" / "checkpoints" / "best.ckpt", "network", spec)
    return tmp_path / "run"


@pytest.fixture
def rows(tmp_path):
    """Return the checkpoint of a generator of rows."""
    arguments = {"num_features": 5, "num_classes": 2}
    path = tmp_path / "rows.ckpt"
    save(TabularGenerator(**arguments), "TabularGenerator", arguments, path, "generator", None)
    return path


def test_run_folder(classifier, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(classifier), "--format", "pt2,safetensors", "--out", str(out), "--probabilities"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["model.pt2", "model.safetensors"]
    printed = capsys.readouterr().out
    for heading in ("bytes", "largest difference", "ms, batch 1", "ms, batch 64"):
        assert heading in printed
    inputs = torch.rand(3, 1, 16, 16)
    loaded = load_network(str(out / "model.safetensors"))  # without the class
    expected = load_network(str(classifier / "checkpoints" / "best.ckpt"))(inputs)
    assert isinstance(loaded, LeNet)
    assert not loaded.training
    assert torch.equal(loaded(inputs), expected)
    assert get_training_data(loaded).class_names == ("ant", "bee")
    probabilities = torch.export.load(out / "model.pt2").module()(inputs)
    torch.testing.assert_close(probabilities, expected.softmax(1))
    assert main(["export", str(out / "model.safetensors"), "--format", "pt2", "--out", str(tmp_path / "again")]) == 0


def test_safetensors_of_a_reference(tmp_path):
    """The file contains the recipe, the statistics and the classes; the file with the weights is not needed."""
    pytest.importorskip("timm")
    weights, out = tmp_path / "w.pt", tmp_path / "out"
    torch.save(build_network("timm:test_resnet").state_dict(), weights)
    expected = load_network(f"timm:test_resnet:{weights}")
    assert main(["export", f"timm:test_resnet:{weights}", "--format", "safetensors", "--out", str(out)]) == 0
    weights.unlink()
    loaded = load_network(str(out / "model.safetensors"))
    inputs = torch.rand(2, 3, 160, 160)
    assert torch.equal(loaded(inputs), expected(inputs))
    assert get_training_data(loaded).sample_shape == (3, 160, 160)


def test_safetensors_without_a_recipe_are_refused(classifier, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(classifier), "--format", "pt2", "--out", str(out)]) == 0
    file = out / "model.pt2"
    assert main(["export", str(file), "--format", "safetensors", "--out", str(tmp_path / "again")]) == 2
    error = capsys.readouterr().err
    assert f"--format: safetensors requires the recipe of the network, got {file}, which contains none" in error
    assert not (tmp_path / "again").exists()


def test_paths_with_brackets_are_printed_as_they_are(capsys):
    latency = {1: 0.001, 64: 0.002}
    print_files([files.ExportedFile(Path(name), "pt2", 1000, 0.0, latency) for name in ("a[v1].pt2", "a[/x].pt2")])
    out = capsys.readouterr().out
    assert "a[v1].pt2" in out
    assert "a[/x].pt2" in out


def test_int8_with_a_folder_of_images(classifier, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    out = tmp_path / "out"
    command = ["export", str(classifier), "--format", "int8", "--uint8", "--out", str(out)]
    assert main([*command, "--calibration", str(tmp_path / "photos")]) == 0
    assert [path.name for path in out.iterdir()] == ["model.int8.onnx"]
    assert "of the calibration samples keep their class" in capsys.readouterr().out


def test_int8_of_a_run_on_image_files_without_validation(classifier, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(image_splits, "MEMORY_LIMIT", 0)
    rng = np.random.default_rng(0)
    for split, name in itertools.product(("train", "test"), ("ant", "bee")):
        (tmp_path / "photos" / split / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / split / name / f"{index}.png")
    dataset = {
        "class_path": "ganmc_lightning.data.datasets.ImageFolder",
        "init_args": {"path": str(tmp_path / "photos"), "channels": 1},
    }
    config = {"data": {"dataset": dataset, "validation_fraction": 0.0}}
    (classifier / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert main(["export", str(classifier), "--format", "int8", "--out", str(tmp_path / "out")]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.int8.onnx"]


def test_generator(rows, tmp_path):
    assert main(["export", str(rows), "--format", "pt2", "--out", str(tmp_path / "out")]) == 0
    program = torch.export.load(tmp_path / "out" / "model.pt2").module()
    assert program(torch.randn(3, 100), torch.tensor([0, 1, 1])).shape == (3, 5)


def test_each_network_of_a_checkpoint(tmp_path):
    inputs, networks = torch.rand(3, 1, 16, 16), {"network": LeNet(**LENET), "student": LeNet(**LENET)}
    recipe = {"class_path": "ganmc_lightning.networks.LeNet", "init_args": LENET}
    weights = {f"{key}.{name}": x for key, network in networks.items() for name, x in network.state_dict().items()}
    content = {"hyper_parameters": dict.fromkeys(networks, recipe), "trained_on": DataSpec((1, 16, 16), 2).state_dict()}
    torch.save({"state_dict": weights, **content}, tmp_path / "two.ckpt")
    options = ["--format", "safetensors,pt2"]
    outputs = []
    for name, network in networks.items():
        out = tmp_path / name
        assert main(["export", str(tmp_path / "two.ckpt"), "--submodule", name, *options, "--out", str(out)]) == 0
        outputs.append(network.eval()(inputs))
        torch.testing.assert_close(torch.export.load(out / "model.pt2").module()(inputs), outputs[-1])
        assert torch.equal(load_network(str(out / "model.safetensors"))(inputs), outputs[-1])
    assert (outputs[0] - outputs[1]).abs().min() > 1e-3


@pytest.mark.parametrize(("words", "status"), [((), 1), (("--tolerance", "0.005"), 1), (("--tolerance", "0.02"), 0)])
def test_tolerance(classifier, tmp_path, monkeypatch, words, status):
    shifted = files.FILE_FORMATS["pt2"]._replace(decode=lambda _, deployment: lambda x: deployment.module(x) + 0.01)
    monkeypatch.setitem(files.FILE_FORMATS, "pt2", shifted)
    monkeypatch.setattr("ganmc_lightning.cli.export.print_files", lambda _: None)
    assert main(["export", str(classifier), "--format", "pt2", *words, "--out", str(tmp_path / "out")]) == status
    assert (tmp_path / "out" / "model.pt2").exists() == (status == 0)


def test_a_difference_exits_with_1(classifier, tmp_path, monkeypatch, capsys):
    wrong = files.FILE_FORMATS["pt2"]._replace(decode=lambda content, deployment: lambda x: deployment.module(x) + 1)
    monkeypatch.setitem(files.FILE_FORMATS, "pt2", wrong)
    assert main(["export", str(classifier), "--format", "pt2", "--out", str(tmp_path / "out")]) == 1
    assert "differ from PyTorch's by 1 for a batch of 1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--format", "onx"],
            "--format: got 'onx', expected some of onnx, pt2, safetensors, int8; did you",
        ),
        (["--format", ","], "--format: got no format"),
        (["--format", "pt2", "--tolerance", "0"], "--tolerance: got 0.0, expected a positive number"),
        (["--format", "pt2", "--calibration", "x"], "--calibration: got --format pt2, expected int8"),
        (["--format", "pt2", "--submodule", "student"], "got the submodules network, expected 'student'"),
    ],
)
def test_refused_options(options, message, classifier, tmp_path, capsys):
    assert main(["export", str(classifier), "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "pt2", "--probabilities"], "--probabilities: {} is a generator, expected a classifier"),
        (["--format", "pt2", "--uint8"], "--uint8: {} is a network of rows, expected images"),
        (["--format", "int8"], "--format: int8 expects a classifier, got the generator {}"),
    ],
)
def test_options_of_classifiers_are_refused_for_a_generator(options, message, rows, tmp_path, capsys):
    assert main(["export", str(rows), "--out", str(tmp_path / "out"), *options]) == 2
    assert message.format(rows) in capsys.readouterr().err


def test_refused_calibration(classifier, tmp_path, capsys):
    checkpoint = str(classifier / "checkpoints" / "best.ckpt")
    command = ["--format", "int8", "--out", str(tmp_path / "out")]
    assert main(["export", checkpoint, *command]) == 2
    assert "--calibration: required for int8" in capsys.readouterr().err
    images = np.zeros((4, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(4) % 2
    np.savez(
        tmp_path / "small.npz", train_images=images, train_labels=labels, test_images=images + 9, test_labels=labels
    )
    assert main(["export", checkpoint, *command, "--calibration", str(tmp_path / "small.npz")]) == 2
    assert "small.npz has samples of shape (1, 8, 8), expected (1, 16, 16)" in capsys.readouterr().err


def test_gray_images_calibrate_a_network_of_colors(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    arrays = {"train_images": images[:4], "test_images": images[4:]}
    np.savez(tmp_path / "gray.npz", **arrays, train_labels=[0, 1, 0, 1], test_labels=[0, 1])
    arguments = argparse.Namespace(calibration=str(tmp_path / "gray.npz"))
    samples = read_calibration(arguments, DataSpec((3, 8, 8), 2))
    assert samples.shape == (4, 3, 8, 8)
    assert torch.equal(samples[:, 0], samples[:, 2])


def test_a_network_of_unknown_data_is_refused(tmp_path, capsys):
    save(LeNet(**LENET), "LeNet", LENET, tmp_path / "best.ckpt", "network", None)
    assert main(["export", str(tmp_path / "best.ckpt"), "--format", "pt2", "--out", str(tmp_path / "out")]) == 2
    assert "contains no shape of its training samples" in capsys.readouterr().err


def test_refused_paths(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert f"{tmp_path / 'checkpoints' / 'best.ckpt'}: checkpoint not found" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["export", str(tmp_path / "file"), "--out", str(tmp_path / "file")]) == 2
    assert "is a file, expected a folder" in capsys.readouterr().err


def test_arguments_are_validated_without_pytorch():
    code = (
        "import sys; from ganmc_lightning.cli import main; "
        "assert main(['export', 'x', '--format', 'onx', '--out', 'y']) == 2; assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
