"""Compression of a generator: train a small generator to reproduce the samples of a large one (GAN-KD)."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Adam

from ganmc_lightning.batch import Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.generator_distillation import GeneratorDistillationLoss, squared_distance
from ganmc_lightning.losses.parts import loss_columns
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.modules.gan import check_generator, gan_adam, has_penalty, replace_unknown_labels
from ganmc_lightning.modules.optimizers import with_schedules
from ganmc_lightning.modules.student_check import check_separate, check_student
from ganmc_lightning.networks.base import Discriminator, Generator
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.training_data import check_classes, check_statistics, get_training_data
from ganmc_lightning.networks.validation import check_discriminator
from ganmc_lightning.networks.wrappers import unwrap

HELD_OUT_SEEDS = {"val": 1_000_003, "test": 2_000_003}
"""First seeds of the latents in validation and test, far enough apart that no two batches share a seed."""
MAX_PIXEL = 2.0
"""Largest absolute value of a teacher's images; outputs of 0..255 exceed it."""


class GANCompressionModule(CompressionModule):
    """Compression of a generator by distillation (GAN-KD, section 3.2).

    Teacher and student get the same latents. With ``alpha = 0`` (equation 3) the student is trained only on the
    teacher's samples and no data set is needed: use :class:`~ganmc_lightning.data.datasets.DataFreeSource`. With
    ``alpha > 0`` (equation 4) a discriminator also separates its images from real ones: each batch is one discriminator
    step, then one student step on the same images. ``max_steps`` counts student steps.

    The student is in training mode and normalizes with batch statistics, the teacher with its running statistics.
    Labels for a conditional student are uniform; with a discriminator, they are the shuffled labels of the batch, in
    which unknown labels are replaced by all classes in turn.

    ``val/mse`` is the mean squared error of the pixels. Its latents are equal in every validation and every run, so
    that it can select the best checkpoint.

    Args:
        teacher: trained generator, usually ``load_generator(path)``, or any module from latents (N, size) and, if
            conditional, labels (N,) to samples. It is frozen and not saved.
        student: generator to train.
        loss: image loss and weight of the GAN loss (default: only the mean squared error of the pixels).
        discriminator: network from samples to logits (N,), required for ``alpha > 0``; untrained, or from
            ``load_discriminator(path)``.
        optimizer: function from the student's parameters to an optimizer (default: Adam).
        lr_scheduler: function from the student's optimizer to a schedule, stepped once per epoch (default: none).
        discriminator_optimizer: function from parameters to an optimizer (default: Adam with lr 2e-4, beta1 0.5).

    Raises:
        ConfigurationError: teacher and student differ in latents, classes or samples, or only one of ``alpha`` and
            ``discriminator`` is set.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("ignore")
        >>> from lightning.pytorch import Trainer
        >>> from torch.utils.data import DataLoader
        >>> from ganmc_lightning.networks import DCGANGenerator
        >>> module = GANCompressionModule(DCGANGenerator(8, 1, 6, width=8), DCGANGenerator(8, 1, 6, width=2))
        >>> batch = Batch(torch.zeros(4, 0), torch.zeros(4), torch.zeros(4))  # only its size is used
        >>> loader = DataLoader([batch] * 3, batch_size=None)
        >>> trainer = Trainer(fast_dev_run=3, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False)
        >>> trainer.fit(module, loader, loader)
        >>> sorted(name for name in trainer.callback_metrics if "loss" in name)
        ['train/loss', 'train/loss_distance']
    """

    trained_module: ClassVar[str] = "student"
    prediction_name: ClassVar[str] = "samples"
    finite_metrics: ClassVar[tuple[str, ...]] = ("val/mse",)
    frozen_modules: ClassVar[tuple[str, ...]] = ("teacher", "loss")  # a perceptual loss contains a frozen network

    def __init__(
        self,
        teacher: nn.Module,
        student: Generator,
        loss: GeneratorDistillationLoss | None = None,
        discriminator: Discriminator | None = None,
        optimizer: OptimizerCallable = Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        discriminator_optimizer: OptimizerCallable | None = None,
    ) -> None:
        super().__init__()
        loss = GeneratorDistillationLoss() if loss is None else loss
        plain_teacher = unwrap(teacher)
        if isinstance(plain_teacher, Generator):
            _check_generators(plain_teacher, student)
        if loss.alpha > 0 and discriminator is None:
            raise ConfigurationError(
                f"model.loss.alpha is {loss.alpha} but model.discriminator is not set: add one, or set alpha to 0"
            )
        if discriminator is not None:
            if loss.alpha == 0:
                raise ConfigurationError(
                    "model.discriminator is set but model.loss.alpha is 0: remove the discriminator or set alpha > 0"
                )
            loss.adversarial_loss.validate_discriminator(discriminator)
        self.automatic_optimization = False
        self.teacher = Frozen(teacher)
        self.student = student
        self.loss = loss
        self.discriminator = discriminator
        self._optimizer = optimizer
        self._lr_scheduler = lr_scheduler
        self._discriminator_optimizer = discriminator_optimizer or gan_adam

    # -- validation of the data ----------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Validate teacher and student against each other and against the data."""
        # Lightning moves the networks to self.device after this hook.
        device = next(self.student.parameters()).device
        samples = _check_samples(self.teacher, self.student, self._seeded_latents(2, seed=0, device=device))
        if stage == "fit":
            check_student(self.teacher, self.student)
            check_separate("model.loss", self.loss, "model.student", self.student)
            if self.discriminator is not None:
                check_separate("model.loss", self.loss, "model.discriminator", self.discriminator)
            _check_distance(self.loss, samples)
        super().setup(stage)

    def validate_spec(self, spec: DataSpec) -> None:
        """Validate the networks against the data; only a discriminator requires real samples."""
        if not spec.has_samples:
            if self.discriminator is not None:
                raise ConfigurationError(
                    f"model.loss.alpha is {self.loss.alpha} and data.dataset has no samples, but the discriminator "
                    "needs real samples: use a data set, or set alpha to 0"
                )
            return
        # A conditional student uses the labels of the data only with a discriminator.
        classes = self.discriminator is not None and self.student.num_classes > 0
        check_generator("model.student", self.student, spec, classes)
        check_statistics("model.teacher", self.teacher, spec)
        if self.student.num_classes > 0:
            check_classes("model.teacher", self.teacher, spec)
        if self.discriminator is not None:
            check_discriminator("model.discriminator", self.discriminator, spec)

    @property
    def trained_on(self) -> DataSpec | None:
        """Description of the teacher's training data; if unknown, of the data of this run."""
        return get_training_data(self.teacher.network) or super().trained_on

    def example_inputs(self, spec: DataSpec) -> tuple[Tensor, ...]:
        """Return latents and, for a conditional student, a label for one sample."""
        return self._seeded_latents(1, seed=0, device=torch.device("cpu"))

    # -- training ------------------------------------------------------------------------------------------

    def forward(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """Return the student's samples (N, *sample_shape)."""
        samples: Tensor = self.student(latents, *labels)
        return samples

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Generate samples of teacher and student, update the discriminator if there is one, update the student."""
        optimizers = self.optimizers()
        student_optimizer = optimizers[0] if isinstance(optimizers, list) else optimizers
        latents = self._latents_for(batch)
        teacher_images = self.teacher(*latents)
        student_images = self.student(*latents)
        fake_logits, values = None, {}

        if self.discriminator is not None:
            assert isinstance(optimizers, list)
            loss = self.loss.adversarial_loss
            with self.toggled_optimizer(optimizers[1]):
                with parametrize.cached():  # one spectral normalization for all passes
                    real_logits = at_least_float32(self.discriminator(batch.inputs))
                    fake_logits = at_least_float32(self.discriminator(student_images.detach()))
                    penalty = loss.penalty(self.discriminator, batch.inputs, student_images.detach())
                discriminator_loss = loss.discriminator_loss(real_logits, fake_logits)
                total = discriminator_loss if penalty is None else discriminator_loss + penalty
                self.step(optimizers[1], total, counted=False)
                loss.after_discriminator_step(self.discriminator)
            values = {
                "loss_discriminator": discriminator_loss,
                "score_real": real_logits.mean(),
                "score_fake": fake_logits.mean(),
            }

        with self.toggled_optimizer(student_optimizer):
            if self.discriminator is not None:
                fake_logits = at_least_float32(self.discriminator(student_images))
            parts = self.loss(student_images, teacher_images, fake_logits)
            self.step(student_optimizer, parts.total)
        self.record(**loss_columns(parts), **values)

    def _latents_for(self, batch: Batch) -> tuple[Tensor, ...]:
        n = len(batch.labels)
        latents = self.student.sample_latents(n, self.device)
        if self.student.num_classes == 0:
            return (latents,)
        if self.discriminator is not None:  # other labels would reveal generated samples by their class distribution
            shuffled = batch.labels[torch.randperm(n, device=self.device)]
            return latents, replace_unknown_labels(shuffled, self.student.num_classes)
        return latents, torch.randint(self.student.num_classes, (n,), device=self.device)

    # -- evaluation ----------------------------------------------------------------------------------------

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val/mse`` over held-out latents."""
        self._record_mse("val", len(batch.labels), batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``test/mse`` over held-out latents that differ from those of validation."""
        self._record_mse("test", len(batch.labels), batch_idx)

    def _record_mse(self, stage: str, n: int, batch_idx: int) -> None:
        processes = self.trainer.world_size  # together, they use the latents of one process with larger batches
        latents = self._seeded_latents(n * processes, HELD_OUT_SEEDS[stage] + batch_idx, self.device)
        latents = tuple(tensor[self.global_rank :: processes] for tensor in latents)
        mse = squared_distance(self.student(*latents), self.teacher(*latents))
        self.record_samples({"mse": mse * n}, n, prog_bar=True)

    def _seeded_latents(self, n: int, seed: int, device: torch.device) -> tuple[Tensor, ...]:
        """Return latents and labels drawn on the CPU, so that they are equal on every device."""
        generator = torch.Generator().manual_seed(seed)
        latents = self.student.sample_latents(n, "cpu", generator).to(device, non_blocking=True)
        if self.student.num_classes == 0:
            return (latents,)
        labels = torch.randint(self.student.num_classes, (n,), generator=generator, device="cpu")
        return latents, labels.to(device, non_blocking=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return one student sample for each sample of the batch."""
        return self(*self._latents_for(batch))  # type: ignore[no-any-return]

    def compilable_networks(self) -> list[nn.Module]:
        """Return student, teacher and, without a gradient penalty, the discriminator."""
        networks = [self.student, self.teacher.network]
        if self.discriminator is not None and not has_penalty(self.loss.adversarial_loss):
            networks.append(self.discriminator)
        return networks

    def configure_optimizers(self) -> Any:
        """Return the optimizers of student and discriminator, and the student's schedule."""
        student = (self._optimizer(self.student.parameters()), self._lr_scheduler)
        if self.discriminator is None:
            return with_schedules(student)
        return with_schedules(student, (self._discriminator_optimizer(self.discriminator.parameters()), None))


def _check_generators(teacher: Generator, student: Generator) -> None:
    """Validate that both generators have the same latents, classes and sample shape."""
    for name in ("latent_dim", "latent_std", "num_classes", "sample_shape"):
        expected, actual = getattr(teacher, name), getattr(student, name)
        if expected != actual:
            raise ConfigurationError(f"model.student.{name}: got {actual}, expected {expected} as in model.teacher")


def _check_samples(teacher: nn.Module, student: Generator, latents: tuple[Tensor, ...]) -> Tensor:
    """Return the teacher's samples after checking their range, and that they have the shape of the student's."""
    shapes = "latents of shape " + " and labels of shape ".join(str(tuple(tensor.shape)) for tensor in latents)
    try:
        samples = teacher(*latents)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ConfigurationError(
            f"model.teacher does not accept the {shapes} of model.student: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(samples, Tensor):
        raise ConfigurationError(
            f"model.teacher returns a {type(samples).__name__}, expected one tensor of samples: wrap it in a module "
            "whose forward returns only the samples"
        )
    expected, actual = tuple(samples.shape[1:]), tuple(student.sample_shape)
    if expected != actual:
        raise ConfigurationError(
            f"model.student: got samples of shape {actual}, expected {expected} as in model.teacher"
        )
    _check_image_range(samples)
    return samples


def _check_image_range(samples: Tensor) -> None:
    """Validate that images (N, C, H, W) are in [-1, 1]; those of generators without tanh may be slightly outside."""
    if samples.dim() != 4:
        return
    low, high = (value.item() for value in samples.aminmax())
    message = f"model.teacher: got images in [{low:.4g}, {high:.4g}], expected [-1, 1]"
    if not max(-low, high) <= MAX_PIXEL:  # also for NaN
        raise ConfigurationError(f"{message}; wrap it in a module whose forward rescales them")
    if 0 <= low < high:
        warnings.warn(
            f"{message}; if they are in [0, 1], wrap it in a module whose forward returns 2 * images - 1", stacklevel=2
        )


def _check_distance(loss: GeneratorDistillationLoss, samples: Tensor) -> None:
    """Validate that the networks of an image loss accept the samples."""
    try:
        loss.distance(samples, samples)
    except ConfigurationError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ConfigurationError(
            f"model.loss.distance ({type(loss.distance).__name__}) does not accept samples of shape "
            f"{tuple(samples.shape[1:])}: {str(error).splitlines()[0]}"
        ) from error
