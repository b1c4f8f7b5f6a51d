"""Measured duration of an epoch."""

from __future__ import annotations

import time
from typing import Any

import pytest
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.compression import LoadedSource
from ganmc_lightning.compression.inputs import StudentNetwork
from ganmc_lightning.compression.stages import STUDENT, StageFactory
from ganmc_lightning.compression.training import measure_epoch
from ganmc_lightning.losses import L2LogitsLoss
from ganmc_lightning.networks import MLPClassifier
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO


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
