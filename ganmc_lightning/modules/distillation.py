"""Train a student on what a teacher says of real and of synthetic samples (GAN-MC)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import Adam

from ganmc_lightning.batch import Batch, DataSpec, SupportsTeacherLogits
from ganmc_lightning.losses.distillation import DistillationLoss, L2LogitsLoss
from ganmc_lightning.losses.features import FeatureLoss, HintLoss
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.base import CompressionModule, optimizer_config
from ganmc_lightning.modules.label_scores import log_classification_metrics
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.intermediate import dry_run_layers, forward_with_features
from ganmc_lightning.networks.validation import check_trainable_classifier


class DistillationModule(CompressionModule):
    """GAN-assisted model compression (GAN-MC, sections 2.1 and 2.3).

    The stream decides which samples are synthetic; teacher and student see the same batch, and the loss
    compares their logits, and what their layers make of the batch where the loss is a
    :class:`~ganmc_lightning.losses.FeatureLoss`. With ``p_fake = 0`` this is ordinary model compression.

    Args:
        teacher: the trained network, usually ``load_network(path, "network")``. It is frozen here and
            never enters the checkpoint.
        student: the network to train.
        loss: what is matched; logits by default (Ba & Caruana 2014, equation 1 of GAN-MC).
        optimizer: makes the optimizer from the student's parameters, and the loss's own if it has any.
        lr_scheduler: makes the schedule, stepped once an epoch, from the optimizer.
        teacher_mode: ``"eval"``, or ``"paper"`` to leave the teacher's drop-out on, as the authors' code does.
    """

    product: ClassVar[str] = "student"
    frozen_modules: ClassVar[tuple[str, ...]] = ("teacher",)
    finite_scores: ClassVar[tuple[str, ...]] = ("val/cross_entropy",)

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        loss: DistillationLoss | None = None,
        optimizer: OptimizerCallable = Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        teacher_mode: Literal["eval", "paper"] = "eval",
    ) -> None:
        super().__init__()
        self.teacher = Frozen(teacher, mode=teacher_mode)
        self.student = student
        self.loss = L2LogitsLoss() if loss is None else loss
        self.takes_weights = self.loss.takes_weights
        self._teacher_layers = self.loss.teacher_layers if isinstance(self.loss, FeatureLoss) else ()
        self._student_layers = self.loss.student_layers if isinstance(self.loss, FeatureLoss) else ()
        self._optimizer = optimizer
        self._lr_scheduler = lr_scheduler

    def check_spec(self, spec: DataSpec) -> None:
        """Teacher and student must take the data's samples, know their classes and have the loss's layers.

        The teacher must have been trained on samples of the same kind; rows scaled otherwise are rescaled for it.
        """
        teacher = dry_run_layers("model.teacher", self.teacher, self._teacher_layers, spec)
        self.teacher.adapt_to("model.teacher", spec)
        check_trainable_classifier("model.student", self.student, spec)
        student = dry_run_layers("model.student", self.student, self._student_layers, spec)
        if isinstance(self.loss, FeatureLoss):
            self.loss.fit(*([tuple(features.shape[1:]) for features in each] for each in (student, teacher)))
            self.loss.to(next(self.student.parameters()).device)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the student's logits (N, K)."""
        logits: Tensor = self.student(inputs)
        return logits

    def on_train_start(self) -> None:
        """Let the data module store the teacher's logits, unless dropout or features need it in every step."""
        super().on_train_start()
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        deterministic = self.teacher.mode == "eval" and not isinstance(self.loss, FeatureLoss)
        if deterministic and isinstance(data, SupportsTeacherLogits):
            data.supply_logits_of(self.teacher)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The teacher answers without a graph, the student learns the answer."""
        if batch.teacher_logits is None:
            teacher_logits, teacher_features = forward_with_features(self.teacher, self._teacher_layers, batch.inputs)
        else:
            teacher_logits, teacher_features = batch.teacher_logits, ()
        student_logits, student_features = forward_with_features(self.student, self._student_layers, batch.inputs)
        student_logits = at_least_float32(student_logits)
        teacher_logits = teacher_logits.to(student_logits.dtype)
        weights = () if batch.weights is None else (batch.weights,)
        loss: Tensor = self.loss(student_logits, teacher_logits, batch.labels, batch.synthetic, *weights)
        if isinstance(self.loss, FeatureLoss):
            feature_loss = self.loss.match(student_features, teacher_features)
            self.record(loss_features=feature_loss)
            loss = loss + feature_loss
        with torch.no_grad():
            agreement = (student_logits.argmax(dim=1) == teacher_logits.argmax(dim=1)).float().mean()
        self.record(loss=loss, agreement=agreement)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val/accuracy`` and ``val/cross_entropy`` of the student."""
        log_classification_metrics(self, "val", self.student(batch.inputs), batch.labels)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``test/accuracy`` and ``test/cross_entropy`` of the student."""
        log_classification_metrics(self, "test", self.student(batch.inputs), batch.labels)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the student's class probabilities (N, K)."""
        return at_least_float32(self(batch.inputs)).softmax(dim=1)

    def configure_optimizers(self) -> Any:
        """One optimizer over the student, and over what the loss learns beside it."""
        optimizer = self._optimizer([*self.student.parameters(), *self.loss.parameters()])
        return optimizer_config(optimizer, self._lr_scheduler and self._lr_scheduler(optimizer))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the regressors that the checkpoint has weights for, where no data have asked for them yet."""
        if isinstance(self.loss, HintLoss):
            state = checkpoint["state_dict"]
            self.loss.rebuild({name.removeprefix("loss."): weight for name, weight in state.items()})
        super().on_load_checkpoint(checkpoint)
