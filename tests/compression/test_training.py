"""Measured duration of an epoch."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from lightning.fabric.accelerators import MPSAccelerator
from PIL import Image
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.compression import LoadedSource, stages
from ganmc_lightning.compression.inputs import StudentNetwork
from ganmc_lightning.compression.stages import STUDENT, StageFactory
from ganmc_lightning.compression.training import measure_epoch
from ganmc_lightning.data.datasets import ImageFileDataset, TensorDataset
from ganmc_lightning.data.splits import Split
from ganmc_lightning.losses import L2LogitsLoss
from ganmc_lightning.networks import MLPClassifier
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO


def save_images(split: Split, folder: Path) -> ImageFileDataset:
    assert isinstance(split, TensorDataset)
    folder.mkdir()
    names = [f"{index}.png" for index in range(len(split))]
    for name, image in zip(names, split.inputs, strict=True):
        Image.fromarray(image[0].numpy()).save(folder / name)
    return ImageFileDataset(folder, names, split.labels, 8, 8, channels=1)


def test_batches_that_workers_have_loaded_in_advance_are_no_measure(
    gray: LoadedSource, teacher: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ImageFileDataset.__getitem__

    def read_slowly(self: ImageFileDataset, index: int) -> Any:
        time.sleep(0.02)
        return read(self, index)

    monkeypatch.setattr(ImageFileDataset, "__getitem__", read_slowly)
    monkeypatch.setattr(stages, "WORKERS", 2)
    source, splits = LoadedSource(gray), gray.splits
    source.splits = splits._replace(
        train=save_images(splits.train, tmp_path / "train"), test=save_images(splits.test, tmp_path / "test")
    )
    student = StudentNetwork(MLPClassifier(64, 3, [4]), None, "student")
    factory = StageFactory(teacher, student, source, DataSpec((1, 8, 8), 3), L2LogitsLoss(), batch_size=4, flip=False)
    images = 108 + 12  # of training and validation
    workers = min(2, os.cpu_count() or 1)
    assert measure_epoch(factory.distillation(STUDENT, "student"), "32-true") >= 0.9 * 0.02 * images / workers


def test_epochs_include_their_checkpoints(
    gray: LoadedSource, teacher: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = AtomicCheckpointIO.save_checkpoint

    def save_slowly(self: AtomicCheckpointIO, *arguments: Any, **named: Any) -> None:
        time.sleep(0.3)
        save(self, *arguments, **named)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", save_slowly)
    student = StudentNetwork(MLPClassifier(64, 3, [4]), None, "student")
    factory = StageFactory(teacher, student, gray, DataSpec((1, 8, 8), 3), L2LogitsLoss(), batch_size=64, flip=False)
    assert measure_epoch(factory.distillation(STUDENT, "student"), "32-true") >= 0.3


def test_training_on_apple_computers_uses_the_cpu(
    gray: LoadedSource, teacher: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MPSAccelerator, "is_available", lambda: True)
    student = StudentNetwork(MLPClassifier(64, 3, [4]), None, "student")
    factory = StageFactory(teacher, student, gray, DataSpec((1, 8, 8), 3), L2LogitsLoss(), batch_size=64, flip=False)
    assert measure_epoch(factory.distillation(STUDENT, "student"), "32-true") > 0
