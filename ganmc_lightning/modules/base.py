"""Base class of the training modules: validation, logging, optimizer steps and checkpoints."""

from __future__ import annotations

import time
import warnings
from abc import ABC
from typing import Any, ClassVar

from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ganmc_lightning.batch import Batch, DataSpec, SupportsDataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.format_version import FORMAT_KEY, FORMAT_VERSION
from ganmc_lightning.modules.checkpoint import (
    check_state_dict,
    drop_frozen_keys,
    ignore_missing_frozen_keys,
    resumable_state,
    split_by_process,
    unsaved_hyperparameters,
    warn_of_changed_data,
)
from ganmc_lightning.modules.distributed import gather_objects, manual_backward
from ganmc_lightning.modules.divergence import LossMonitor, check_checkpoint, check_losses, nonfinite_names
from ganmc_lightning.modules.epsilon import raise_epsilon
from ganmc_lightning.modules.optimizers import choose_implementation, step_schedule
from ganmc_lightning.modules.random_state import random_state, restore_random_state, seed_process
from ganmc_lightning.modules.recording import RecordingModule
from ganmc_lightning.modules.sharding import check_strategy
from ganmc_lightning.networks.batchnorm import reject_single_values
from ganmc_lightning.networks.checkpoints import HYPER_PARAMETERS, TRAINED_ON, data_spec_of
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.normalize import fit_mean_images, has_mean_image
from ganmc_lightning.networks.resolving import resolve_recipe
from ganmc_lightning.networks.training_data import check_class_names, check_column_names, set_training_data
from ganmc_lightning.networks.wrappers import rename_weights


class CompressionModule(RecordingModule, ABC):
    """Base class of modules that train on :class:`~ganmc_lightning.batch.Batch` objects.

    It adds these features to LightningModule:

    * **Self-describing checkpoints.** A module built by the command line stores the recipes of its networks
      (``class_path`` and ``init_args``), so that :func:`~ganmc_lightning.networks.load_network` needs only the file.
    * **Frozen networks** in :attr:`frozen_modules` are not saved.
    * **Exact resume.** Random state and iteration counter are saved, so that a resumed run equals an uninterrupted run.
    * **Logging without device synchronization.** :meth:`record` sums scalars on the device. Their means are logged as
      ``train/<name>`` once per epoch and as ``train/<name>_step`` every ``log_every_n_steps`` iterations.
    * **Divergence check.** Recorded values named ``loss...``, the metrics in :attr:`finite_metrics` and the weights
      must be finite when means are logged and before a checkpoint is written. Otherwise
      :class:`~ganmc_lightning.exceptions.DivergenceError` ends the run; its last good checkpoint is kept.
    * **float16 weights.** With ``precision="16-true"``, ``eps`` of the optimizers is raised to 1e-3, with a warning.

    Attributes:
        iteration: number of training batches so far, including the current one. Logged as ``trainer/iteration``.

    Example:
        >>> from torch import nn
        >>> class MeanModule(CompressionModule):
        ...     trained_module = "network"
        ...
        ...     def __init__(self, size: int = 2) -> None:
        ...         super().__init__()
        ...         self.network = nn.Linear(size, 1)
        ...
        ...     def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        ...         loss = self.network(batch.inputs).square().mean()
        ...         self.record(loss=loss)
        ...         return loss
        >>> dict(MeanModule(size=3).hparams)
        {'size': 3}
    """

    frozen_modules: ClassVar[tuple[str, ...]] = ()
    """Names of the submodules that are not trained and not saved."""
    prediction_name: ClassVar[str] = "probabilities"
    """Name of the array in ``predictions.npz`` that holds the output of :meth:`predict_step`."""
    finite_metrics: ClassVar[tuple[str, ...]] = ()
    """Names of logged metrics, such as ``val/cross_entropy``, that are finite unless the run diverged."""
    takes_weights: bool = False
    """Whether training uses :attr:`~ganmc_lightning.batch.Batch.weights`; if not, weighted data are rejected."""

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters()
        for name, recipe in self.hparams.items():
            if name not in self.frozen_modules:
                self.hparams[name] = resolve_recipe(recipe)
        self.register_state_dict_post_hook(drop_frozen_keys)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(ignore_missing_frozen_keys)  # type: ignore[no-untyped-call]
        self._previous_seconds = 0.0
        self._started_at: float | None = None
        self._resumed: dict[str, Any] = {}
        self._unbounded: frozenset[str] = frozenset()
        self._first_batch: list[RemovableHandle] | None = None

    def remove_ignored_hparams(self, ignore_list: list[str]) -> None:
        """Also remove values other than numbers, strings and containers of them, and arguments of base classes.

        ``save_hyperparameters`` calls this method before it copies the hyperparameters.
        """
        super().remove_ignored_hparams([*ignore_list, *unsaved_hyperparameters(self)])

    # -- validation of the data ----------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Validate the networks against the data, before training starts and files are written."""
        check_strategy(self.trainer.strategy, type(self).__name__, self.shardable)
        self._data = None
        self._validate_data()
        if stage == "fit" and self._data is not None and self._data.weighted and not self.takes_weights:
            raise ConfigurationError(
                f"data.dataset: got sample weights, expected none because {type(self).__name__} does not use them; "
                "for a TableFile, add the weight_column to drop_columns"
            )

    def on_fit_start(self) -> None:
        """Validate again, because loading a checkpoint may have changed the scaling of rows."""
        self._validate_data()

    def on_validation_start(self) -> None:
        """Validate again, because loading a checkpoint may have changed the scaling of rows."""
        self._validate_data()
        super().on_validation_start()

    def _validate_data(self) -> None:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(datamodule, SupportsDataSpec) and datamodule.spec != self._data:
            self.validate_spec(datamodule.spec)
            self._data = datamodule.spec

    def validate_spec(self, spec: DataSpec) -> None:
        """Validate the networks' inputs and outputs against the data.

        Args:
            spec: shape of one sample and number of classes of the data.

        Raises:
            ConfigurationError: inputs or outputs of a network do not match the data.
        """

    def compilable_networks(self) -> list[nn.Module]:
        """Return the networks that :func:`torch.compile` supports in the training step (default: none)."""
        return []

    @property
    def train_seconds(self) -> float:
        """Wall-clock training time in seconds, including the time before the run was resumed."""
        return self._previous_seconds + (0.0 if self._started_at is None else time.monotonic() - self._started_at)

    @property
    def _world_size(self) -> int:
        return 1 if self._trainer is None else self.trainer.world_size

    # -- optimizers ----------------------------------------------------------------------------------------

    def step(self, optimizer: LightningOptimizer, loss: Tensor, *, counted: bool = True) -> None:
        """Update the parameters of one optimizer in manual optimization.

        Args:
            optimizer: item of ``self.optimizers()``; call inside ``self.toggled_optimizer(optimizer)``.
            loss: scalar to minimize.
            counted: whether ``trainer.global_step``, and therefore ``max_steps``, counts this update (default: True).
                With several optimizers, count the steps of only one.
        """
        optimizer.zero_grad()
        manual_backward(self, loss, optimizer.optimizer)
        if counted:
            optimizer.step()
        else:  # LightningOptimizer.step counts; the strategy's method below it does not
            self.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)

    # -- training ------------------------------------------------------------------------------------------

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Count the batch; if the first batch has one sample, batch normalization of single values raises an error.

        All batches have equal sizes.
        """
        super().on_train_batch_start(batch, batch_idx)
        if self._first_batch is None:
            self._first_batch = []
            if isinstance(batch, Batch) and len(batch.labels) == 1:
                self._first_batch = reject_single_values(
                    self,
                    "the training batch holds one sample; set data.batch_size to 2 or more, with at least 2 training "
                    "samples for each process, or build the network without batch normalization",
                )

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the means of the last ``log_every_n_steps`` iterations.

        Raises:
            DivergenceError: the losses are NaN or infinite.
        """
        while self._first_batch:
            self._first_batch.pop().remove()
        super().on_train_batch_end(outputs, batch, batch_idx)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means; in manual optimization, step the learning rate schedules.

        Raises:
            DivergenceError: the losses are NaN or infinite.
        """
        super().on_train_epoch_end()
        if not self.automatic_optimization:
            schedulers = self.lr_schedulers() or []
            with warnings.catch_warnings():
                # A run that resumes at the end of its first epoch has not called optimizer.step() in this process.
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
                for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
                    step_schedule(scheduler, self.trainer.callback_metrics)

    # -- checkpoints ---------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add format version, iteration, training time, training data, module class; for a resume also random state.

        Raises:
            DivergenceError: losses, weights or :attr:`finite_metrics` are NaN or infinite; nothing is written.
        """
        if self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
            check_losses(self, self.iteration, self._losses)
            finite = [name.replace("val/", f"{self.validation_split}/", 1) for name in self.finite_metrics]
            check_checkpoint(self, self.iteration, checkpoint["state_dict"], finite, self._unbounded)
        checkpoint.update({FORMAT_KEY: FORMAT_VERSION}, iteration=self.iteration, train_seconds=self.train_seconds)
        if "optimizer_states" in checkpoint:  # else only weights are saved
            state = {"running_means": self._step_means.state_dict(), "random_state": random_state(self.device)}
            checkpoint.update(split_by_process(gather_objects(state, self._world_size)))
        if self.trained_on is not None:
            checkpoint[TRAINED_ON] = self.trained_on.state_dict()
        class_path = f"{type(self).__module__}.{type(self).__qualname__}"
        checkpoint.setdefault(HYPER_PARAMETERS, {}).setdefault("_class_path", class_path)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore iteration and training time; running means and random state are restored when training starts.

        Raises:
            ConfigurationError: weights, class names or columns do not match, or a run is resumed from weights only.
        """
        checkpoint["state_dict"] = rename_weights(checkpoint["state_dict"], self.state_dict())
        check_state_dict(checkpoint, self.state_dict(), type(self).__name__)
        trained_on = data_spec_of(checkpoint, "the checkpoint")
        # A student of a generator has the specification of its teacher's training data, which may differ from the data.
        data = self._data if self.trained_on is self._data else None
        if trained_on is not None and data is not None:
            check_class_names("the model of the checkpoint", trained_on, data)
            check_column_names("the model of the checkpoint", trained_on, data)
        self.iteration, self._previous_seconds = checkpoint["iteration"], checkpoint["train_seconds"]
        if self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
            class_name = type(self).__name__
            warn_of_changed_data(trained_on, data, self.trainer.ckpt_path)
            self._resumed = resumable_state(checkpoint, self.trainer.ckpt_path, class_name, self.global_rank)

    def on_train_start(self) -> None:
        """Start measuring time, and restore running means and random state if the run is resumed.

        Networks in evaluation mode, such as loaded ones, are set to training mode, which Lightning does not do. Mean
        images of networks are computed.
        """
        self._started_at = time.monotonic()
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        for name, child in self.named_children():
            if isinstance(child, Frozen):
                child.train()  # for dropout layers that are active in training
            if name not in self.frozen_modules:
                child.train()
                if self.trained_on is not None:
                    set_training_data(child, self.trained_on)
                if has_mean_image(child) and isinstance(data, SupportsDataSpec):
                    fit_mean_images(child, data.samples("train")[0])
        raise_epsilon(self.trainer.optimizers)
        for optimizer in self.trainer.optimizers:
            choose_implementation(optimizer)
        self._losses, self._first_batch = LossMonitor(), None
        # Buffers such as attention masks may contain -inf by design.
        self._unbounded = frozenset(nonfinite_names(dict(self.named_buffers())))
        if self._resumed:
            self._step_means.load_state_dict(self._resumed["running_means"], self.device)
            if self._step_means_due:  # already logged right after the checkpoint was saved
                self._step_means.compute_and_reset("step")
            restore_random_state(self._resumed["random_state"], self.device)
        if self._resumed.get("rank", 0) != self.global_rank:
            seed_process(self.global_rank, self.trainer.world_size, self.iteration)
        self._resumed = {}
