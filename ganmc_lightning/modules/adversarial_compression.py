"""Train a student against a discriminator of its own and its teacher's features, without labels (ANC)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ganmc_lightning.batch import Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.anc import (
    DiscriminatorRegularizer,
    InvertedLabelRegularizer,
    anc_discriminator_objective,
    anc_student_loss,
)
from ganmc_lightning.losses.distillation import l2_logits_loss
from ganmc_lightning.losses.features import Shape, make_regressor, regressor_from_weight
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.modules.label_scores import log_classification_metrics
from ganmc_lightning.modules.sample_means import log_sample_means
from ganmc_lightning.modules.saturation import DiscriminatorSaturationWarning
from ganmc_lightning.modules.uncounted import uncounted_step
from ganmc_lightning.networks.base import Discriminator
from ganmc_lightning.networks.batchnorm import frozen_batchnorm_stats
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.intermediate import FEATURES, dry_run_layers, forward_with_features
from ganmc_lightning.networks.validation import check_trainable_classifier


def _paper_sgd(parameters: Any) -> Optimizer:
    """SGD as ANC, section 3.6, sets it; the momentum, which it does not give, is the usual 0.9."""
    return SGD(parameters, lr=0.001, momentum=0.9, weight_decay=0.0002)


class AdversarialCompressionModule(CompressionModule):
    """Adversarial Network Compression (Belagiannis et al. 2018, section 3, equation 8).

    A discriminator learns to tell whose features it sees, the teacher's or the student's; the student learns to be
    taken for the teacher, and to give its logits. **No label is used**: the stream may be all synthetic or have no
    labels at all. (Validation accuracy needs labels; a best checkpoint by ``val/logits_loss``, mode ``min``, does not.)

    Each iteration asks teacher and student once: dropout acts on the student's features and not inside the network,
    so that one forward pass serves the discriminator's step, which sees the detached features as they are, and the
    student's, which sees them with dropout and is judged by the discriminator's new weights. The discriminator
    judges twice. Batch statistics of every network move once an iteration. One iteration counts as one step.

    Where the sizes of the features differ, a **projection** takes the student's to the size of the teacher's, which
    stay what they are, the reference. By default it is learned, a layer of
    :func:`~ganmc_lightning.losses.make_regressor`, in the student's step: in the discriminator's it would be one
    more means to tell the two apart. It is no part of the student.

    With several processes use the strategy ``ddp_find_unused_parameters_true``: each player's step leaves the
    other's parameters without a gradient.

    Args:
        teacher: the trained network. It is frozen here and never enters the checkpoint.
        student: the network to train.
        discriminator: judges features of the teacher's size; high for the teacher.
        regularizer: of the discriminator; :class:`~ganmc_lightning.losses.InvertedLabelRegularizer` when left out.
        teacher_layer: whose output the discriminator sees: ``"features"`` (the layer before the logits of this
            package's classifiers), ``"logits"``, or any layer's name, such as ``"avgpool"`` of torchvision's ResNets.
        student_layer: the same of the student.
        logits_weight: lambda, weight of the squared distance of the logits.
        dropout: probability that a feature is dropped in the student's update.
        projection: from the student's features to the teacher's size; learned and linear when left out and needed.
        student_optimizer: the paper's SGD when left out.
        discriminator_optimizer: the same.
        student_lr_scheduler: makes a schedule, stepped once an epoch.
        discriminator_lr_scheduler: the same.

    Raises:
        ConfigurationError: ``logits_weight`` is negative or ``dropout`` lies outside [0, 1).
    """

    product: ClassVar[str] = "student"
    frozen_modules: ClassVar[tuple[str, ...]] = ("teacher",)
    finite_scores: ClassVar[tuple[str, ...]] = ("val/cross_entropy", "val/logits_loss")

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        discriminator: Discriminator,
        regularizer: DiscriminatorRegularizer | None = None,
        teacher_layer: str = FEATURES,
        student_layer: str = FEATURES,
        logits_weight: float = 1.0,
        dropout: float = 0.5,
        projection: nn.Module | None = None,
        student_optimizer: OptimizerCallable | None = None,
        discriminator_optimizer: OptimizerCallable | None = None,
        student_lr_scheduler: LRSchedulerCallable | None = None,
        discriminator_lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        if logits_weight < 0:
            raise ConfigurationError(f"model.logits_weight (lambda) must not be negative, got {logits_weight}")
        if not 0 <= dropout < 1:
            raise ConfigurationError(f"model.dropout must lie in [0, 1), got {dropout}")
        self.automatic_optimization = False
        self.teacher = Frozen(teacher)
        self.student = student
        self.discriminator = discriminator
        self.regularizer = InvertedLabelRegularizer() if regularizer is None else regularizer
        self.teacher_layer = teacher_layer
        self.student_layer = student_layer
        self.logits_weight = logits_weight
        self.dropout = dropout
        self.projection = nn.Identity() if projection is None else projection
        self._student_optimizer = student_optimizer or _paper_sgd
        self._discriminator_optimizer = discriminator_optimizer or _paper_sgd
        self._student_lr_scheduler = student_lr_scheduler
        self._discriminator_lr_scheduler = discriminator_lr_scheduler
        self._watch = DiscriminatorSaturationWarning()

    # -- fitting the data ----------------------------------------------------------------------------------

    def check_spec(self, spec: DataSpec) -> None:
        """Hold the networks against the data and each other; make the projection, if one is needed."""
        _check_gradients(self.teacher, self.student)
        (teacher,) = dry_run_layers("model.teacher", self.teacher, [self.teacher_layer], spec)
        self.teacher.adapt_to("model.teacher", spec)
        check_trainable_classifier("model.student", self.student, spec)
        (student,) = dry_run_layers("model.student", self.student, [self.student_layer], spec)
        if isinstance(self.projection, nn.Identity):
            self.projection = self._projection(_shape(student), _shape(teacher)).to(student.device)
        self._check_judgement(student, teacher)

    def _projection(self, student: Shape, teacher: Shape) -> nn.Module:
        try:
            return make_regressor(student, teacher)
        except ConfigurationError as error:
            raise ConfigurationError(f"model.student_layer and model.teacher_layer: {error}") from None

    def _check_judgement(self, student: Tensor, teacher: Tensor) -> None:
        with torch.no_grad():
            try:
                projected = self.projection(student)
            except RuntimeError as error:
                raise ConfigurationError(
                    f"model.projection does not take the student's features {_shape(student)}: {_first_line(error)}"
                ) from error
            if projected.shape != teacher.shape:
                raise ConfigurationError(
                    f"model.projection makes {_shape(projected)} of the student's features {_shape(student)} where the "
                    f"teacher's are {_shape(teacher)}: leave it out, or name one that makes these"
                )
            try:
                with frozen_batchnorm_stats(self.discriminator):
                    verdicts = self.discriminator(teacher.to(projected.dtype))
            except RuntimeError as error:
                raise ConfigurationError(
                    f"model.discriminator does not take the teacher's features {_shape(teacher)} (layer "
                    f"'{self.teacher_layer}'): make it for that size ({_first_line(error)})"
                ) from error
        if tuple(verdicts.shape) != (2,):
            raise ConfigurationError(
                f"model.discriminator answers two samples with {tuple(verdicts.shape)} instead of (2,)"
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the student's logits (N, K)."""
        logits: Tensor = self.student(inputs)
        return logits

    # -- the game ------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Ask both networks, discriminator step, student step, record."""
        student_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        teacher_logits, (teacher_features,) = forward_with_features(self.teacher, [self.teacher_layer], batch.inputs)
        student_logits, (student_features,) = forward_with_features(self.student, [self.student_layer], batch.inputs)

        self.toggle_optimizer(discriminator_optimizer)
        both = torch.cat([teacher_features, self.projection(student_features.detach())])
        teacher_scores, student_scores = at_least_float32(self.discriminator(both)).chunk(2)
        regularization = self.regularizer(self.discriminator, student_scores)
        discriminator_loss = -(anc_discriminator_objective(teacher_scores, student_scores) + regularization)
        discriminator_optimizer.zero_grad()
        self.manual_backward(discriminator_loss)
        uncounted_step(discriminator_optimizer)
        self.untoggle_optimizer(discriminator_optimizer)

        self.toggle_optimizer(student_optimizer)
        with frozen_batchnorm_stats(self.discriminator):
            verdicts = self.discriminator(self.projection(F.dropout(student_features, self.dropout)))
        adversarial_loss = anc_student_loss(at_least_float32(verdicts))
        logits_loss = l2_logits_loss(student_logits, teacher_logits)
        student_loss = adversarial_loss + self.logits_weight * logits_loss
        student_optimizer.zero_grad()
        self.manual_backward(student_loss)
        student_optimizer.step()
        self.untoggle_optimizer(student_optimizer)

        with torch.no_grad():
            accuracy_teacher = (teacher_scores > 0).float().mean()
            accuracy_student = (student_scores < 0).float().mean()
            self.record(
                loss=student_loss,
                loss_discriminator=discriminator_loss,
                loss_adversarial=adversarial_loss,
                loss_logits=logits_loss,
                loss_ratio_adversarial_logits=adversarial_loss / logits_loss.clamp(min=1e-12),
                discriminator_accuracy_teacher=accuracy_teacher,
                discriminator_accuracy_student=accuracy_student,
                agreement=(student_logits.argmax(dim=1) == teacher_logits.argmax(dim=1)).float().mean(),
            )
            self._watch.see((accuracy_teacher + accuracy_student) / 2)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means and step the schedules."""
        super().on_train_epoch_end()
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            if scheduler is not None:
                scheduler.step()

    # -- scores --------------------------------------------------------------------------------------------

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val/accuracy`` and ``val/cross_entropy``; ``val/logits_loss`` and ``val/agreement`` need no labels."""
        logits, teacher_logits = self.student(batch.inputs), self.teacher(batch.inputs)
        log_classification_metrics(self, "val", logits, batch.labels)
        scores = {
            "val/logits_loss": l2_logits_loss(logits, teacher_logits),
            "val/agreement": (logits.argmax(dim=1) == teacher_logits.argmax(dim=1)).float().mean(),
        }
        log_sample_means(self, scores, len(batch.labels))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``test/accuracy`` and ``test/cross_entropy`` of the student."""
        log_classification_metrics(self, "test", self.student(batch.inputs), batch.labels)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the student's class probabilities (N, K)."""
        return at_least_float32(self(batch.inputs)).softmax(dim=1)

    # -- optimizers and checkpoints ------------------------------------------------------------------------

    def configure_optimizers(self) -> Any:
        """The optimizer of student and projection, then the discriminator's, and their schedules."""
        student = self._student_optimizer([*self.student.parameters(), *self.projection.parameters()])
        discriminator = self._discriminator_optimizer(self.discriminator.parameters())
        wanted = [(self._student_lr_scheduler, student), (self._discriminator_lr_scheduler, discriminator)]
        return [student, discriminator], [make(optimizer) for make, optimizer in wanted if make is not None]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make the projection that the checkpoint has weights for, where no data have asked for it yet."""
        weight = checkpoint["state_dict"].get("projection.weight")
        if weight is not None and isinstance(self.projection, nn.Identity):
            self.projection = regressor_from_weight(weight)
        super().on_load_checkpoint(checkpoint)


def _check_gradients(teacher: nn.Module, student: nn.Module) -> None:
    """The teacher's parameters must ask for no gradient, the student's must, and none may be of both."""
    learning = [name for name, parameter in teacher.named_parameters() if parameter.requires_grad]
    if learning:
        raise ConfigurationError(
            f"model.teacher asks for gradients ({learning[0]}): it is frozen by the module, so let nothing turn them on"
        )
    frozen = {id(parameter) for parameter in teacher.parameters()}
    if any(id(parameter) in frozen for parameter in student.parameters()):
        raise ConfigurationError(
            "model.student shares parameters with model.teacher, which is frozen: give it a copy of its own"
        )
    if not any(parameter.requires_grad for parameter in student.parameters()):
        raise ConfigurationError("model.student has no parameter to train: hand over one that is not frozen")


def _shape(features: Tensor) -> Shape:
    return tuple(features.shape[1:])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
