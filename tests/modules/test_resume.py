"""A resumed run equals an uninterrupted run bit for bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.data import GANAugmentedDataModule, RandomCropFlip
from ganmc_lightning.modules import CompressionModule
from ganmc_lightning.runs.metrics_csv import read_metrics
from ganmc_lightning.synthesizers import GeneratorSynthesizer, PooledSynthesizer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),  # the teacher
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning"),
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning"),
]

BATCH_SIZE = 27  # 4 steps an epoch
KINDS = ["classifier", "distillation", "acgan"]
MODULES = {"pool": "distillation"}
OTHER_KINDS = ["pool", "hints", "anc", "gan", "wgan_gp", "gan_compression", "joint"]


class Terminate(Callback):
    """Send a signal to this process after a given iteration, or in the validation after it."""

    def __init__(self, step: int, in_validation: bool, number: int = signal.SIGTERM) -> None:
        self.step = step
        self.in_validation = in_validation
        self.number = number

    def on_train_batch_end(self, trainer: Trainer, pl_module: CompressionModule, *_: Any) -> None:
        if pl_module.iteration == self.step and not self.in_validation:
            os.kill(os.getpid(), self.number)

    def on_validation_batch_start(self, trainer: Trainer, pl_module: CompressionModule, *_: Any) -> None:
        if pl_module.iteration == self.step and self.in_validation:
            os.kill(os.getpid(), self.number)


class Cut(Callback):
    """End a run after a given step, as a kill would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise ConnectionAbortedError("killed")


@pytest.fixture
def train(
    make_module: Callable[..., CompressionModule],
    make_data: Callable[..., GANAugmentedDataModule],
    make_run_trainer: Callable[..., Trainer],
) -> Callable[..., Trainer]:
    """Train a new module on new data, from a checkpoint of the run folder or from the start."""

    def run(
        kind: str,
        folder: Path,
        resume: bool = False,
        cut: int | None = None,
        end: Callback | None = None,
        **arguments: Any,
    ) -> Trainer:
        stream: dict[str, Any] = {"augment": RandomCropFlip(padding=1)}
        if kind == "distillation":
            torch.manual_seed(5)
            stream |= {"p_fake": 0.3, "synthesizer": GeneratorSynthesizer(make_module("acgan").generator)}
        elif kind == "pool":
            torch.manual_seed(5)
            pool = PooledSynthesizer(GeneratorSynthesizer(make_module("acgan").generator), size=60, refresh=0.25)
            stream = {"p_fake": 0.3, "synthesizer": pool, "cache_logits": True}
        callbacks: list[Callback] = [GeneratorEMA(decay=0.9)] if kind in ("acgan", "wgan_gp") else []
        if cut is not None:
            callbacks.append(Cut(cut))
        if end is not None:
            callbacks.append(end)
        module, data = make_module(MODULES.get(kind, kind)), make_data(batch_size=BATCH_SIZE, **stream)
        trainer = make_run_trainer(folder, callbacks, **arguments)
        torch.manual_seed(77 if resume else 1)  # another process has another random state
        with suppress(ConnectionAbortedError):
            trainer.fit(module, data, ckpt_path=folder / "checkpoints" / "last.ckpt" if resume else None)
        return trainer

    return run


def module_of(trainer: Trainer) -> LightningModule:
    return trainer.lightning_module


def assert_equal(one: Any, other: Any, where: str = "") -> None:
    """Compare nested dictionaries and lists of tensors exactly."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for k, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}[{k}]")
    else:
        assert one == other, where


def checkpoint_of(folder: Path) -> dict[str, Any]:
    """Return the last checkpoint without training time and callbacks, which hold the folder's name."""
    checkpoint: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    for key in ("train_seconds", "callbacks"):
        del checkpoint[key]
    return checkpoint


def assert_same_run(whole: Trainer, resumed: Trainer, validated_at: str = "") -> None:
    """Compare weights, optimizers, averages, counters, random state and every logged row.

    The first part of a resumed run may have validated once more, at its end.
    """
    assert_equal(module_of(whole).state_dict(), module_of(resumed).state_dict(), "weights")
    for one, other in zip(whole.optimizers, resumed.optimizers, strict=True):
        assert_equal(one.state_dict(), other.state_dict(), "optimizer")
    for one, other in zip(whole.callbacks, resumed.callbacks, strict=True):
        if isinstance(one, GeneratorEMA):
            assert_equal(one._average, other._average, "average")
    assert module_of(whole).iteration == module_of(resumed).iteration
    assert whole.global_step == resumed.global_step
    folders = [Path(trainer.default_root_dir) for trainer in (whole, resumed)]
    assert_equal(*map(checkpoint_of, folders), "checkpoint")
    rows, others = (read_metrics(folder / "metrics.csv") for folder in folders)
    extra = [row for row in others if row["step"] == validated_at and any(name.startswith("val/") for name in row)]
    assert len(extra) == bool(validated_at)
    assert_equal(rows, [row for row in others if row not in extra], "metrics.csv")


@pytest.mark.parametrize(("check_val_every_n_epoch", "save_on_train_epoch_end"), [(1, True), (1, False), (5, False)])
@pytest.mark.parametrize("kind", KINDS)
def test_five_and_five_epochs_are_ten(
    train: Callable[..., Trainer],
    tmp_path: Path,
    kind: str,
    check_val_every_n_epoch: int,
    save_on_train_epoch_end: bool,
) -> None:
    every = {
        "check_val_every_n_epoch": check_val_every_n_epoch,
        "checkpoint": {"save_on_train_epoch_end": save_on_train_epoch_end},
    }
    whole = train(kind, tmp_path / "whole", max_epochs=10, **every)
    train(kind, tmp_path / "parts", max_epochs=5, **every)
    resumed = train(kind, tmp_path / "parts", resume=True, max_epochs=10, **every)
    assert_same_run(whole, resumed)
    rows = read_metrics(tmp_path / "whole" / "metrics.csv")
    assert sum("train/loss" in row or "train/loss_generator" in row for row in rows) == 10
    assert sum(any(name.startswith("val/") for name in row) for row in rows) == 10 / check_val_every_n_epoch


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_behind_a_checkpoint_in_mid_epoch(train: Callable[..., Trainer], tmp_path: Path, kind: str) -> None:
    saving = {"checkpoint": {"every_n_train_steps": 6}, "max_epochs": 3}
    whole = train(kind, tmp_path / "whole", **saving)
    train(kind, tmp_path / "parts", cut=7, **saving)
    assert checkpoint_of(tmp_path / "parts")["global_step"] == 6
    resumed = train(kind, tmp_path / "parts", resume=True, **saving)
    assert resumed.global_step == module_of(resumed).iteration == 12
    assert_same_run(whole, resumed)


@pytest.mark.parametrize(("cut", "end"), [(5, None), (None, Terminate(4, in_validation=False))])
@pytest.mark.parametrize("check_val_every_n_epoch", [1, 2])
def test_an_interval_between_checkpoints_ends_with_an_epoch(
    train: Callable[..., Trainer], tmp_path: Path, check_val_every_n_epoch: int, cut: int | None, end: Callback | None
) -> None:
    """The checkpoint is saved after the validation and the epoch, not after the last batch."""
    saving = {
        "checkpoint": {"every_n_train_steps": 4},
        "check_val_every_n_epoch": check_val_every_n_epoch,
        "max_epochs": 3,
    }
    whole = train("classifier", tmp_path / "whole", **saving)
    with suppress(SIGTERMException):
        train("classifier", tmp_path / "parts", cut=cut, end=end, **saving)
    assert checkpoint_of(tmp_path / "parts")["global_step"] == 4
    assert_same_run(whole, train("classifier", tmp_path / "parts", resume=True, **saving))


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_behind_a_validation(train: Callable[..., Trainer], tmp_path: Path, kind: str) -> None:
    saving = {"check_val_every_n_epoch": 2, "max_epochs": 6}
    whole = train(kind, tmp_path / "whole", **saving)
    train(kind, tmp_path / "parts", cut=11, **saving)
    assert checkpoint_of(tmp_path / "parts")["global_step"] == 8
    assert_same_run(whole, train(kind, tmp_path / "parts", resume=True, **saving))


@pytest.mark.parametrize(
    ("step", "in_validation", "saved"),
    [
        (2, False, 2),  # before anything was saved
        (6, False, 6),
        (4, False, 4),  # the end of an epoch without a validation
        (8, False, 8),  # the end of an epoch with one, which is finished
        (8, True, 8),
        (23, False, 23),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_sigterm(
    train: Callable[..., Trainer], tmp_path: Path, kind: str, step: int, in_validation: bool, saved: int
) -> None:
    saving = {"check_val_every_n_epoch": 2, "max_epochs": 6}
    before = signal.getsignal(signal.SIGTERM)
    whole = train(kind, tmp_path / "whole", **saving)
    with pytest.raises(SIGTERMException):
        train(kind, tmp_path / "parts", end=Terminate(step, in_validation), **saving)
    assert signal.getsignal(signal.SIGTERM) == before
    assert checkpoint_of(tmp_path / "parts")["global_step"] == saved
    assert_same_run(whole, train(kind, tmp_path / "parts", resume=True, **saving))


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_every_module_continues_after_sigterm_and_after_its_last_epoch(
    train: Callable[..., Trainer], tmp_path: Path, kind: str
) -> None:
    whole = train(kind, tmp_path / "whole", max_epochs=4)
    with pytest.raises(SIGTERMException):
        train(kind, tmp_path / "parts", end=Terminate(2, in_validation=False), max_epochs=3)
    assert checkpoint_of(tmp_path / "parts")["iteration"] == 2
    train(kind, tmp_path / "parts", resume=True, max_epochs=3)
    assert_same_run(whole, train(kind, tmp_path / "parts", resume=True, max_epochs=4))


@pytest.mark.parametrize(("step", "in_validation", "saved"), [(7, False, 7), (8, True, 8)])
def test_ctrl_c(train: Callable[..., Trainer], tmp_path: Path, step: int, in_validation: bool, saved: int) -> None:
    saving = {"check_val_every_n_epoch": 2, "max_epochs": 4}
    before = signal.getsignal(signal.SIGINT)
    whole = train("classifier", tmp_path / "whole", **saving)
    with pytest.raises(SystemExit):  # of Lightning, after KeyboardInterrupt
        train("classifier", tmp_path / "parts", end=Terminate(step, in_validation, signal.SIGINT), **saving)
    assert signal.getsignal(signal.SIGINT) == before
    assert checkpoint_of(tmp_path / "parts")["global_step"] == saved
    assert_same_run(whole, train("classifier", tmp_path / "parts", resume=True, **saving))


def test_sigterm_at_the_end(train: Callable[..., Trainer], tmp_path: Path) -> None:
    """The training is complete; the command still reports the signal."""
    whole = train("acgan", tmp_path / "whole", max_epochs=2)
    with pytest.raises(SIGTERMException):
        train("acgan", tmp_path / "parts", end=Terminate(8, in_validation=True), max_epochs=2)
    resumed = train("acgan", tmp_path / "parts", resume=True, max_epochs=2)
    assert_equal(module_of(whole).state_dict(), module_of(resumed).state_dict())
    assert resumed.global_step == 8


@pytest.mark.parametrize("kind", ["classifier", "acgan"])
def test_steps_as_the_limit(train: Callable[..., Trainer], tmp_path: Path, kind: str) -> None:
    whole = train(kind, tmp_path / "whole", max_epochs=-1, max_steps=16)
    train(kind, tmp_path / "parts", max_epochs=-1, max_steps=8)
    assert_same_run(whole, train(kind, tmp_path / "parts", resume=True, max_epochs=-1, max_steps=16))


@pytest.mark.parametrize("kind", ["classifier", "acgan"])
def test_limit_in_mid_epoch(train: Callable[..., Trainer], tmp_path: Path, kind: str) -> None:
    """The epoch ends there: a resumed run starts the next epoch without losing or repeating a step."""
    train(kind, tmp_path, max_epochs=-1, max_steps=10)
    assert checkpoint_of(tmp_path)["global_step"] == 10
    resumed = train(kind, tmp_path, resume=True, max_epochs=-1, max_steps=16)
    assert module_of(resumed).iteration == resumed.global_step == 16
    assert resumed.datamodule.step == 16


@pytest.mark.parametrize("kind", KINDS)
def test_epochs_behind_the_last_validation_count(train: Callable[..., Trainer], tmp_path: Path, kind: str) -> None:
    every = {"check_val_every_n_epoch": 2}
    whole = train(kind, tmp_path / "whole", max_epochs=4, **every)
    train(kind, tmp_path / "parts", max_epochs=3, **every)
    assert checkpoint_of(tmp_path / "parts")["global_step"] == 12
    assert_same_run(whole, train(kind, tmp_path / "parts", resume=True, max_epochs=4, **every), validated_at="11")
