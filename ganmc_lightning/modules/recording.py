"""Base class of modules that record scalars and log their means without device synchronization."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ganmc_lightning.batch import SupportsValidationSplit
from ganmc_lightning.modules.divergence import LossMonitor, check_losses
from ganmc_lightning.modules.metric_logging import SampleMeans, StepMeans
from ganmc_lightning.modules.trained_network import TrainedNetworkModule

CHECK_EVERY = 500
"""Maximum number of steps between two checks of the losses, for runs with a larger ``log_every_n_steps``."""


class RecordingModule(TrainedNetworkModule, ABC):
    """Base class of modules that log means of recorded scalars and check the losses.

    Attributes:
        iteration: number of training batches so far, including the current one. Logged as ``trainer/iteration``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.iteration = 0
        self._step_means, self._sample_means = StepMeans(), SampleMeans()
        self._losses = LossMonitor()

    # -- training ------------------------------------------------------------------------------------------

    def record(self, **values: Tensor) -> None:
        """Add scalars of this step to the means of the epoch and of the logging interval.

        Call it once per step: each call launches one addition on the device.

        Args:
            values: scalars on the device of the module; those named ``loss...`` must be finite.
        """
        self._losses.update(self.iteration, tuple(values), self._step_means.update(values))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Increment :attr:`iteration`, before callbacks save checkpoints in ``on_train_batch_end``."""
        self.iteration += 1

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the means of the last ``log_every_n_steps`` iterations.

        Raises:
            DivergenceError: the losses are NaN or infinite.
        """
        if self._step_means_due or self.iteration % CHECK_EVERY == 0:
            check_losses(self, self.iteration, self._losses)
        if self._step_means_due:
            means = {f"train/{name}_step": value for name, value in self._step_means.compute_and_reset("step").items()}
            self.log_dict({**means, "trainer/iteration": float(self.iteration)}, sync_dist=True)

    @property
    def _step_means_due(self) -> bool:
        interval: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return interval > 0 and self.iteration % interval == 0  # Lightning logs no steps if it is 0

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means.

        Raises:
            DivergenceError: the losses are NaN or infinite.
        """
        check_losses(self, self.iteration, self._losses)
        means = {f"train/{name}": value for name, value in self._step_means.compute_and_reset("epoch").items()}
        self.log_dict(means, prog_bar=True, sync_dist=True)
        self.log("trainer/iteration", float(self.iteration), sync_dist=True)

    # -- validation and test -------------------------------------------------------------------------------

    def record_samples(self, sums: Mapping[str, Tensor], count: Tensor | int, prog_bar: bool = False) -> None:
        """Add sums over the samples of a batch to the means of the validation or test split.

        The means are logged as ``val/<name>`` or ``test/<name>`` at the end of the epoch, exact over all processes.
        Those of validation are logged as ``test/<name>`` if the data have no validation samples.

        Args:
            sums: scalar sums over the samples, by name, on the device of the module.
            count: number of these samples; a tensor if it depends on the data.
            prog_bar: whether the progress bar displays the means (default: False).
        """
        self._sample_means.update(sums, count, prog_bar)

    @property
    def validation_split(self) -> str:
        """Split of validation: ``"val"``, or ``"test"`` if the data module has no validation samples."""
        data = getattr(self.trainer, "datamodule", None)
        return data.validation_split if isinstance(data, SupportsValidationSplit) else "val"

    def on_validation_start(self) -> None:
        """Discard the sums of an interrupted validation or test."""
        super().on_validation_start()
        self._sample_means = SampleMeans()

    def on_test_start(self) -> None:
        """Discard the sums of an interrupted validation or test."""
        self._sample_means = SampleMeans()

    def on_validation_epoch_end(self) -> None:
        """Log the means over the validation samples."""
        self._sample_means.log_and_reset(self, self.validation_split)

    def on_test_epoch_end(self) -> None:
        """Log the means over the test samples."""
        self._sample_means.log_and_reset(self, "test")
