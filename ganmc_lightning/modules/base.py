"""What every training procedure shares: recipes in checkpoints, frozen parts outside them, counters, logs."""

from __future__ import annotations

import time
from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ganmc_lightning.batch import Batch, DataSpec, SupportsDataSpec
from ganmc_lightning.exceptions import ConfigurationError, DivergenceError
from ganmc_lightning.modules.divergence import Failure, LossWatch, kept_checkpoint, not_finite
from ganmc_lightning.modules.epsilon import raise_epsilon
from ganmc_lightning.modules.metric_logging import MeanAccumulator
from ganmc_lightning.networks.batchnorm import refuse_single_values
from ganmc_lightning.networks.loading import TRAINED_ON, resolve_recipe, training_data_in
from ganmc_lightning.networks.training_data import compare_class_names, note_training_data
from ganmc_lightning.networks.wrappers import renamed

CHECK_EVERY = 500
"""Most iterations between two checks of the losses, however rarely they are logged."""
SKIPPED_STEPS = 20
"""Failed steps in a row that a gradient scaler, which skips them and lowers its scale, is given to recover."""


class CompressionModule(LightningModule, ABC):
    """A training procedure over a stream of :class:`~ganmc_lightning.batch.Batch`.

    It adds to a LightningModule:

    * **Self-describing checkpoints.** Built by the command line, a module stores the recipe of its networks
      (``class_path`` and ``init_args``), so that
      :func:`~ganmc_lightning.networks.load_network` can rebuild them from the file alone.
    * **What the networks were trained on**, class names and statistics of the samples, is stored beside them.
    * **Frozen parts stay out.** The networks named in :attr:`frozen_modules` never enter the checkpoint.
    * **Continuation.** The random state and the iteration counter are saved: an interrupted run goes on as if
      it had not been.
    * **Cheap logs.** :meth:`record` adds to running sums on the device; means are logged as ``train/<name>``
      once an epoch and as ``train/<name>_step`` every ``log_every_n_steps`` iterations. They are summed in float32 or
      wider, whatever the precision of the run.
    * **An end to diverged runs.** Recorded values named ``loss...``, the scores in :attr:`finite_scores` and the
      weights must be finite: they are checked when means are logged, at the end of an epoch, and before a checkpoint
      is written, never in every step. :class:`~ganmc_lightning.exceptions.DivergenceError` ends a run that fails, and
      its last good checkpoint is kept.
    * **float16 weights.** With ``precision="16-true"``, ``eps`` of the optimizers is raised to 1e-3, with a warning:
      smaller values are no protection in float16.

    Attributes:
        iteration: batches seen, the present one included, whatever the number of optimizers. Logged as
            ``trainer/iteration``.
    """

    frozen_modules: ClassVar[tuple[str, ...]] = ()
    product: ClassVar[str]
    """Name of the network this procedure is run for: what one ships, and what reports give the size of."""
    prediction: ClassVar[str] = "probabilities"
    """What :meth:`predict_step` returns: the name of its array in ``predictions.npz``."""
    finite_scores: ClassVar[tuple[str, ...]] = ()
    """Names of logged scores, such as ``val/cross_entropy``, that are finite unless the run diverged."""

    takes_weights: bool = False
    """Whether :meth:`training_step` uses :attr:`~ganmc_lightning.batch.Batch.weights`; data with weights are refused
    otherwise."""

    def __init__(self) -> None:
        super().__init__()
        if _given_hyperparameters.get() is not None:  # built by the command line: the recipe is at hand
            self.save_hyperparameters()
            for name, recipe in self.hparams.items():
                if name not in self.frozen_modules:
                    self.hparams[name] = resolve_recipe(recipe)
        self.register_load_state_dict_post_hook(_ignore_missing_frozen_keys)  # type: ignore[no-untyped-call]
        self.iteration = 0
        self._previous_seconds = 0.0
        self._started_at: float | None = None
        self._epoch_means = MeanAccumulator()
        self._step_means = MeanAccumulator()
        self._resumed: dict[str, Any] = {}
        self._losses = LossWatch()
        self._unbounded: frozenset[str] = frozenset()
        self._first_batch: list[RemovableHandle] | None = None
        self._data: DataSpec | None = None

    # -- fitting the data ----------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Compare the networks with the data before anything is trained or written."""
        self._data = None
        self._check_data()
        if stage == "fit" and self._data is not None and self._data.weighted and not self.takes_weights:
            raise ConfigurationError(
                f"data.source gives its rows weights, which {type(self).__name__} does not use: train without them "
                "(of a TableFile, list the weight_column in drop_columns instead)"
            )

    def on_fit_start(self) -> None:
        """Compare the networks with the data again where a checkpoint has changed how rows are scaled."""
        self._check_data()

    def on_validation_start(self) -> None:
        """As :meth:`on_fit_start`, where nothing is trained."""
        self._check_data()

    def _check_data(self) -> None:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(datamodule, SupportsDataSpec) and datamodule.spec != self._data:
            self.check_spec(datamodule.spec)
            self._data = datamodule.spec

    @property
    def trained_on(self) -> DataSpec | None:
        """What the networks of this module learn from; None where no data module tells."""
        return self._data

    def check_spec(self, spec: DataSpec) -> None:
        """Raise :class:`~ganmc_lightning.exceptions.ConfigurationError` where a network does not fit the data.

        Args:
            spec: shape of one sample and number of classes of the data.
        """

    def example_inputs(self, spec: DataSpec) -> tuple[Tensor, ...]:
        """What the product is called with for one sample, on the CPU; reports count its operations."""
        return (torch.zeros(1, *spec.sample_shape),)

    @property
    def seconds(self) -> float:
        """Wall-clock time trained so far, over all the sessions of an interrupted run."""
        running = 0.0 if self._started_at is None else time.monotonic() - self._started_at
        return self._previous_seconds + running

    # -- logging -------------------------------------------------------------------------------------------

    def record(self, **values: Tensor) -> None:
        """Add this step's scalars to the running means of the epoch and of the logging interval."""
        self._epoch_means.add(values)
        self._step_means.add(values)
        self._losses.see(self.iteration, values)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Count the batch. Callbacks save checkpoints before this class is told that it ended.

        All batches of a run are equally large: if the first holds one sample, it is tried out whether the networks
        can normalize it.
        """
        self.iteration += 1
        if self._first_batch is None:
            self._first_batch = []
            if isinstance(batch, Batch) and len(batch.labels) == 1:
                self._first_batch = refuse_single_values(
                    self,
                    "the training batch holds one sample; set data.batch_size to 2 or more, with at least 2 training "
                    "samples for each process, or build the network without batch normalization",
                )

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the means since the last time every ``log_every_n_steps`` iterations.

        Raises:
            DivergenceError: the losses are NaN or infinite.
        """
        while self._first_batch:
            self._first_batch.pop().remove()
        if self._step_means_due or self.iteration % CHECK_EVERY == 0:
            self._check_losses()
        if self._step_means_due:
            means = {f"train/{name}_step": value for name, value in self._step_means.pop().items()}
            self.log_dict({**means, "trainer/iteration": float(self.iteration)})

    @property
    def _step_means_due(self) -> bool:
        return bool(self.iteration % self.trainer.log_every_n_steps == 0)  # type: ignore[attr-defined]

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means.

        Raises:
            DivergenceError: the losses are NaN or infinite.
        """
        self._check_losses()
        means = {f"train/{name}": value for name, value in self._epoch_means.pop().items()}
        self.log_dict(means, prog_bar=True, sync_dist=True)
        self.log("trainer/iteration", float(self.iteration), sync_dist=True)

    # -- divergence ----------------------------------------------------------------------------------------

    def _check_losses(self) -> None:
        failure = self._losses.failure()
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if failure is not None and failure.steps < (SKIPPED_STEPS if scaled else 1):
            failure = None
        self._end_if_diverged(failure is not None, failure)

    def _check_weights(self, state: Mapping[str, Any]) -> None:
        """Check the state that a checkpoint is about to store, and the scores it is chosen by."""
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        weights = [name for name in not_finite(tensors) if name not in self._unbounded]
        metrics = self.trainer.callback_metrics
        scores = not_finite({name: metrics[name] for name in self.finite_scores if name in metrics})
        self._end_if_diverged(bool(weights or scores), None, weights, scores)

    def _end_if_diverged(
        self, diverged: bool, failure: Failure | None, weights: Sequence[str] = (), scores: Sequence[str] = ()
    ) -> None:
        """End the run on all processes if one of them asks for it."""
        if not self.trainer.strategy.reduce_boolean_decision(diverged, all=False):
            return
        weights = weights or not_finite(dict(self.named_parameters()))
        found = [] if failure is None else [f"{failure.name} is {failure.value} from step {failure.step} on"]
        found += [f"{name} is {self.trainer.callback_metrics[name].item()}" for name in scores]
        found += [f"{name} is not finite" for name in weights[:1]]
        raise DivergenceError(
            f"{type(self).__name__} diverged, found at step {self.iteration}: "
            f"{' and '.join(found) or 'in another process'}; lower the learning rate. {kept_checkpoint(self.trainer)}"
        )

    # -- checkpoints ---------------------------------------------------------------------------------------

    def state_dict(  # type: ignore[override]
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """The weights of the trained parts."""
        state: dict[str, Any] = super().state_dict(*args, destination=destination, prefix=prefix, keep_vars=keep_vars)
        for key in [key for key in state if key.startswith(self._frozen_prefixes(prefix))]:
            del state[key]
        return state

    def _frozen_prefixes(self, prefix: str = "") -> tuple[str, ...]:
        return tuple(f"{prefix}{part}." for part in self.frozen_modules)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the counter, the running means, the random state and the name of this class.

        Raises:
            DivergenceError: losses, weights or :attr:`finite_scores` are NaN or infinite. Nothing is written then.
        """
        if self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
            self._check_losses()
            self._check_weights(checkpoint["state_dict"])
        checkpoint["iteration"] = self.iteration
        checkpoint["seconds"] = self.seconds
        checkpoint["running_means"] = {"epoch": self._epoch_means.state_dict(), "step": self._step_means.state_dict()}
        checkpoint["random_state"] = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            checkpoint["random_state"]["cuda"] = torch.cuda.get_rng_state(self.device)
        if self.trained_on is not None:
            checkpoint[TRAINED_ON] = self.trained_on.state_dict()
        recipe = checkpoint.setdefault("hyper_parameters", {})
        recipe.setdefault("_class_path", f"{type(self).__module__}.{type(self).__qualname__}")

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counter; keep the rest until training starts.

        Raises:
            ConfigurationError: the checkpoint is of another model, or of a model of other classes than the data's.
        """
        checkpoint["state_dict"] = renamed(checkpoint["state_dict"], self.state_dict())
        here, there = (
            {name: tuple(value.shape) for name, value in state.items()}
            for state in (self.state_dict(), checkpoint["state_dict"])
        )
        for name in [*here, *there]:
            if here.get(name) != there.get(name):
                raise ConfigurationError(
                    f"the checkpoint is not one of this model: {name} is {here.get(name, 'missing')} here, "
                    f"{there.get(name, 'missing')} there; name another by --ckpt_path, or the configuration it was "
                    "made with"
                )
        self._check_classes_of(checkpoint)
        self.iteration = checkpoint["iteration"]
        self._previous_seconds = checkpoint["seconds"]
        self._resumed = {key: checkpoint[key] for key in ("running_means", "random_state")}

    def _check_classes_of(self, checkpoint: Mapping[str, Any]) -> None:
        """Compare the classes that the checkpoint's networks were trained on with those of the data at hand."""
        trained_on = training_data_in(checkpoint, "the checkpoint")
        if trained_on is not None and self._data is not None:
            compare_class_names("the model of the checkpoint", trained_on, self._data)

    def on_train_start(self) -> None:
        """Start the clock; put back means and random state of the checkpoint, if this run continues one.

        Networks that were handed over in evaluation mode, as those out of a checkpoint are, are set to training:
        Lightning leaves that to the caller.
        """
        self._started_at = time.monotonic()
        for name, child in self.named_children():
            if name not in self.frozen_modules:
                child.train()
                if self.trained_on is not None:
                    note_training_data(child, self.trained_on)
        raise_epsilon(self.trainer.optimizers)
        self._losses, self._first_batch = LossWatch(), None
        # Buffers such as attention masks may hold -inf on purpose.
        self._unbounded = frozenset(not_finite(dict(self.named_buffers())))
        if self._resumed:
            self._epoch_means.load_state_dict(self._resumed["running_means"]["epoch"], self.device)
            self._step_means.load_state_dict(self._resumed["running_means"]["step"], self.device)
            if self._step_means_due:  # they were logged right after the checkpoint was saved
                self._step_means.pop()
            self._restore_rng_state(self._resumed["random_state"])
            self._resumed = {}
        if self.global_rank > 0:
            # The other processes start from the same seed or the first one's state: they must not draw its numbers.
            shift = self.global_rank + self.trainer.world_size * self.iteration
            torch.manual_seed(torch.initial_seed() + 10_007 * shift)

    def _restore_rng_state(self, state: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"].cpu())
        if "cuda" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"].cpu(), self.device)


def _ignore_missing_frozen_keys(module: nn.Module, keys: Any) -> None:
    """Let strict loading pass without the parts that are left out of checkpoints on purpose."""
    assert isinstance(module, CompressionModule)
    frozen = module._frozen_prefixes()
    keys.missing_keys[:] = [key for key in keys.missing_keys if not key.startswith(frozen)]


def check_equal(name: str, actual: object, expected: object, what: str) -> None:
    """Raise :class:`ConfigurationError` naming ``model.<name>`` unless the two values are equal."""
    if actual != expected:
        raise ConfigurationError(f"model.{name} was made for {what} {actual}, the data have {expected}")


def optimizer_config(optimizer: torch.optim.Optimizer, scheduler: Any | None) -> Mapping[str, Any]:
    """One optimizer and its schedule, stepped once an epoch, as Lightning wants them."""
    return {"optimizer": optimizer} if scheduler is None else {"optimizer": optimizer, "lr_scheduler": scheduler}
