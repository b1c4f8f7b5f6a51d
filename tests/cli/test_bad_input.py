"""Invalid user input: exit code 2, one line that names the input, no file written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision import datasets

Ganmc = Callable[..., Any]


@pytest.fixture
def refused(ganmc: Ganmc, tmp_path: Path) -> Callable[..., str]:
    """Run a command that must fail and return its error message."""

    def run(*arguments: str | Path) -> str:
        before = set(tmp_path.rglob("*"))
        outcome = ganmc(*arguments)
        assert outcome.status == 2
        assert outcome.out == ""
        assert outcome.err.startswith("ganmc: ")
        assert outcome.err.endswith("\n")
        assert outcome.err.count("\n") == 1
        assert "Traceback" not in outcome.err
        assert set(tmp_path.rglob("*")) == before
        message: str = outcome.err
        return message

    return run


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--model.init_args.depth", "3"], "depth"),
        (["--trainer.epochs", "3"], "epochs"),
        (["--bogus", "3"], "bogus"),
        (["--model", "ganmc_lightning.modules.NoSuchModule"], "NoSuchModule"),
        (["--model.init_args.network", "ganmc_lightning.networks.NoSuchNet"], "NoSuchNet"),
        (["--model.init_args.network.init_args.hidden", "[many]"], "hidden"),
        (["--data.dataset", "ganmc_lightning.data.datasets.NoSuchSet"], "NoSuchSet"),
        (["--data.mix_mode", "both"], "mix"),
        (["--data.batch_size", "0"], "data.batch_size"),
        (["--data.p_fake", "1.5"], "data.p_fake: got 1.5, expected a value in [0, 1]"),
        (["--data.p_fake", "-0.1"], "data.p_fake: got -0.1, expected a value in [0, 1]"),
        (["--data.p_fake", "0.5"], "data.synthesizer: got none"),
        (["--data.train_size", "2"], "data.train_size"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--ckpt_path", "nowhere.ckpt"], "nowhere.ckpt"),
        (["--seed_everything", "-1"], "seed_everything: got -1, expected 0 to 4294967295"),
        (["--seed_everything", "4294967296"], "seed_everything: got 4294967296"),
        (["--trainer.devices", "0"], "devices"),
        (["--trainer.devices", "many"], "devices"),
        (["--trainer.accelerator", "abacus"], "abacus"),
        (["--trainer.max_epochs", "some"], "max_epochs"),
        (["--checkpoint.mode", "best"], "mode"),
    ],
)
def test_arguments(refused: Callable[..., str], configs: Any, arguments: list[str], named: str) -> None:
    assert named in refused("fit", "--config", configs.teacher, *arguments)


def test_no_model(refused: Callable[..., str]) -> None:
    assert "model" in refused("fit")


@pytest.mark.parametrize("keep", [0.3, 0.62, 0.9])
def test_truncated_configuration(refused: Callable[..., str], configs: Any, keep: float) -> None:
    text = configs.acgan.read_text()
    configs.acgan.write_text(text[: int(keep * len(text))])
    refused("fit", "--config", configs.acgan)


def test_broken_yaml(refused: Callable[..., str], configs: Any) -> None:
    configs.teacher.write_text("trainer: {max_epochs: 2,\nmodel")
    assert "teacher.yaml" in refused("fit", "--config", configs.teacher)


@pytest.mark.parametrize("where", ["--ckpt_path", "--model.init_args.teacher.init_args.path"])
@pytest.mark.parametrize("kind", ["missing", "truncated", "foreign", "folder"])
def test_unreadable_checkpoints(
    refused: Callable[..., str], configs: Any, trained: Any, tmp_path: Path, where: str, kind: str
) -> None:
    path = tmp_path / "bad.ckpt"
    content = trained.teacher_checkpoint.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "foreign":
        path.write_text("not a checkpoint")
    elif kind == "folder":
        path.mkdir()
    assert "bad.ckpt" in refused("fit", "--config", configs.student, where, path)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("pytorch-lightning_version", "the checkpoint lacks a part or is damaged (KeyError: "),
        ("optimizer_states", "which contains only weights"),
    ],
)
def test_checkpoint_without_a_part(
    refused: Callable[..., str], configs: Any, trained: Any, tmp_path: Path, part: str, named: str
) -> None:
    content = torch.load(trained.teacher / "checkpoints" / "last.ckpt", weights_only=True)
    del content[part]
    torch.save(content, tmp_path / "bad.ckpt")
    (tmp_path / "runs" / "teacher").mkdir(parents=True)
    message = refused("fit", "--config", configs.teacher, "--ckpt_path", tmp_path / "bad.ckpt")
    assert named in message


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_checkpoint_of_another_model(refused: Callable[..., str], configs: Any, trained: Any, command: str) -> None:
    message = refused(command, "--config", configs.student, "--ckpt_path", trained.teacher_checkpoint)
    assert "the checkpoint does not match the model" in message
    assert "student." in message


def test_testing_without_a_run(refused: Callable[..., str], configs: Any, tmp_path: Path) -> None:
    assert "runs/teacher/checkpoints/best.ckpt" in refused("test", "--config", configs.teacher)


def test_classifier_instead_of_a_generator(refused: Callable[..., str], configs: Any, trained: Any) -> None:
    path = "--data.synthesizer.init_args.generator.init_args.path"
    message = refused("fit", "--config", configs.student, path, trained.teacher_checkpoint)
    assert "expected 'generator'" in message
    part = ["--data.synthesizer.init_args.generator.init_args.submodule", "network"]
    message = refused("fit", "--config", configs.student, path, trained.teacher_checkpoint, *part)
    assert "expected a generator" in message


@pytest.fixture
def other_data(tmp_path: Path, data_root: Path) -> Callable[..., list[str]]:
    """Arguments for a data set of another shape or number of classes."""
    import numpy as np

    def make(size: int = 8, classes: int = 3) -> list[str]:
        images, labels = np.zeros((40, size, size, 1), np.uint8), np.arange(40) % classes
        path = tmp_path / "other.npz"
        np.savez(path, train_images=images, train_labels=labels, test_images=images + 9, test_labels=labels)
        return ["--data.dataset.init_args.path", str(path)]

    return make


@pytest.mark.parametrize(("other", "named"), [({"size": 12}, "samples of shape"), ({"classes": 4}, "classes")])
@pytest.mark.parametrize("config", ["teacher", "acgan", "student"])
def test_data_of_another_shape_or_class_count(
    refused: Callable[..., str], configs: Any, other_data: Callable[..., list[str]], config: str, other: Any, named: str
) -> None:
    message = refused("fit", "--config", getattr(configs, config), *other_data(**other))
    assert named in message
    assert any(key in message for key in ("model.", "data.synthesizer", "CompressionScoreMonitor.teacher"))


def test_generator_of_another_class_count(
    refused: Callable[..., str], configs: Any, other_data: Callable[..., list[str]]
) -> None:
    message = refused("fit", "--config", configs.student, *other_data(classes=4))
    assert "data.synthesizer: got 3 classes, expected 4" in message


def test_student_with_another_class_count(refused: Callable[..., str], configs: Any) -> None:
    message = refused("fit", "--config", configs.student, "--model.init_args.student.init_args.num_classes", "5")
    assert "model.student (MLPClassifier): returned shape (2, 5) for 2 samples, expected (2, 3)" in message


def test_unconditional_generator(refused: Callable[..., str], configs: Any) -> None:
    message = refused("fit", "--config", configs.acgan, "--model.init_args.generator.init_args.image_size", "9")
    assert "expected a multiple of 4" in message


def test_loss_with_an_impossible_setting(refused: Callable[..., str], configs: Any) -> None:
    loss = ["--model.init_args.loss", "ganmc_lightning.losses.KnowledgeDistillationLoss"]
    message = refused("fit", "--config", configs.student, *loss, "--model.init_args.loss.temperature", "-1")
    assert "temperature: got -1.0, expected a value > 0" in message


def test_data_that_cannot_be_downloaded(
    refused: Callable[..., str], configs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(datasets, "CIFAR10", offline)
    root = tmp_path / "root"
    root.mkdir()
    configs.teacher.write_text(
        configs.teacher.read_text().replace(
            next(line for line in configs.teacher.read_text().splitlines() if "dataset:" in line),
            "  dataset:  ganmc_lightning.data.datasets.CIFAR10",
        )
    )
    message = refused("fit", "--config", configs.teacher, "--data.root", root)
    assert "put cifar10.npz (train_images" in message
    assert str(root) in message


def test_run_folder_below_a_file(refused: Callable[..., str], configs: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refused("fit", "--config", configs.teacher, "--trainer.default_root_dir", tmp_path / "file" / "run")
    assert f"({tmp_path}/file: Not a directory)" in message


def test_run_folder_with_another_run(refused: Callable[..., str], configs: Any, trained: Any, ganmc: Ganmc) -> None:
    """A checkpoint of one run does not allow overwriting another run."""
    arguments = ["--trainer.default_root_dir", trained.teacher, "--ckpt_path", trained.generator_checkpoint]
    assert "already contains a run: resume it with --ckpt_path" in refused("fit", "--config", configs.acgan, *arguments)


def test_a_finished_run_is_not_repeated(
    refused: Callable[..., str], configs: Any, trained: Any, ganmc: Ganmc, tmp_path: Path
) -> None:
    """Also if the clock was set back before the result was written."""
    folder = shutil.copytree(trained.teacher, tmp_path / "copy")
    text = (folder / "config.yaml").read_text().replace(str(trained.teacher), str(folder))
    (folder / "config.yaml").write_text(text)
    os.utime(folder / "result.json", (0, 0))
    arguments = ["fit", "--config", configs.teacher, "--trainer.default_root_dir", folder]
    outcome = ganmc(*arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == f"{folder}: already finished; to repeat it, remove the folder\n"
    assert "already contains a run: resume it with --ckpt_path" in refused(*arguments, "--trainer.max_epochs", "3")


def test_unknown_metric(ganmc: Ganmc, configs: Any) -> None:
    outcome = ganmc("fit", "--config", configs.teacher, "--checkpoint.monitor", "val/acuracy")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert "val/acuracy" in outcome.err
    assert "val/accuracy" in outcome.err
