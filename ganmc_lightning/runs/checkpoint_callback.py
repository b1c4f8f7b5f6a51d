"""``best.ckpt`` and ``last.ckpt``, each of what its name says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from ganmc_lightning.runs.sigterm import SigtermWatch

AGREE_EVERY = 10
"""Batches between two agreements of several processes on whether to stop."""


class RunModelCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint with a ``last.ckpt`` of the last validation and of the end of training.

    SIGTERM ends the training within a few batches, or behind a validation that has begun, with a ``last.ckpt`` from
    which it goes on as if it had not been interrupted.

    Lightning writes ``last.ckpt`` only where it also writes a new best one, so that an interrupted run would go
    on from its best epoch. It also validates at multiples of ``check_val_every_n_epoch`` only; with this callback a
    run validates once more behind its last batch, so that its last weights are compared with the best, and a run
    shorter than the interval has a ``best.ckpt``.

    Attributes:
        best_scores: everything logged as ``val/...`` when the best checkpoint was written.
    """

    best_scores: dict[str, float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.best_scores = {}
        self._intervals: tuple[int | None, float | None] | None = None
        self._sigterm = SigtermWatch()

    def state_dict(self) -> dict[str, Any]:
        """Lightning's state, and the scores of the best checkpoint."""
        return {**super().state_dict(), "best_scores": self.best_scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the best score so far, also where the run folder was moved meanwhile.

        Lightning would forget it there, and let the next epoch, however bad, take the place of the best.
        """
        folder = Path(self.dirpath or "")

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else ""

        if Path(here(state_dict["best_model_path"])).is_file():
            moved = {
                key: here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")
            }
            best = {here(path): score for path, score in state_dict["best_k_models"].items()}
            state_dict = {**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath}
            self.best_scores = state_dict["best_scores"]
        super().load_state_dict(state_dict)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch for SIGTERM."""
        super().on_train_start(trainer, pl_module)
        self._sigterm.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save what is due; validate after the last batch; stop after SIGTERM.

        A run does not stop where the epoch ends or is validated: a resumed run would leave that out.
        """
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._validate_after_last_batch(trainer)
        asked = trainer.world_size == 1 or batch_idx % AGREE_EVERY == 0
        every = trainer.val_check_batch
        validates = every is not None and (batch_idx + 1) % every == 0
        if asked and not trainer.is_last_batch and not validates:
            self._stop_after_sigterm(trainer)

    def _validate_after_last_batch(self, trainer: Trainer) -> None:
        """Make Lightning validate after the last batch where it would not."""
        last_step = 0 <= trainer.max_steps <= trainer.global_step
        last_epoch = trainer.max_epochs == trainer.current_epoch + 1 and trainer.is_last_batch
        epochs = trainer.check_val_every_n_epoch
        due = trainer.is_last_batch and epochs is not None and (trainer.current_epoch + 1) % epochs == 0
        if (last_step or last_epoch or trainer.should_stop) and not due:
            self._intervals = epochs, trainer.val_check_batch
            trainer.check_val_every_n_epoch = None if epochs is None else 1
            trainer.val_check_batch = 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop after SIGTERM."""
        super().on_train_epoch_end(trainer, pl_module)
        self._stop_after_sigterm(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what is best and what is last; stop after SIGTERM."""
        super().on_validation_end(trainer, pl_module)
        if not self._should_save_on_train_epoch_end(trainer):
            self._bring_last_up_to_date(trainer)
        if trainer.state.fn == TrainerFn.FITTING:
            self._stop_after_sigterm(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save what was trained after the last validation."""
        if self._intervals is not None:
            trainer.check_val_every_n_epoch, trainer.val_check_batch = self._intervals
            self._intervals = None
            # Once more: a run that goes on from within that validation would count a batch too few.
            self._last_global_step_saved = -1
        self._bring_last_up_to_date(trainer)

    def _update_best_and_save(self, current: Tensor, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        self.best_scores = {name: float(value) for name, value in monitor_candidates.items() if name.startswith("val/")}
        super()._update_best_and_save(current, trainer, monitor_candidates)

    def _stop_after_sigterm(self, trainer: Trainer) -> None:
        if self._sigterm.received(trainer):
            self._bring_last_up_to_date(trainer)
            self._sigterm.stop(trainer)

    def _bring_last_up_to_date(self, trainer: Trainer) -> None:
        if self.save_last and not self._should_skip_saving_checkpoint(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
