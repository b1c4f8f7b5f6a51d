from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules import ClassifierModule
from ganmc_lightning.networks import MLPClassifier
from ganmc_lightning.runs.checkpoint_callback import RunModelCheckpoint
from ganmc_lightning.runs.metrics_csv import read_metrics

pytestmark = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning")

SCORES = [0.2, 0.9, 0.4, 0.5, 0.6, 0.3]
MONITOR = {"monitor": "score", "mode": "max"}


class Scripted(ClassifierModule):
    """Log a given score in each epoch."""

    def __init__(self) -> None:
        super().__init__(MLPClassifier(64, 3, hidden=()))

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("score", SCORES[self.current_epoch])


class Stop(Callback):
    """Stop after the first batch, as with a time limit."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        trainer.should_stop = True


@pytest.fixture
def fit(
    make_data: Callable[..., GANAugmentedDataModule], make_run_trainer: Callable[..., Trainer]
) -> Callable[..., Trainer]:
    """Train in a run folder, optionally from its last checkpoint."""

    def run(folder: Path, resume: bool = False, checkpoint: dict[str, Any] = MONITOR, **arguments: Any) -> Trainer:
        trainer = make_run_trainer(folder, checkpoint=checkpoint, **arguments)
        trainer.fit(Scripted(), make_data(), ckpt_path=folder / "checkpoints" / "last.ckpt" if resume else None)
        return trainer

    return run


def epochs(folder: Path) -> dict[str, int]:
    """Epoch, from 0, of each checkpoint."""
    paths = (folder / "checkpoints").iterdir()
    return {path.stem: torch.load(path, weights_only=True)["epoch"] for path in paths}


def test_best_is_the_best_and_last_is_the_last(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    trainer = fit(tmp_path, max_epochs=4)
    assert epochs(tmp_path) == {"best": 1, "last": 3}
    assert trainer.checkpoint_callback.best_model_score == pytest.approx(0.9, rel=1e-5, abs=1e-6)
    assert Path(trainer.checkpoint_callback.last_model_path).name == "last.ckpt"


@pytest.mark.parametrize("move", [False, True])
def test_a_resumed_run_keeps_its_best_score_also_in_a_moved_folder(
    fit: Callable[..., Trainer], tmp_path: Path, move: bool
) -> None:
    folder = tmp_path / "run"
    fit(folder, max_epochs=3)
    if move:
        folder = folder.rename(tmp_path / "moved")
    trainer = fit(folder, resume=True, max_epochs=6)
    assert epochs(folder) == {"best": 1, "last": 5}
    assert trainer.checkpoint_callback.best_model_score == pytest.approx(0.9, rel=1e-5, abs=1e-6)
    assert not move or not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:The dirpath has changed:UserWarning")
def test_a_run_from_the_checkpoint_of_another_run_has_a_separate_best(
    fit: Callable[..., Trainer],
    make_run_trainer: Callable[..., Trainer],
    make_data: Callable[..., GANAugmentedDataModule],
    tmp_path: Path,
) -> None:
    fit(tmp_path / "one", max_epochs=3)
    trainer = make_run_trainer(tmp_path / "other", checkpoint=MONITOR, max_epochs=6)
    trainer.fit(Scripted(), make_data(), ckpt_path=tmp_path / "one" / "checkpoints" / "last.ckpt")
    assert epochs(tmp_path / "one") == {"best": 1, "last": 2}
    assert epochs(tmp_path / "other") == {"best": 4, "last": 5}


def validated_at(folder: Path) -> list[str]:
    return [row["step"] for row in read_metrics(folder / "metrics.csv") if "score" in row]


def test_the_last_epoch_is_validated(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    trainer = fit(tmp_path, max_epochs=5, check_val_every_n_epoch=2)  # of 3 batches
    assert validated_at(tmp_path) == ["5", "11", "14"]
    assert epochs(tmp_path) == {"best": 1, "last": 5}  # after the end of training, five epochs are complete
    assert trainer.check_val_every_n_epoch == 2


@pytest.mark.parametrize(
    ("limits", "step"),
    [
        ({"max_epochs": 2, "check_val_every_n_epoch": 10}, "5"),
        ({"max_steps": 2}, "1"),
        ({"max_steps": 5, "check_val_every_n_epoch": 10}, "4"),
        ({"max_epochs": 2, "check_val_every_n_epoch": None, "val_check_interval": 100}, "5"),
        ({"callbacks": [Stop()], "max_epochs": 20, "check_val_every_n_epoch": 10}, "0"),
    ],
)
def test_runs_shorter_than_the_interval_have_a_best_checkpoint(
    fit: Callable[..., Trainer], tmp_path: Path, limits: dict[str, Any], step: str
) -> None:
    fit(tmp_path, **limits)
    assert validated_at(tmp_path) == [step]
    assert set(epochs(tmp_path)) == {"best", "last"}


def test_a_scheduled_validation_runs_once(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    fit(tmp_path, max_epochs=4, check_val_every_n_epoch=2)
    assert validated_at(tmp_path) == ["5", "11"]


def test_the_last_batch_is_validated_if_a_fraction_of_an_epoch_does_not_end_there(
    fit: Callable[..., Trainer], tmp_path: Path
) -> None:
    fit(tmp_path, max_epochs=2, val_check_interval=0.7)  # after batch 2 of 3
    assert validated_at(tmp_path) == ["1", "4", "5"]
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 6


def test_a_time_between_validations_is_refused(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        fit(tmp_path, max_epochs=1, val_check_interval="00:00:01:00")
    assert str(error.value) == (
        "trainer.val_check_interval: got a time of 60 s, expected a number of batches or a fraction of an epoch"
    )


def test_without_a_monitor_the_best_is_the_last(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    fit(tmp_path, checkpoint={}, max_epochs=3)
    assert epochs(tmp_path) == {"best": 2, "last": 2}


def test_best_scores_are_those_of_the_best_epoch(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    trainer = fit(tmp_path, max_epochs=3)
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "val/accuracy" in row]
    expected = {name: float(value) for name, value in rows[1].items() if name.startswith("val/")}
    assert trainer.checkpoint_callback.best_scores == pytest.approx(expected, rel=1e-5, abs=1e-6)
    resumed = fit(tmp_path, resume=True, max_epochs=6)
    assert resumed.checkpoint_callback.best_scores == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_best_has_only_the_weights_and_descriptions(
    fit: Callable[..., Trainer], make_data: Callable[..., GANAugmentedDataModule], tmp_path: Path
) -> None:
    trainer = fit(tmp_path, max_epochs=2)
    best, last = (torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    resuming = {"callbacks", "loops", "optimizer_states", "lr_schedulers", "running_means", "random_state"}
    assert last.keys() - best.keys() == resuming
    torch.testing.assert_close(best["state_dict"], last["state_dict"], rtol=0, atol=0)  # the second epoch is the best
    (scores,) = trainer.test(Scripted(), make_data(), ckpt_path=tmp_path / "checkpoints" / "best.ckpt", verbose=False)
    assert scores.keys() == {"test/accuracy", "test/cross_entropy"}


def test_a_run_is_not_resumed_from_best(
    fit: Callable[..., Trainer],
    make_run_trainer: Callable[..., Trainer],
    make_data: Callable[..., GANAugmentedDataModule],
    tmp_path: Path,
) -> None:
    fit(tmp_path, max_epochs=1)
    folder = tmp_path / "checkpoints"
    with pytest.raises(ConfigurationError) as error:
        make_run_trainer(tmp_path, max_epochs=2).fit(Scripted(), make_data(), ckpt_path=folder / "best.ckpt")
    assert str(error.value) == (
        f"--ckpt_path: got {folder / 'best.ckpt'}, which contains only weights, expected {folder / 'last.ckpt'} to "
        "resume the run"
    )


class Kill(Callback):
    """Raise after a number of steps, to leave the files of a killed process."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise ConnectionAbortedError


@pytest.mark.parametrize(
    ("interval", "saved"),
    [({"every_n_train_steps": 2}, 4), ({"train_time_interval": timedelta(0)}, 5), ({}, 3)],
)
def test_last_is_saved_at_the_intervals_although_the_monitored_metric_is_older(
    fit: Callable[..., Trainer], tmp_path: Path, interval: dict[str, Any], saved: int
) -> None:
    """Of epochs of 3 steps, in the second; without an interval it is that of the last validation."""
    with pytest.raises(ConnectionAbortedError):
        fit(tmp_path, checkpoint={**MONITOR, **interval}, callbacks=[Kill(5)], max_epochs=3)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == saved


@pytest.mark.parametrize("step", [5, 12])
def test_a_resumed_run_with_validations_by_total_batches_equals_an_uninterrupted_one(
    fit: Callable[..., Trainer], tmp_path: Path, step: int
) -> None:
    """Every 4 batches, of epochs of 3; the interval of ``last.ckpt`` ends at the validations."""
    arguments = {
        "checkpoint": {**MONITOR, "every_n_train_steps": 4},
        "max_epochs": 5,
        "check_val_every_n_epoch": None,
        "val_check_interval": 4,
    }
    torch.manual_seed(0)
    fit(tmp_path / "whole", **arguments)
    torch.manual_seed(0)
    with pytest.raises(ConnectionAbortedError):
        fit(tmp_path / "parts", callbacks=[Kill(step)], **arguments)
    fit(tmp_path / "parts", resume=True, **arguments)
    assert validated_at(tmp_path / "whole") == ["3", "7", "11", "14"]
    assert read_metrics(tmp_path / "parts" / "metrics.csv") == read_metrics(tmp_path / "whole" / "metrics.csv")
    for name in ("best", "last"):
        one, other = (
            torch.load(tmp_path / folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
            for folder in ("whole", "parts")
        )
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_several_processes_agree_on_the_time_every_ten_batches(tmp_path: Path) -> None:
    checkpoint = RunModelCheckpoint(tmp_path, train_time_interval=timedelta(days=1))
    trainer = Mock(world_size=2, max_steps=-1, max_epochs=9, current_epoch=0, global_step=0)
    trainer.configure_mock(is_last_batch=False, should_stop=False, received_sigterm=False, fast_dev_run=False)
    trainer.configure_mock(check_val_every_n_epoch=1, val_check_batch=None)
    trainer.strategy.broadcast.side_effect = lambda value: value
    trainer.strategy.reduce_boolean_decision.return_value = False
    counts = []
    for batch_idx in range(15):
        checkpoint.on_train_batch_end(trainer, Mock(), None, None, batch_idx)
        counts.append(trainer.strategy.broadcast.call_count)
    assert counts == [1] * 10 + [2] * 5


@pytest.mark.parametrize("validated", [True, False])
def test_last_is_saved_after_the_validation_and_the_mean_of_its_epoch(
    fit: Callable[..., Trainer], tmp_path: Path, validated: bool
) -> None:
    """A run resumed from a checkpoint of the last step before the validation would skip the validation."""
    often = {} if validated else {"check_val_every_n_epoch": 5}
    interval = {**MONITOR, "every_n_train_steps": 3}
    with pytest.raises(ConnectionAbortedError):
        fit(tmp_path, checkpoint=interval, callbacks=[Kill(4)], max_epochs=3, **often)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == 3
    (saving,) = (state for name, state in last["callbacks"].items() if "RunModelCheckpoint" in name)
    assert ("val/accuracy" in saving["best_scores"]) == validated
    if not validated:
        assert all(group["counts"][0] == 0 for group in last["running_means"])


def test_best_has_the_weights_that_were_validated_despite_an_interval(
    fit: Callable[..., Trainer], tmp_path: Path
) -> None:
    """Lightning would save the weights of step 8 by the metric of step 6, the end of the second epoch."""
    fit(tmp_path, checkpoint={**MONITOR, "every_n_train_steps": 4}, max_epochs=4)
    assert epochs(tmp_path) == {"best": 1, "last": 3}


def test_a_fast_development_run_saves_nothing(fit: Callable[..., Trainer], tmp_path: Path) -> None:
    fit(tmp_path, fast_dev_run=True)
    assert not (tmp_path / "checkpoints").exists()
