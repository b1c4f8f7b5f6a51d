"""Distillation of a classifier on real and synthetic samples (GAN-MC)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam

from ganmc_lightning.batch import Batch, DataSpec, SupportsTeacherLogits
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.distillation import DistillationLoss, L2LogitsLoss
from ganmc_lightning.losses.features import FeatureLoss, HintLoss
from ganmc_lightning.losses.parts import loss_columns
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.classification import ClassificationModule
from ganmc_lightning.modules.distributed import parameters_without_gradient
from ganmc_lightning.modules.optimizers import with_schedules
from ganmc_lightning.modules.student_check import check_student
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.intermediate import dry_run_layers, forward_with_features
from ganmc_lightning.networks.modes import evaluating
from ganmc_lightning.networks.validation import check_trainable_classifier, example_samples


class DistillationModule(ClassificationModule):
    """GAN-assisted model compression (GAN-MC, sections 2.1 and 2.3).

    Teacher and student process the same batch, in which the data module mixed real and synthetic samples. The loss
    compares their logits and, if it is a :class:`~ganmc_lightning.losses.FeatureLoss`, features of their layers. With
    ``p_fake = 0`` this is ordinary knowledge distillation.

    Where only logits are compared, the batch normalization of the teacher is folded into its convolutions during
    training, which is faster and changes the logits by rounding only.

    Args:
        teacher: trained network, usually ``load_network(path, "network")``. It is frozen and not saved.
        student: network to train, from samples (N, ...) to logits (N, K).
        loss: distillation loss (default: :class:`~ganmc_lightning.losses.L2LogitsLoss`, GAN-MC's equation 1). Each
            part is logged, e.g. ``train/loss_soft`` and ``train/loss_hard``.
        optimizer: function from the parameters of student and loss to an optimizer (default: Adam).
        lr_scheduler: function from the optimizer to a schedule, stepped once per epoch (default: none).
        teacher_dropout: whether the teacher's dropout layers are active during training, as in the authors' code
            (default: False).

    Raises:
        ConfigurationError: ``teacher_dropout`` is true but the teacher has no dropout layer.

    Example:
        >>> from ganmc_lightning.losses import KnowledgeDistillationLoss
        >>> module = DistillationModule(nn.Linear(2, 3), nn.Linear(2, 3), KnowledgeDistillationLoss(temperature=1.0))
        >>> for parameter in module.parameters():
        ...     _ = nn.init.zeros_(parameter)
        >>> batch = Batch(torch.ones(4, 2), torch.tensor([0, 1, 2, 0]), torch.zeros(4, dtype=torch.bool))
        >>> round(module.training_step(batch, 0).item(), 3)  # log(3)
        1.099
    """

    trained_module: ClassVar[str] = "student"
    frozen_modules: ClassVar[tuple[str, ...]] = ("teacher",)

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        loss: DistillationLoss | None = None,
        optimizer: OptimizerCallable = Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        teacher_dropout: bool = False,
    ) -> None:
        super().__init__()
        try:
            self.teacher = Frozen(teacher, dropout=teacher_dropout)
        except ConfigurationError as error:
            raise ConfigurationError(f"model.teacher_{error}") from None
        self.teacher_dropout = teacher_dropout
        self.student = student
        self.loss = L2LogitsLoss() if loss is None else loss
        self.takes_weights = self.loss.takes_weights
        self.shardable = not isinstance(self.loss, FeatureLoss) and not list(self.loss.parameters())
        self._teacher_layers = self.loss.teacher_layers if isinstance(self.loss, FeatureLoss) else ()
        self._student_layers = self.loss.student_layers if isinstance(self.loss, FeatureLoss) else ()
        self._optimizer = optimizer
        self._lr_scheduler = lr_scheduler
        self._unused: list[nn.Parameter] = []

    def setup(self, stage: str) -> None:
        """Validate the networks against the data; with several processes, also find the parameters that are not used.

        Without a loss on the logits, the layers after the compared features have no gradients. DDP would wait for them,
        so these layers do not require gradients until the end of training. DDP would also copy the buffers of the
        teacher, which never change, from the first process in each step.
        """
        if stage == "fit":
            check_student(self.teacher, self.student)
        super().setup(stage)
        if stage != "fit" or self.trainer.world_size == 1 or self._data is None:
            return
        buffers = [f"teacher.{name}" for name, _ in self.teacher.named_buffers()]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, buffers)
        if isinstance(self.loss, FeatureLoss) and self.loss.logits_loss is None:
            parameter = next(self.student.parameters())
            inputs = torch.zeros(2, *self._data.sample_shape, device=parameter.device, dtype=parameter.dtype)
            with evaluating(self.student), torch.enable_grad():
                _, features = forward_with_features(self.student, self._student_layers, inputs)
            self._unused = parameters_without_gradient(features, self.student.parameters())
            for parameter in self._unused:
                parameter.requires_grad_(False)

    def teardown(self, stage: str) -> None:
        """Let the parameters that are not used require gradients again."""
        while self._unused:
            self._unused.pop().requires_grad_(True)

    def validate_spec(self, spec: DataSpec) -> None:
        """Validate inputs, logits and layers of both networks, and build the layers of the loss.

        Inputs of a teacher that was trained on rows with another scaling are rescaled.
        """
        teacher = dry_run_layers("model.teacher", self.teacher, self._teacher_layers, spec)
        self.teacher.adapt_to("model.teacher", spec)
        check_trainable_classifier("model.student", self.student, spec)
        student = dry_run_layers("model.student", self.student, self._student_layers, spec)
        if isinstance(self.loss, FeatureLoss):
            self.loss.build(*([tuple(features.shape[1:]) for features in each] for each in (student, teacher)))
            self.loss.to(next(self.student.parameters()).device)

    def on_fit_start(self) -> None:
        """Fold the teacher's batch normalization, unless a feature loss reads the outputs of its layers."""
        super().on_fit_start()
        if self._data is not None and not isinstance(self.loss, FeatureLoss):
            self.teacher.fold(example_samples(self.teacher, self._data))

    def on_train_start(self) -> None:
        """Let the data module cache the teacher's logits, unless dropout or a feature loss requires the teacher."""
        super().on_train_start()
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, SupportsTeacherLogits):
            features = "model.loss compares features" if isinstance(self.loss, FeatureLoss) else ""
            data.supply_logits_of(self.teacher, "model.teacher_dropout is true" if self.teacher_dropout else features)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Forward teacher and student, and return the distillation loss."""
        if batch.teacher_logits is None:
            teacher_logits, teacher_features = forward_with_features(self.teacher, self._teacher_layers, batch.inputs)
        else:
            teacher_logits, teacher_features = batch.teacher_logits, ()
        student_logits, student_features = forward_with_features(self.student, self._student_layers, batch.inputs)
        student_logits = at_least_float32(student_logits)
        teacher_logits = teacher_logits.to(student_logits.dtype)

        weights = () if batch.weights is None else (batch.weights,)
        parts = self.loss(student_logits, teacher_logits, batch.labels, batch.synthetic, *weights)
        losses = loss_columns(parts)
        if isinstance(self.loss, FeatureLoss):
            losses["loss_features"] = self.loss.feature_loss(student_features, teacher_features)
            losses["loss"] = losses["loss"] + losses["loss_features"]

        with torch.no_grad():
            agreement = (student_logits.argmax(dim=1) == teacher_logits.argmax(dim=1)).float().mean()
        self.record(**losses, agreement=agreement)
        return losses["loss"]

    def compilable_networks(self) -> list[nn.Module]:
        """Return student and teacher; none for a feature loss, whose hooks would be compiled into the networks."""
        return [] if isinstance(self.loss, FeatureLoss) else [self.student, self.teacher.folded]

    def configure_optimizers(self) -> Any:
        """Return the optimizer of student and loss, and its schedule."""
        optimizer = self._optimizer([*self.student.parameters(), *self.loss.parameters()])
        return with_schedules((optimizer, self._lr_scheduler), automatic=True)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the regressors with the shapes in the checkpoint, if no data have been set up."""
        if isinstance(self.loss, HintLoss):
            state = checkpoint["state_dict"]
            self.loss.build_from_state_dict({name.removeprefix("loss."): value for name, value in state.items()})
        super().on_load_checkpoint(checkpoint)
