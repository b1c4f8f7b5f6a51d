"""Arguments of `ganmc compress` for images."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganmc_lightning.cli import compress_image_arguments, compress_images
from ganmc_lightning.cli.compress_images import LOSSES
from ganmc_lightning.compression import compress as defaults
from ganmc_lightning.losses import DecoupledKnowledgeDistillationLoss, KnowledgeDistillationLoss, L2LogitsLoss
from ganmc_lightning.networks import MLPClassifier
from ganmc_lightning.synthesizers import StoredSynthesizer


@pytest.fixture
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder; its images are not read."""
    return tmp_path_factory.mktemp("photos")


TEACHER = ("--teacher", "timm:resnet18")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{photos}",), "--teacher: missing, expected the trained network"),
        (("none/", *TEACHER), "none/: not found, expected a folder of images"),
        (("{photos}", "--teacher", "none.ckpt"), "none.ckpt: checkpoint not found"),
        (("{photos}", "--teacher", "timm:resnet18:none.pth"), "--teacher: none.pth: file of the weights not found"),
        (("{photos}", *TEACHER, "--student", "resnet18"), "--student: got the network 'resnet18', expected"),
        (("{photos}", *TEACHER, "--student", "timm:a:b"), "--student: got weights in 'timm:a:b'"),
        (("{photos}", *TEACHER, "--student", "timm:a", "--smaller", "2"), "--smaller: got a value with --student"),
        (("{photos}", *TEACHER, "--student-args", "{}"), "--student-args: got arguments without --student"),
        (("{photos}", *TEACHER, "--student-args", "3"), "argument --student-args: got '3', expected a JSON object"),
        (("{photos}", *TEACHER, "--smaller", "0.5"), "--smaller: got 0.5, expected at least 1"),
        (("{photos}", *TEACHER, "--smaller", "nan"), "--smaller: got nan, expected at least 1"),
        (("{photos}", *TEACHER, "--seed", "-1"), "--seed: got -1, expected 0 to 4294967295"),
        (("{photos}", *TEACHER, "--epochs", "0"), "--epochs: got 0, expected at least 1"),
        (("{photos}", *TEACHER, "--time", "soon"), "--time: got 'soon', expected a duration such as 90, 30m or 1.5h"),
        (
            ("{photos}", *TEACHER, "--format", "onxx"),
            "--format: got 'onxx', expected some of onnx, pt2",
        ),
        (("{photos}", *TEACHER, "--gan", "none.ckpt"), "none.ckpt: checkpoint not found"),
        (("{photos}", *TEACHER, "--synthetic", "none"), "--synthetic: none: not found"),
        (("{photos}", *TEACHER, "--unlabeled", "none"), "--unlabeled: none: not found"),
        (("{photos}", *TEACHER, "--teacher-mean", "0,0,0"), "--teacher-mean, --teacher-std: got one of the options"),
        (
            ("{photos}", *TEACHER, "--max-nodes", "5"),
            "--max-nodes: is an option for tables, expected options for images",
        ),
        (("x.csv", "--target", "y", "--student", "timm:a"), "--student: is an option for images"),
        (("x.csv", "--target", "y", "--teacher", "timm:a"), "--teacher: got 'timm:a', expected forest for a table"),
        (("model.skops", "x.csv"), "--target: missing, expected the column of x.csv"),
        (("model.skops", "x.csv", "--target", "y", "--gan"), "model.skops: file not found"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    arguments: tuple[str, ...], message: str, ganmc: Any, photos: Path, tmp_path: Path
) -> None:
    words = [word.format(photos=photos) if "{photos}" in word else word for word in arguments]
    outcome = ganmc("compress", *words, "--out", tmp_path / "small")
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


Call = tuple[tuple[Any, ...], dict[str, Any]]


@pytest.fixture
def call(ganmc: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Call]:
    """Run the command without its training; return the arguments of ``compress_classifier``."""
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(8) % 2
    arrays = {"train_images": images, "test_images": 255 - images}
    np.savez(tmp_path / "data.npz", **arrays, train_labels=labels, test_labels=labels)
    torch.save(teacher_network().state_dict(), tmp_path / "teacher.pt")
    network = f"ganmc_lightning.networks:MLPClassifier:{tmp_path / 'teacher.pt'}"
    teacher = ("--teacher", network, "--teacher-args", '{"in_features": 192, "hidden": [4]}')
    calls: list[Call] = []

    def spy(*args: Any, **options: Any) -> Any:
        calls.append((args, options))
        return argparse.Namespace(folder=tmp_path)

    monkeypatch.setattr(compress_images, "compress_classifier", spy)

    def run(*words: Any) -> Call:
        outcome = ganmc("compress", tmp_path / "data.npz", *teacher, "--out", tmp_path / "small", *words)
        assert outcome.status == 0, outcome.err
        return calls.pop()

    return run


def teacher_network() -> MLPClassifier:
    torch.manual_seed(0)
    return MLPClassifier(in_features=192, num_classes=2, hidden=[4]).eval()


SPIED = {"loss", "synthesizers", "command", "environment", "make_callbacks", "report"}
"""Arguments that have tests of their own, or are those of the process."""


def test_defaults_are_passed(call: Callable[..., Call], tmp_path: Path) -> None:
    (_, _, out), options = call()
    assert out == tmp_path / "small"
    assert options["synthesizers"] == {}
    assert {name: value for name, value in options.items() if name not in SPIED} == {
        **{"student": None, "student_arguments": None, "smaller": 10.0, "epochs": 100, "seconds": None, "seed": 0},
        **{"batch_size": 128, "flip": True, "baseline": False, "gan": False, "formats": ("onnx", "safetensors")},
    }


def test_values_of_the_options_are_passed(call: Callable[..., Call], tmp_path: Path) -> None:
    numbers = ("--epochs", "7", "--time", "2m", "--batch-size", "5", "--seed", "3")
    words = ("--no-flip", "--baseline", "--gan", "--format", "pt2,safetensors", "--unlabeled", tmp_path / "data.npz")
    _, options = call(*numbers, *words, "--student", "timm:resnet18", "--student-args", '{"width": 2}')
    assert options["command"].startswith("ganmc compress")
    (synthesizer,) = options["synthesizers"].values()
    assert isinstance(synthesizer, StoredSynthesizer)
    assert not synthesizer.labeled
    assert list(options["synthesizers"]) == ["unlabeled"]
    assert {name: value for name, value in options.items() if name not in SPIED} == {
        **{"student": "timm:resnet18", "student_arguments": {"width": 2}, "smaller": 10.0, "epochs": 7},
        **{"seconds": 120.0, "seed": 3, "batch_size": 5, "flip": False, "baseline": True, "gan": True},
        **{"formats": ("pt2", "safetensors")},
    }
    assert call("--smaller", "3")[1]["smaller"] == 3


@pytest.mark.parametrize(
    ("words", "loss", "settings"),
    [
        ((), KnowledgeDistillationLoss, {"temperature": 4.0, "standardize_logits": False}),
        (("kd",), KnowledgeDistillationLoss, {"temperature": 4.0, "standardize_logits": False}),
        (("standardized",), KnowledgeDistillationLoss, {"temperature": 2.0, "standardize_logits": True}),
        (("dkd",), DecoupledKnowledgeDistillationLoss, {"temperature": 4.0, "alpha": 1.0, "beta": 8.0}),
        (("l2",), L2LogitsLoss, {}),
    ],
)
def test_losses(words: tuple[str, ...], loss: type, settings: dict[str, Any], call: Callable[..., Call]) -> None:
    _, options = call(*(("--loss", *words) if words else ()))
    assert type(options["loss"]) is loss
    assert {name: getattr(options["loss"], name) for name in settings} == settings


def test_statistics_of_the_teacher(call: Callable[..., Call]) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    (teacher, *_), _ = call("--teacher-mean", "0.485,0.456,0.406", "--teacher-std", "0.229,0.224,0.225")
    inputs = torch.rand(5, 3, 8, 8) * 2 - 1
    shape = (3, 1, 1)
    normalized = ((inputs + 1) / 2 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
    with torch.no_grad():
        torch.testing.assert_close(teacher(inputs), teacher_network()(normalized))


def test_copies_equal_the_originals() -> None:
    arguments = compress_image_arguments
    assert (arguments.EPOCHS, arguments.BATCH_SIZE, arguments.SMALLER) == (
        defaults.EPOCHS,
        defaults.BATCH_SIZE,
        defaults.SMALLER,
    )
    assert arguments.DEFAULT_FORMATS == defaults.FORMATS
    assert set(arguments.LOSSES) == set(LOSSES)
