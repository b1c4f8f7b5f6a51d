"""Base class of callbacks that evaluate a generator during training."""

from __future__ import annotations

from abc import abstractmethod

from lightning.pytorch import Callback, LightningModule, Trainer

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.callbacks.submodule import check_single, find_generator
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.modes import evaluating

SAMPLE_SEED = 0


class GeneratorMonitor(Callback):
    """Base class of callbacks that log ``val/<name>`` metrics of a generator's samples at every validation.

    With :class:`~ganmc_lightning.callbacks.GeneratorEMA`, in any order of the callbacks, the averaged generator is
    evaluated. The latents are equal in every validation. Rank 0 computes the metrics for all ranks. Test samples are
    not used.

    Args:
        submodule: name of the generator in the LightningModule.
    """

    def __init__(self, submodule: str = "generator") -> None:
        self.submodule = submodule

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Validate the callback against the data before training.

        Raises:
            ConfigurationError: the callback does not support the data or the module, the data are not in memory, or
                there are several callbacks of this class.
        """
        check_single(trainer, self)
        name = type(self).__name__
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, SupportsDataSpec):
            raise ConfigurationError(f"{name}: got {type(data).__name__}, expected a GANAugmentedDataModule")
        find_generator(pl_module, self.submodule, name)
        data.samples("train")  # raises if the data set is not loaded into memory
        self.validate(data)

    @abstractmethod
    def validate(self, data: SupportsDataSpec) -> None:
        """Validate the callback against the data, and reset values computed from earlier data.

        Raises:
            ConfigurationError: the callback does not support the data.
        """

    @abstractmethod
    def compute(self, generator: Generator, data: SupportsDataSpec) -> dict[str, float]:
        """Return the metrics of the generator by name."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the metrics on rank 0 and log them on all ranks."""
        if trainer.sanity_checking:
            return
        values: dict[str, float] = {}
        if trainer.is_global_zero:
            generator = find_generator(pl_module, self.submodule, type(self).__name__)
            with evaluating(generator):
                values = self.compute(generator, trainer.datamodule)  # type: ignore[attr-defined]
        values = trainer.strategy.broadcast(values)
        metrics = {f"val/{name}": value for name, value in values.items()}
        pl_module.log_dict(metrics, prog_bar=True, sync_dist=True)  # equal on all ranks
