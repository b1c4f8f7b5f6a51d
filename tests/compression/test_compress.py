"""Compression of a classifier from Python: resume, choice by validation accuracy, refusals."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import TQDMProgressBar
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.compression import LoadedSource, compress_classifier
from ganmc_lightning.compression.finish import choose_student
from ganmc_lightning.compression.inputs import StudentNetwork
from ganmc_lightning.compression.stages import StageFactory
from ganmc_lightning.compression.synthesis import unfiltered_pool
from ganmc_lightning.compression.work import CompressionWork
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.export.files import FILE_FORMATS
from ganmc_lightning.losses import L2LogitsLoss
from ganmc_lightning.networks import MLPClassifier, load_network
from ganmc_lightning.networks.prediction import predict_logits
from ganmc_lightning.synthesizers import JitterSynthesizer


class KilledError(Exception):
    """Stands for the end of the process."""


class Kill(Callback):
    """Raise at the start of the third epoch."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 2:
            raise KilledError


class Record(Callback):
    """Record the epochs that are trained."""

    def __init__(self, epochs: list[int]) -> None:
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.epochs.append(trainer.current_epoch)


def test_a_killed_compression_resumes_to_the_same_student(compress: Any, tmp_path: Any) -> None:
    whole = compress(tmp_path / "whole", epochs=4)
    with pytest.raises(KilledError):
        compress(tmp_path / "killed", epochs=4, make_callbacks=lambda: [Kill()])
    assert not (tmp_path / "killed" / "result.json").exists()
    epochs: list[int] = []
    resumed = compress(tmp_path / "killed", epochs=4, make_callbacks=lambda: [Record(epochs)])
    assert epochs == [2, 3]
    for name, value in whole.student.state_dict().items():
        assert torch.equal(value, resumed.student.state_dict()[name]), name
    assert resumed.result.steps == whole.result.steps == 4 * (108 // 32)


def test_a_complete_compression_is_read(compress: Any, tmp_path: Any) -> None:
    lines: list[str] = []
    first = compress(tmp_path / "small", epochs=1, report=lines.append)
    assert any("1 epoch each, in 32-true, about" in line for line in lines)
    lines.clear()
    second = compress(tmp_path / "small", epochs=1, report=lines.append)
    assert not any(line.startswith("training") for line in lines)
    assert first.result == second.result
    with pytest.raises(ConfigurationError, match=r"small: contains .* other settings \(max_epochs was 1, got 3\)"):
        compress(tmp_path / "small", epochs=3)
    with pytest.raises(ConfigurationError, match=r"other settings \(student differs\)"):
        compress(tmp_path / "small", epochs=1, seed=1)
    with pytest.raises(ConfigurationError, match=r"other settings \(student differs\)"):
        compress(tmp_path / "small", epochs=1, student_arguments={"in_features": 64, "hidden": [4], "dropout": 0.5})


class Branching(nn.Module):
    """Classifier whose operations depend on its inputs, which cannot be exported as a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MLPClassifier(64, 3, [4])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(inputs)
        return logits * 2 if inputs.mean() > 0 else logits


def test_a_failed_export_keeps_the_student_and_the_other_files(compress: Any, tmp_path: Any) -> None:
    lines: list[str] = []
    torch.manual_seed(0)
    arguments: Any = {"student": Branching(), "student_arguments": None, "epochs": 1, "report": lines.append}
    first = compress(tmp_path / "small", formats=("pt2", "safetensors"), **arguments)
    assert list(first.result.sizes) == ["student.safetensors"]
    failure = next(line for line in lines if line.startswith("Not exported as pt2: Branching: cannot be exported"))
    assert failure in json.loads((tmp_path / "small" / "card.json").read_text())["notes"]


def test_a_file_that_cannot_be_run_keeps_the_student(
    compress: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(content: bytes, deployment: Any) -> Any:
        raise OverflowError("no kernel\nfor the layer")

    form = FILE_FORMATS["safetensors"]
    monkeypatch.setitem(FILE_FORMATS, "safetensors", form._replace(decode=fail))
    lines: list[str] = []
    result = compress(tmp_path / "small", epochs=1, formats=("safetensors",), report=lines.append)
    assert (result.result.sizes, (tmp_path / "small" / "card.html").is_file()) == ({}, True)
    assert any("student.safetensors: cannot be run: no kernel" in line and "\n" not in line for line in lines)


def test_other_formats_are_written_without_training(compress: Any, tmp_path: Any) -> None:
    lines: list[str] = []
    first = compress(tmp_path / "small", epochs=1)
    second = compress(tmp_path / "small", epochs=1, formats=("safetensors",), report=lines.append)
    assert not any(line.startswith("training") for line in lines)
    assert (first.result.train_seconds, {}) == (second.result.train_seconds, first.result.sizes)
    assert list(second.result.sizes) == ["student.safetensors"]
    assert "student.safetensors" in (tmp_path / "small" / "card.html").read_text()


def test_unknown_formats_are_refused_before_the_training(compress: Any, tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="formats: got 'onx', expected some of"):
        compress(tmp_path / "small", formats=("onx",))
    assert not (tmp_path / "small").exists()


def test_a_second_compression_into_the_same_folder_is_refused(compress: Any, tmp_path: Any) -> None:
    def compress_again(line: str) -> None:
        if not line.startswith("teacher: accuracy"):
            return
        refused.append(line)
        with ThreadPoolExecutor(1) as executor, pytest.raises(ConfigurationError, match=r"^out: .*small is in use by"):
            executor.submit(compress, tmp_path / "small", epochs=1).result()

    refused: list[str] = []
    compress(tmp_path / "small", epochs=1, report=compress_again)
    assert refused
    assert not (tmp_path / "small" / ".lock").exists()


def test_lines_of_progress(compress: Any, tmp_path: Any) -> None:
    lines: list[str] = []
    compress(tmp_path / "small", epochs=12, report=lines.append)
    progress = [line for line in lines if line.startswith("student: epoch")]
    assert [re.match(r"student: epoch (\d+)/12, validation accuracy \d\.\d{4}", line)[1] for line in progress] == [
        *("2", "4", "6", "8", "10", "12")
    ]
    assert [line.endswith(" s left") for line in progress] == [True] * 5 + [False]


def test_a_progress_bar_replaces_the_lines(compress: Any, tmp_path: Any) -> None:
    lines: list[str] = []
    compress(tmp_path / "small", epochs=1, report=lines.append, make_callbacks=lambda: [TQDMProgressBar()])
    assert not any(line.startswith("student: epoch") for line in lines)


def test_files_and_scores(compress: Any, tmp_path: Any, gray: Any) -> None:
    result = compress(tmp_path / "small", baseline=True, epochs=8)
    names = {path.name for path in (tmp_path / "small").iterdir()}
    assert names == {"student.ckpt", "card.html", "card.json", "result.json", "runs"}
    student = load_network(str(tmp_path / "small" / "student.ckpt"), "student")
    assert isinstance(student, MLPClassifier)
    data = GANAugmentedDataModule(gray)
    data.setup("test")
    logits, labels = predict_logits(student, data.test_dataloader(), torch.device("cpu"))
    accuracy = float((logits.argmax(dim=1) == labels).double().mean())
    metrics = json.loads((tmp_path / "small" / "result.json").read_text())["metrics"]
    assert metrics["test/student/accuracy"] == accuracy
    assert set(metrics) >= {"test/teacher/accuracy", "test/student on labels only/accuracy"}
    assert result.name == "student"
    notes = json.loads((tmp_path / "small" / "card.json").read_text())["notes"]
    assert "Latency: seconds per call on the CPU of this machine, one thread." in notes


@pytest.mark.parametrize(("jittered", "chosen"), [(0.9, "student"), (0.91, "student_jitter")])
def test_synthetic_images_are_used_only_if_they_increase_the_validation_accuracy(
    jittered: float, chosen: str, compress: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = CompressionWork.train

    def rated(self: CompressionWork, plan: Any) -> dict[str, float]:
        assert list(train(self, plan)) == ["student", "student_jitter"]
        return {"student": 0.9, "student_jitter": jittered}

    monkeypatch.setattr(CompressionWork, "train", rated)
    result = compress(tmp_path / "small", epochs=1, synthesizers={"jitter": JitterSynthesizer()})
    assert result.name == chosen
    best = torch.load(tmp_path / "small" / "runs" / chosen / "checkpoints" / "best.ckpt", weights_only=True)
    for name, value in result.student.state_dict().items():
        assert torch.equal(value, best["state_dict"][f"student.{name}"])
    card = json.loads((tmp_path / "small" / "card.json").read_text())
    assert ("student without synthetic images" in str(card["models"])) == (chosen != "student")


def test_choice_among_equal_students() -> None:
    assert choose_student({"student": 0.5, "student_a": 0.7, "student_b": 0.7}) == "student_a"


def test_gan(compress: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All images of the GAN of one epoch are used, of which the filter would reject too many."""
    monkeypatch.setattr("ganmc_lightning.compression.stages.GAN_WIDTHS", (4, 2))
    monkeypatch.setattr(
        "ganmc_lightning.compression.work.generator_pool", lambda generator, _, size: unfiltered_pool(generator, size)
    )
    lines: list[str] = []
    result = compress(tmp_path / "small", epochs=1, gan=True, report=lines.append)
    assert (tmp_path / "small" / "runs" / "gan" / "checkpoints" / "best.ckpt").exists()
    assert "student_gan" in result.result.settings["validation_accuracies"]
    assert not any(line.startswith("student with GAN images: not trained, ") for line in lines)


def test_a_student_as_large_as_the_teacher_is_named(compress: Any, tmp_path: Any, teacher: nn.Module) -> None:
    lines: list[str] = []
    compress(
        tmp_path / "small", student=MLPClassifier(64, 3, [32]), student_arguments=None, epochs=1, report=lines.append
    )
    assert any(
        "warning: MLPClassifier has 2,179 parameters, not fewer than the teacher's 2,179" in line for line in lines
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"student": MLPClassifier(64, 4, [4]), "student_arguments": None}, "student.*expected .* 3"),
        ({"student": MLPClassifier(192, 3, [4]), "student_arguments": None}, "student.*does not accept samples"),
    ],
)
def test_students_that_do_not_fit_the_data_are_refused(
    changed: Any, message: str, compress: Any, tmp_path: Any
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        compress(tmp_path / "small", **changed)


def test_images_of_four_channels(gray: LoadedSource, teacher: nn.Module, tmp_path: Any) -> None:
    class FirstChannel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = teacher

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(inputs[:, :1])
            return logits

    source, splits = LoadedSource(gray), gray.splits
    train, test = (part.with_inputs(part.inputs.expand(-1, 4, -1, -1)) for part in (splits.train, splits.test))
    source.splits = splits._replace(train=train, test=test)
    student = MLPClassifier(4 * 64, 3, [4])
    compress_classifier(FirstChannel(), source, tmp_path / "small", student=student, epochs=1, formats=())
    assert (tmp_path / "small" / "card.html").is_file()


def test_a_teacher_with_nan_for_a_test_image_is_refused(gray: LoadedSource, teacher: nn.Module, tmp_path: Any) -> None:
    class Logarithm(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = teacher(inputs)
            return logits + 0 * (inputs + 1).sum(dim=(1, 2, 3), keepdim=True).flatten(1).log()

    source, test = LoadedSource(gray), gray.splits.test
    black = torch.cat([torch.zeros_like(test.inputs[:1]), test.inputs[1:]])
    source.splits = source.splits._replace(test=test.with_inputs(black))
    with pytest.raises(ConfigurationError, match="NaN or infinite logits for 1 of"):
        compress_classifier(Logarithm(), source, tmp_path / "small", student=teacher, epochs=1, formats=())


def test_other_folders_are_refused(compress: Any, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(ConfigurationError, match=r"^out: cannot write to .*file \(Not a directory\)"):
        compress(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="contains 'file', expected a new or empty folder"):
        compress(tmp_path)


def test_gan_of_unsupported_size(gray: Any, teacher: nn.Module) -> None:
    student = StudentNetwork(teacher, None, "student")
    factory = StageFactory(teacher, student, gray, DataSpec((1, 6, 6), 3), L2LogitsLoss(), batch_size=8, flip=False)
    with pytest.raises(ConfigurationError, match="--gan: got images of 6 x 6 pixels"):
        factory.gan()
