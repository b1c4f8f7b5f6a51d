"""What the callbacks that score a generator while it trains share."""

from __future__ import annotations

from abc import abstractmethod
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.evaluation.samples import draw_samples
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Generator

SAMPLE_SEED = 0


class GeneratorMonitor(Callback):
    """Abstract: logs ``val/...`` scores of a generator's samples at every validation.

    Listed behind :class:`~ganmc_lightning.callbacks.GeneratorEMA` or before it, it sees the averaged generator. The
    samples are those of the same noise each time. The first process computes for all of them; test samples play
    no submodule.

    Args:
        submodule: name of the generator in the module.
    """

    def __init__(self, submodule: str = "generator") -> None:
        self.submodule = submodule

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Hold everything against the data before anything is trained.

        Raises:
            ConfigurationError: something does not fit, or the data module cannot hand out its samples.
        """
        name = type(self).__name__
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, SupportsDataSpec):
            raise ConfigurationError(f"{name} needs a GANAugmentedDataModule: it asks it for the real samples")
        if not isinstance(pl_module.get_submodule(self.submodule), Generator):
            raise ConfigurationError(f"{name}.submodule: '{self.submodule}' is no generator")
        self.check(data)
        data.samples("train")  # complains of a source that never holds them all

    @abstractmethod
    def check(self, data: SupportsDataSpec) -> None:
        """Hold what the scores need against the data, and forget the data of an earlier run.

        Raises:
            ConfigurationError: it does not fit.
        """

    @abstractmethod
    def scores(self, generator: Generator, data: SupportsDataSpec) -> dict[str, float]:
        """Compute the scores of the generator as it is now, by their names in ``val/<name>``."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute and log the scores, on the first process for all of them."""
        if trainer.sanity_checking:
            return
        found: dict[str, float] = {}
        if trainer.is_global_zero:
            generator = cast(Generator, pl_module.get_submodule(self.submodule))
            was_training = generator.training
            found = self.scores(generator, trainer.datamodule)  # type: ignore[attr-defined]
            generator.train(was_training)
        found = trainer.strategy.broadcast(found)
        scores = {f"val/{name}": value for name, value in found.items()}
        pl_module.log_dict(scores, prog_bar=True, sync_dist=True)  # the same value in each process


def samples_of(generator: Generator, data: SupportsDataSpec, n: int | None = None) -> Tensor:
    """Draw ``n`` samples, or as many as there are real training samples: uint8 images or float rows."""
    labels = data.samples("train")[1]
    return draw_samples(generator, labels, data.spec, len(labels) if n is None else n, SAMPLE_SEED)
