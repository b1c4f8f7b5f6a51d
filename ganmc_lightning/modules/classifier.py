"""Supervised training: the teacher, and the student that learns alone."""

from __future__ import annotations

from typing import Any, ClassVar

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import Adam

from ganmc_lightning.batch import UNKNOWN_LABEL, Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.base import CompressionModule, optimizer_config
from ganmc_lightning.modules.label_scores import log_classification_metrics
from ganmc_lightning.networks.validation import check_trainable_classifier


class ClassifierModule(CompressionModule):
    """Trains a classifier on labels with cross-entropy.

    On a stream with synthetic samples it learns their intended classes, the experiment of GAN-MC's poster in
    which GAN data *harm* plain supervised training. Subclass it to give a new teacher its own arguments::

        class DeepTeacher(ClassifierModule):
            def __init__(self, depth: int = 56) -> None:
                super().__init__(CIFARResNet(depth=depth))

    Args:
        network: any module from samples (N, ...) to logits (N, K).
        optimizer: makes the optimizer from the parameters.
        lr_scheduler: makes the schedule, stepped once an epoch, from the optimizer.
    """

    product: ClassVar[str] = "network"
    finite_scores: ClassVar[tuple[str, ...]] = ("val/cross_entropy",)
    takes_weights = True

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

    def check_spec(self, spec: DataSpec) -> None:
        """The network must take the data's samples and know their classes."""
        check_trainable_classifier("model.network", self.network, spec)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (N, K)."""
        logits: Tensor = self.network(inputs)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross-entropy with the labels."""
        loss = hard_cross_entropy(self.network(batch.inputs), batch.labels, batch.weights)
        self.record(loss=loss)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Check the labels of the first batch: behind the step, for it waits for the device.

        Raises:
            ConfigurationError: the first batch has none.
        """
        if self.iteration == 1 and bool((batch.labels == UNKNOWN_LABEL).all()):
            raise ConfigurationError(
                "no sample of the first batch has a class, which is what model.network learns: name a data.synthesizer "
                "that knows the classes of its samples, such as a conditional generator, or lower data.p_fake"
            )
        super().on_train_batch_end(outputs, batch, batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val/accuracy`` and ``val/cross_entropy``."""
        log_classification_metrics(self, "val", self.network(batch.inputs), batch.labels)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``test/accuracy`` and ``test/cross_entropy``."""
        log_classification_metrics(self, "test", self.network(batch.inputs), batch.labels)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return class probabilities (N, K)."""
        return at_least_float32(self(batch.inputs)).softmax(dim=1)

    def configure_optimizers(self) -> Any:
        """One optimizer over the network."""
        optimizer = self._optimizer(self.network.parameters())
        return optimizer_config(optimizer, self._lr_scheduler and self._lr_scheduler(optimizer))
