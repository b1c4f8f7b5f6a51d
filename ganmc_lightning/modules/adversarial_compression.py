"""Adversarial network compression (ANC; Belagiannis et al. 2018): train a student against a feature discriminator."""

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
from ganmc_lightning.modules.classification import ClassificationModule
from ganmc_lightning.modules.metric_logging import classification_sums
from ganmc_lightning.modules.optimizers import with_schedules
from ganmc_lightning.modules.saturation import DiscriminatorSaturationWarning
from ganmc_lightning.modules.student_check import check_student
from ganmc_lightning.networks.base import Discriminator
from ganmc_lightning.networks.batchnorm import frozen_batchnorm_stats
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.intermediate import FEATURES, dry_run_layers, forward_with_features
from ganmc_lightning.networks.validation import check_trainable_classifier


def _paper_sgd(parameters: Any) -> Optimizer:
    """Return SGD as in ANC, section 3.6; the paper does not state the momentum, 0.9 is the usual value."""
    return SGD(parameters, lr=0.001, momentum=0.9, weight_decay=0.0002)


class AdversarialCompressionModule(ClassificationModule):
    """Adversarial network compression without labels (Belagiannis et al. 2018, section 3, equation 8).

    A discriminator classifies features as the teacher's or the student's. The student minimizes the adversarial loss of
    its features and the distance between its logits and the teacher's. **No labels are used**: all samples may be
    synthetic or unlabeled. Without labels, choose the best checkpoint by ``val/logits_loss`` (mode ``min``).

    Each iteration runs one forward pass of teacher and student for both steps. The discriminator step uses the detached
    features. The student step uses the updated discriminator, and applies dropout to the student's features instead of
    inside the network. Batch statistics of every network are updated once per iteration. One iteration counts as one
    step of ``max_steps``.

    If the shapes of the features differ, a **projection** (:func:`~ganmc_lightning.losses.make_regressor`) maps the
    student's features to the teacher's shape. It is updated in the student step: updates in the discriminator step
    would make teacher and student easier to distinguish. It is not part of the student.

    Args:
        teacher: trained network. It is frozen and not saved.
        student: network to train, from samples (N, ...) to logits (N, K).
        discriminator: network from features of the teacher's shape to logits (N,), high for the teacher.
        regularizer: regularization term of the discriminator (default:
            :class:`~ganmc_lightning.losses.InvertedLabelRegularizer`).
        teacher_layer: layer of the teacher that returns the features: ``"features"`` (default; last layer before the
            logits in classifiers of this package), ``"logits"``, or a name such as ``"avgpool"`` in torchvision's
            ResNets.
        student_layer: layer of the student that returns the features, with the options of ``teacher_layer``.
        logits_weight: lambda >= 0, weight of the squared distance between the logits (default: 1).
        dropout: dropout probability of the student's features in the student step, in [0, 1) (default: 0.5).
        student_optimizer: function from parameters to an optimizer (default: SGD as in the paper).
        discriminator_optimizer: function from parameters to an optimizer (default: SGD as in the paper).
        student_lr_scheduler: function from an optimizer to a schedule, stepped once per epoch (default: none).
        discriminator_lr_scheduler: function from an optimizer to a schedule, stepped once per epoch (default: none).

    Raises:
        ConfigurationError: ``logits_weight`` is negative or ``dropout`` is not in [0, 1).

    Example:
        >>> import warnings
        >>> warnings.simplefilter("ignore")
        >>> from lightning.pytorch import Trainer
        >>> from torch.utils.data import DataLoader
        >>> from ganmc_lightning.networks import FeatureDiscriminator
        >>> teacher, student = nn.Linear(4, 3), nn.Linear(4, 3)
        >>> module = AdversarialCompressionModule(
        ...     teacher, student, FeatureDiscriminator(3), teacher_layer="logits", student_layer="logits"
        ... )
        >>> batch = Batch(torch.ones(6, 4), torch.full((6,), -1), torch.zeros(6, dtype=torch.bool))
        >>> loader = DataLoader([batch] * 60, batch_size=None)
        >>> trainer = Trainer(fast_dev_run=60, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False)
        >>> trainer.fit(module, loader, loader)
        >>> (student(batch.inputs) - teacher(batch.inputs)).abs().max().item() < 0.5
        True
    """

    trained_module: ClassVar[str] = "student"
    frozen_modules: ClassVar[tuple[str, ...]] = ("teacher",)
    finite_metrics: ClassVar[tuple[str, ...]] = ("val/cross_entropy", "val/logits_loss")

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
        student_optimizer: OptimizerCallable | None = None,
        discriminator_optimizer: OptimizerCallable | None = None,
        student_lr_scheduler: LRSchedulerCallable | None = None,
        discriminator_lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        if logits_weight < 0:
            raise ConfigurationError(f"model.logits_weight (lambda): got {logits_weight}, expected a value >= 0")
        if not 0 <= dropout < 1:
            raise ConfigurationError(f"model.dropout: got {dropout}, expected a value in [0, 1)")
        self.automatic_optimization = False
        self.teacher = Frozen(teacher)
        self.student = student
        self.discriminator = discriminator
        self.regularizer = InvertedLabelRegularizer() if regularizer is None else regularizer
        self.teacher_layer = teacher_layer
        self.student_layer = student_layer
        self.logits_weight = logits_weight
        self.dropout = dropout
        self.projection: nn.Module = nn.Identity()
        self._student_optimizer = student_optimizer or _paper_sgd
        self._discriminator_optimizer = discriminator_optimizer or _paper_sgd
        self._student_lr_scheduler = student_lr_scheduler
        self._discriminator_lr_scheduler = discriminator_lr_scheduler
        self._saturation = DiscriminatorSaturationWarning()

    # -- validation of the data ----------------------------------------------------------------------------

    def validate_spec(self, spec: DataSpec) -> None:
        """Validate the networks, and create the projection if the shapes of the features differ."""
        check_student(self.teacher, self.student)
        (teacher_features,) = dry_run_layers("model.teacher", self.teacher, [self.teacher_layer], spec)
        self.teacher.adapt_to("model.teacher", spec)
        check_trainable_classifier("model.student", self.student, spec)
        (student_features,) = dry_run_layers("model.student", self.student, [self.student_layer], spec)
        if isinstance(self.projection, nn.Identity):
            self.projection = self._make_projection(student_features, teacher_features)
        self._check_discriminator(teacher_features.to(student_features.dtype))

    def _make_projection(self, student: Tensor, teacher: Tensor) -> nn.Module:
        try:
            return make_regressor(_shape(student), _shape(teacher)).to(student.device)
        except ConfigurationError as error:
            raise ConfigurationError(f"model.student_layer and model.teacher_layer: {error}") from None

    @torch.no_grad()
    def _check_discriminator(self, features: Tensor) -> None:
        try:
            with frozen_batchnorm_stats(self.discriminator):
                logits = self.discriminator(features)
        except RuntimeError as error:
            raise ConfigurationError(
                f"model.discriminator does not accept the teacher's features {_shape(features)} of layer "
                f"'{self.teacher_layer}': build it for that shape ({str(error).splitlines()[0]})"
            ) from error
        if tuple(logits.shape) != (2,):
            raise ConfigurationError(
                f"model.discriminator returned shape {tuple(logits.shape)} for the features of 2 samples, expected (2,)"
            )

    # -- training ------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Forward teacher and student, update the discriminator, update the student, log."""
        student_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        teacher_logits, (teacher_features,) = forward_with_features(self.teacher, [self.teacher_layer], batch.inputs)
        student_logits, (student_features,) = forward_with_features(self.student, [self.student_layer], batch.inputs)

        with self.toggled_optimizer(discriminator_optimizer):
            features = torch.cat([teacher_features, self.projection(student_features.detach())])
            teacher_scores, student_scores = at_least_float32(self.discriminator(features)).chunk(2)
            objective = anc_discriminator_objective(teacher_scores, student_scores)
            discriminator_loss = -(objective + self.regularizer(self.discriminator, student_scores))
            self.step(discriminator_optimizer, discriminator_loss, counted=False)

        with self.toggled_optimizer(student_optimizer):
            with frozen_batchnorm_stats(self.discriminator):
                scores = self.discriminator(self.projection(F.dropout(student_features, self.dropout)))
            adversarial_loss = anc_student_loss(at_least_float32(scores))
            logits_loss = l2_logits_loss(student_logits, teacher_logits)
            student_loss = adversarial_loss + self.logits_weight * logits_loss
            self.step(student_optimizer, student_loss)

        with torch.no_grad():
            accuracy_teacher = (teacher_scores > 0).float().mean()
            accuracy_student = (student_scores < 0).float().mean()
            self.record(
                loss=student_loss,
                loss_adversarial=adversarial_loss,
                loss_logits=logits_loss,
                loss_discriminator=discriminator_loss,
                loss_ratio_adversarial_logits=adversarial_loss / logits_loss.clamp(min=1e-12),
                discriminator_accuracy_teacher=accuracy_teacher,
                discriminator_accuracy_student=accuracy_student,
                agreement=(student_logits.argmax(dim=1) == teacher_logits.argmax(dim=1)).float().mean(),
            )
            self._saturation.update((accuracy_teacher + accuracy_student) / 2)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val/accuracy`` and ``val/cross_entropy``; ``val/logits_loss`` and ``val/agreement`` need no labels."""
        logits, teacher_logits = self.student(batch.inputs), self.teacher(batch.inputs)
        self.record_samples(*classification_sums(logits, batch.labels), prog_bar=True)
        sums = {
            "logits_loss": l2_logits_loss(logits, teacher_logits) * len(logits),
            "agreement": (logits.argmax(dim=1) == teacher_logits.argmax(dim=1)).sum(),
        }
        self.record_samples(sums, len(logits))

    # -- optimizers and checkpoints ------------------------------------------------------------------------

    def compilable_networks(self) -> list[nn.Module]:
        """Return the discriminator; the features of student and teacher are read by hooks."""
        return [self.discriminator]

    def configure_optimizers(self) -> Any:
        """Return the optimizers of student (with projection) and discriminator, and their schedules."""
        student = self._student_optimizer([*self.student.parameters(), *self.projection.parameters()])
        discriminator = self._discriminator_optimizer(self.discriminator.parameters())
        return with_schedules((student, self._student_lr_scheduler), (discriminator, self._discriminator_lr_scheduler))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Create the projection with the shape in the checkpoint, if no data have been set up."""
        weight = checkpoint["state_dict"].get("projection.weight")
        if weight is not None and isinstance(self.projection, nn.Identity):
            self.projection = regressor_from_weight(weight)
        super().on_load_checkpoint(checkpoint)


def _shape(features: Tensor) -> Shape:
    return tuple(features.shape[1:])
