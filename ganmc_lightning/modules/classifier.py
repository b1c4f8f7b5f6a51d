"""Supervised training of a classifier, e.g. a teacher or a student without distillation."""

from __future__ import annotations

from typing import Any, ClassVar

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import Adam

from ganmc_lightning.batch import UNKNOWN_LABEL, Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.modules.classification import ClassificationModule
from ganmc_lightning.modules.optimizers import with_schedules
from ganmc_lightning.networks.validation import check_trainable_classifier


class ClassifierModule(ClassificationModule):
    """Supervised training with cross-entropy.

    The label of a synthetic sample is the class it was generated for. GAN-MC's poster uses this to show that GAN data
    *reduce* the accuracy of supervised training. Subclass it to add a teacher with its own arguments::

        class DeepTeacher(ClassifierModule):
            def __init__(self, depth: int = 56) -> None:
                super().__init__(CIFARResNet(depth=depth))

    Args:
        network: module from samples (N, ...) to logits (N, K).
        optimizer: function from parameters to an optimizer (default: Adam).
        lr_scheduler: function from the optimizer to a schedule, stepped once per epoch (default: none).

    Example:
        >>> import torch
        >>> module = ClassifierModule(nn.Linear(2, 3))
        >>> _ = nn.init.zeros_(module.network.weight), nn.init.zeros_(module.network.bias)
        >>> batch = Batch(torch.ones(4, 2), torch.tensor([0, 1, 2, 0]), torch.zeros(4, dtype=torch.bool))
        >>> round(module.training_step(batch, 0).item(), 3)  # log(3)
        1.099
    """

    trained_module: ClassVar[str] = "network"
    takes_weights = True
    shardable = True

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable = Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._optimizer = optimizer
        self._lr_scheduler = lr_scheduler

    def validate_spec(self, spec: DataSpec) -> None:
        """Validate that the network accepts the data's samples and returns one logit per class."""
        check_trainable_classifier("model.network", self.network, spec)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the cross-entropy with the labels."""
        loss = hard_cross_entropy(self.network(batch.inputs), batch.labels, batch.weights)
        self.record(loss=loss)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Validate the labels of the first batch, after its step because reading them waits for the device.

        Raises:
            ConfigurationError: all samples are synthetic, and the first batch has no labels.
        """
        if self.iteration == 1 and self._all_synthetic and bool((batch.labels == UNKNOWN_LABEL).all()):
            raise ConfigurationError(
                "data.synthesizer: got a first batch without labels, expected labels to train model.network; use a "
                "synthesizer with labels, such as a conditional generator, or a lower data.p_fake"
            )
        super().on_train_batch_end(outputs, batch, batch_idx)

    @property
    def _all_synthetic(self) -> bool:
        """Whether no later batch contains real samples, which have labels."""
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        return bool(getattr(datamodule, "p_fake", 1.0) == 1.0)

    def compilable_networks(self) -> list[nn.Module]:
        """Return the network."""
        return [self.network]

    def configure_optimizers(self) -> Any:
        """Return the optimizer of the network and its schedule."""
        return with_schedules((self._optimizer(self.network.parameters()), self._lr_scheduler), automatic=True)
