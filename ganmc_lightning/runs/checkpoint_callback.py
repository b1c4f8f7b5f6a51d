"""Checkpointing of a run: weights in ``best.ckpt`` by validation metric, ``last.ckpt`` to resume from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from ganmc_lightning.batch import SupportsValidationSplit
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.checkpoints import HYPER_PARAMETERS
from ganmc_lightning.runs.stop_signals import StopSignalHandler

SYNC_EVERY = 10
"""Number of batches between two synchronizations about signals and time, which wait for the slowest process."""
BEST_KEYS = {"epoch", "global_step", "pytorch-lightning_version", "state_dict", "hparams_name", HYPER_PARAMETERS}
"""Keys of ``best.ckpt``, besides the state of the data module and the keys that the LightningModule adds."""


class RunModelCheckpoint(ModelCheckpoint):
    """Save ``best.ckpt`` by a monitored metric and ``last.ckpt`` after each validation and at the end of training.

    Differences from Lightning's ModelCheckpoint:

    - ``best.ckpt`` contains the weights, after changes by callbacks such as an average, and what describes networks and
      data. It has no states of optimizers, loops and callbacks, and no run is resumed from it.
    - ``best.ckpt`` is saved after validations only; Lightning would also save the weights between two validations, by
      the metric of the earlier one, and then skip the next one.
    - ``last.ckpt`` is saved even if the metric did not improve; with Lightning's, a run would resume from the best
      epoch.
    - The model is validated after the last batch, independent of ``check_val_every_n_epoch``, so that ``best.ckpt``
      may be that of the final weights and exists in short runs.
    - On Ctrl-C and SIGTERM, training stops within a few batches, or after the validation in progress, with an
      up-to-date ``last.ckpt``; the resumed run equals an uninterrupted one. A second Ctrl-C stops immediately.
    - A resumed run keeps its best metric even if the folder was moved.

    Args:
        dirpath: folder of the checkpoints (default: ``checkpoints`` in the trainer's root folder).
        monitor: name of the logged metric that selects ``best.ckpt``; None selects the last.
        mode: whether the metric is minimized or maximized.
        every_n_train_steps: also save ``last.ckpt`` every n optimizer steps.
        train_time_interval: also save ``last.ckpt`` after this interval, within a few batches.
        every_n_epochs: number of epochs between two updates of ``best.ckpt`` (default: 1).
        save_on_train_epoch_end: whether to save after the training epoch instead of after validation. A resumed run
            with ``max_steps`` then differs from an uninterrupted one.

    Attributes:
        best_scores: all ``val/...`` metrics of the best checkpoint.
    """

    best_scores: dict[str, float]

    def __init__(
        self,
        dirpath: str | Path | None = None,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None,
        every_n_epochs: int | None = None,
        save_on_train_epoch_end: bool = False,
    ) -> None:
        super().__init__(
            dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=False,  # saved here instead, see above
            auto_insert_metric_name=False,
            every_n_epochs=every_n_epochs,
            save_on_train_epoch_end=save_on_train_epoch_end,
            enable_version_counter=False,
        )
        self.best_scores = {}
        self._scored: Tensor | None = None
        self._save_every_n_steps = every_n_train_steps
        self._save_interval = train_time_interval
        self._save_after_train_epoch = save_on_train_epoch_end
        self._save_due = False  # whether an interval between two checkpoints has elapsed
        self._last_step = 0  # nothing is saved before the first step
        self._last_time = 0.0
        self._val_intervals: tuple[int | None, float | None] | None = None
        self._signals = StopSignalHandler()
        self._stopping = False
        self._saving_best = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Validate that no checkpoint is selected by a metric of test samples, and the validation interval.

        Raises:
            ConfigurationError: ``monitor`` is set, and the data have no validation samples; or the validation interval
                is a time, so that a resumed run would differ.
        """
        super().setup(trainer, pl_module, stage)
        seconds = trainer._val_check_time_interval  # type: ignore[attr-defined]  # set outside the class
        if stage == "fit" and seconds is not None:
            raise ConfigurationError(
                f"trainer.val_check_interval: got a time of {seconds:g} s, expected a number of batches or a fraction "
                "of an epoch"
            )
        data = getattr(trainer, "datamodule", None)
        has_none = isinstance(data, SupportsValidationSplit) and data.validation_split == "test"
        if stage == "fit" and has_none and self.monitor is not None:
            raise ConfigurationError(
                f"checkpoint.monitor: got {self.monitor} with data.validation_fraction 0, expected null, which keeps "
                "the last checkpoint"
            )

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add :attr:`best_scores` to the state of this callback; remove all but the weights for ``best.ckpt``.

        Lightning calls this method after those of other callbacks, and calls none with ``save_weights_only``.
        """
        if self.best_model_score is not self._scored:  # Lightning replaces the tensor for each new best
            self._scored = self.best_model_score
            metrics = trainer.callback_metrics
            self.best_scores = {name: float(value) for name, value in metrics.items() if name.startswith("val/")}
        checkpoint["callbacks"][self.state_key]["best_scores"] = self.best_scores
        if self._saving_best:
            datamodule = trainer.datamodule  # type: ignore[attr-defined]
            for key in checkpoint.keys() - BEST_KEYS - {type(datamodule).__qualname__}:
                del checkpoint[key]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best metric, even if the run folder was moved.

        Lightning would then reset the metric and overwrite ``best.ckpt`` after the next epoch.
        """
        folder = Path(self.dirpath or "")

        def relocate(path: str) -> str:
            return str(folder / Path(path).name) if path else ""

        if Path(relocate(state_dict["best_model_path"])).is_file():
            keys = ("best_model_path", "kth_best_model_path", "last_model_path")
            best = {relocate(path): score for path, score in state_dict["best_k_models"].items()}
            relocated = {key: relocate(state_dict[key]) for key in keys}
            state_dict = {**state_dict, **relocated, "best_k_models": best, "dirpath": self.dirpath}
            self.best_scores = state_dict["best_scores"]
        super().load_state_dict(state_dict)
        self.current_score = state_dict["current_score"]  # not restored by Lightning
        self._scored = self.best_model_score

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the handlers of signals."""
        super().on_train_start(trainer, pl_module)
        self._last_time = time.monotonic()
        self._stopping = False
        self._signals.install()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop if a signal was received."""
        self._stop()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stop if a signal was received."""
        self._stop()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save at the step and time intervals; validate after the last batch; poll for signals."""
        with self._save_only_weights():
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        synchronizes = trainer.world_size == 1 or batch_idx % SYNC_EVERY == 0
        steps = self._save_every_n_steps
        self._save_due |= steps is not None and trainer.global_step % steps == 0
        self._save_due |= synchronizes and self._interval_elapsed(trainer)
        self._validate_after_last_batch(trainer)
        if trainer.is_last_batch or is_validation_due(trainer):
            return  # not before the end of an epoch or a validation, which a resumed run would skip
        if self._save_due:
            self._save_last(trainer)
        if synchronizes:
            self._poll_signals(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save if ``save_on_train_epoch_end`` is set; poll for signals."""
        with self._save_only_weights():
            super().on_train_epoch_end(trainer, pl_module)
        if self._save_after_train_epoch or self._save_due:
            self._save_last(trainer)
        self._poll_signals(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best and the last checkpoint; poll for signals."""
        with self._save_only_weights():
            super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            if not self._save_after_train_epoch or self._save_due:
                self._save_last(trainer)
            self._poll_signals(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state."""
        if self._val_intervals is not None:
            trainer.check_val_every_n_epoch, trainer.val_check_batch = self._val_intervals
            self._val_intervals = None
            self._last_step = 0  # the additional validation saved before the batch was counted
        self._save_last(trainer)
        self._stop()

    @contextmanager
    def _save_only_weights(self) -> Iterator[None]:
        """Remove all but the weights from the checkpoints that Lightning saves in this context."""
        self._saving_best = True
        try:
            yield
        finally:
            self._saving_best = False

    def _validate_after_last_batch(self, trainer: Trainer) -> None:
        """Set the validation intervals so that Lightning validates after the last batch."""
        last_step = 0 <= trainer.max_steps <= trainer.global_step
        last_epoch = trainer.max_epochs == trainer.current_epoch + 1 and trainer.is_last_batch
        if (last_step or last_epoch or trainer.should_stop) and not is_validation_due(trainer):
            epochs = trainer.check_val_every_n_epoch
            self._val_intervals = epochs, trainer.val_check_batch
            trainer.check_val_every_n_epoch = None if epochs is None else 1
            trainer.val_check_batch = 1

    def _interval_elapsed(self, trainer: Trainer) -> bool:
        if self._save_interval is None:
            return False
        elapsed = time.monotonic() - self._last_time >= self._save_interval.total_seconds()
        return trainer.strategy.broadcast(elapsed)  # clocks of the processes differ

    def _save_last(self, trainer: Trainer) -> None:
        """Save ``last.ckpt`` unless it already has the weights of this step."""
        self._save_due = False
        fast_dev_run: bool | int = trainer.fast_dev_run  # type: ignore[attr-defined]  # set outside the class
        if fast_dev_run or self._last_step == trainer.global_step:
            return
        self._last_step, self._last_time = trainer.global_step, time.monotonic()
        self.last_model_path = str(Path(self.dirpath or "") / "last.ckpt")
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.save()  # first: a run that resumes from the checkpoint does not log these values again
        trainer.save_checkpoint(self.last_model_path, weights_only=False)
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(self)

    def _poll_signals(self, trainer: Trainer) -> None:
        if not self._stopping and self._signals.received(trainer):
            self._save_last(trainer)
            self._stopping = True

    def _stop(self) -> None:
        """Raise after a signal; called at the start of a step, when the metrics of the last step are logged."""
        if self._stopping:
            raise self._signals.exception()


def is_validation_due(trainer: Trainer) -> bool:
    """Return whether the validation intervals of a trainer select the current training batch, as Lightning does.

    Lightning also validates when it stops early. That validation is not included: a resumed run does not repeat it.
    """
    epochs, batches = trainer.check_val_every_n_epoch, trainer.val_check_batch
    if epochs is not None and (trainer.current_epoch + 1) % epochs != 0:
        return False
    if batches is None or batches == float("inf"):  # the number of batches is unknown
        return trainer.is_last_batch
    loop = trainer.fit_loop.epoch_loop
    return ((loop.total_batch_idx if epochs is None else loop.batch_idx) + 1) % batches == 0
