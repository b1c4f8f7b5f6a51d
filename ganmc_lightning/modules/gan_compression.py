"""Train a small generator to make what a large one makes of the same noise (GAN-KD)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Adam

from ganmc_lightning.batch import Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.generator_distillation import GeneratorDistillationLoss, squared_distance
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.acgan import gan_adam
from ganmc_lightning.modules.base import CompressionModule, check_equal
from ganmc_lightning.modules.sample_means import log_sample_means
from ganmc_lightning.modules.uncounted import uncounted_step
from ganmc_lightning.networks.base import Discriminator, Generator
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.training_data import check_classes, check_statistics, training_data_of
from ganmc_lightning.networks.validation import check_discriminator

HELD_OUT_SEEDS = {"val": 1_000_003, "test": 2_000_003}


class GANCompressionModule(CompressionModule):
    """Compression of a generator by distillation (GAN-KD, section 3.2).

    Teacher and student see the same noise. With ``alpha = 0`` (equation 3) the student learns from the teacher
    alone and no data set is needed: train on :class:`~ganmc_lightning.data.datasets.DataFreeSource`. With any other
    ``alpha`` (equation 4) a discriminator compares its images with real ones besides: each batch is one step of
    the discriminator, then one of the student on the same images. ``max_steps`` counts the student's steps.

    The student learns in training mode, on the statistics of each batch; the teacher's never move. A conditional
    student learns all classes in equal shares, or, where there is a discriminator, in the shares of the data.

    ``val/mse`` is the mean squared pixel over noise that is the same at every validation and in every run; the
    best checkpoint may be chosen by it.

    Args:
        teacher: a trained generator, usually ``load_generator(path)``, or any module from noise (N, size)
            and, when conditional, classes (N,) to samples. It is frozen here and never enters the checkpoint.
        student: the generator to train.
        loss: distance, and weight of the game; mean squared pixels alone when left out.
        discriminator: for ``alpha > 0``; of any width, fresh or from ``load_discriminator(path)``.
        optimizer: makes the optimizer from the student's parameters.
        lr_scheduler: makes the student's schedule, stepped once an epoch, from the optimizer.
        discriminator_optimizer: Adam with lr 2e-4 and beta1 0.5 when left out.

    Raises:
        ConfigurationError: teacher and student differ in noise, classes or samples, or loss and discriminator do not go
            together.
    """

    product: ClassVar[str] = "student"
    prediction: ClassVar[str] = "samples"
    finite_scores: ClassVar[tuple[str, ...]] = ("val/mse",)
    frozen_modules: ClassVar[tuple[str, ...]] = ("teacher", "loss")  # a loss may measure by a network of its own

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
        if isinstance(teacher, Generator):
            _check_generators(teacher, student)
        if loss.alpha > 0 and discriminator is None:
            raise ConfigurationError(
                f"model.loss.alpha is {loss.alpha} but model.discriminator is missing: name one, or set alpha to 0"
            )
        if discriminator is not None:
            if loss.alpha == 0:
                raise ConfigurationError(
                    "model.discriminator has no part in a loss with alpha 0: leave it out, or set alpha"
                )
            loss.game.check(discriminator)
        self.automatic_optimization = False
        self.teacher = Frozen(teacher)
        self.student = student
        self.loss = loss
        self.discriminator = discriminator
        self._optimizer = optimizer
        self._lr_scheduler = lr_scheduler
        self._discriminator_optimizer = discriminator_optimizer or gan_adam

    def setup(self, stage: str) -> None:
        """Hold teacher and student against each other and both against the data."""
        _check_answers(self.teacher, self.student, self._draw(2, torch.Generator().manual_seed(0)))
        super().setup(stage)

    def check_spec(self, spec: DataSpec) -> None:
        """Real samples are needed by the discriminator alone; where there are some, the student makes their kind."""
        if not spec.has_samples:
            if self.discriminator is not None:
                raise ConfigurationError(
                    f"model.loss.alpha is {self.loss.alpha}: the discriminator needs real samples; name a data set in "
                    "data.source, or set alpha to 0"
                )
            return
        check_equal("student", tuple(self.student.sample_shape), tuple(spec.sample_shape), "samples of shape")
        check_statistics("model.teacher", self.teacher, spec)
        if self.student.num_classes > 0:
            check_classes("model.teacher", self.teacher, spec)
        if self.discriminator is not None:
            if self.student.num_classes not in (0, spec.num_classes):
                check_equal("student", self.student.num_classes, spec.num_classes, "a number of classes of")
            check_discriminator("model.discriminator", self.discriminator, spec)

    @property
    def trained_on(self) -> DataSpec | None:
        """What the teacher was trained on, whose samples the student learns to make, or else the data."""
        return training_data_of(self.teacher.network) or super().trained_on

    def example_inputs(self, spec: DataSpec) -> tuple[Tensor, ...]:
        """Noise, and a class where there are classes, of one sample."""
        return self._draw(1, torch.Generator())

    def forward(self, latents: Tensor, *labels: Tensor) -> Tensor:
        """Return the student's samples (N, *sample_shape)."""
        samples: Tensor = self.student(latents, *labels)
        return samples

    # -- training ------------------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Draw; the teacher shows, the student follows; in the joint form the discriminator steps before it."""
        drawn = self._draw_for(batch)
        due = self.teacher(*drawn)
        images = self.student(*drawn)
        distance = self.loss.distance(images, due)
        if self.discriminator is not None:
            self._joint_steps(self.discriminator, batch.inputs, images, distance)
            return
        optimizer = self.optimizers()
        optimizer.zero_grad()  # type: ignore[union-attr]
        self.manual_backward(distance)
        optimizer.step()  # type: ignore[union-attr]
        self.record(loss=distance)

    def _joint_steps(self, discriminator: Discriminator, real: Tensor, images: Tensor, distance: Tensor) -> None:
        optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        game = self.loss.game

        self.toggle_optimizer(discriminator_optimizer)
        with parametrize.cached():  # one spectral normalization serves both passes
            real_logits = at_least_float32(discriminator(real))
            fake_logits = at_least_float32(discriminator(images.detach()))
        discriminator_loss = game.discriminator_loss(real_logits, fake_logits)
        penalty = game.penalty(discriminator, real, images.detach())
        discriminator_optimizer.zero_grad()
        self.manual_backward(discriminator_loss if penalty is None else discriminator_loss + penalty)
        uncounted_step(discriminator_optimizer)
        game.after_discriminator_step(discriminator)
        self.untoggle_optimizer(discriminator_optimizer)

        self.toggle_optimizer(optimizer)
        loss = self.loss.student(distance, at_least_float32(discriminator(images)))
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)

        self.record(
            loss=loss,
            distance=distance,
            loss_discriminator=discriminator_loss,
            score_real=real_logits.mean(),
            score_fake=fake_logits.mean(),
        )

    def _draw_for(self, batch: Batch) -> tuple[Tensor, ...]:
        n = len(batch.labels)
        latents = self.student.sample_latents(n, self.device)
        if self.student.num_classes == 0:
            return (latents,)
        if self.discriminator is not None:  # it must not tell real from generated by the classes' shares
            return latents, batch.labels[torch.randperm(n, device=self.device)]
        return latents, torch.randint(self.student.num_classes, (n,), device=self.device)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means and step the student's schedule."""
        super().on_train_epoch_end()
        scheduler = self.lr_schedulers()
        if scheduler is not None:
            scheduler.step()  # type: ignore[union-attr]

    # -- scores --------------------------------------------------------------------------------------------

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val/mse`` over held-out noise."""
        self._log_mse("val", len(batch.labels), batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``test/mse`` over other held-out noise."""
        self._log_mse("test", len(batch.labels), batch_idx)

    def _log_mse(self, stage: str, n: int, batch_idx: int) -> None:
        place = batch_idx * self.trainer.world_size + self.global_rank
        drawn = self._draw(n, torch.Generator().manual_seed(HELD_OUT_SEEDS[stage] + place))
        mse = squared_distance(self.student(*drawn), self.teacher(*drawn))
        log_sample_means(self, {f"{stage}/mse": mse}, n, prog_bar=True)

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Noise and classes from a generator of the CPU: the same on every device."""
        latents = self.student.sample_latents(n, "cpu", generator).to(self.device)
        if self.student.num_classes == 0:
            return (latents,)
        return latents, torch.randint(self.student.num_classes, (n,), generator=generator).to(self.device)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return as many of the student's samples as there are samples in the batch."""
        return self(*self._draw_for(batch))  # type: ignore[no-any-return]

    def configure_optimizers(self) -> Any:
        """The student's optimizer, then the discriminator's; the student's schedule."""
        optimizer = self._optimizer(self.student.parameters())
        optimizers = [optimizer]
        if self.discriminator is not None:
            optimizers.append(self._discriminator_optimizer(self.discriminator.parameters()))
        return optimizers, [] if self._lr_scheduler is None else [self._lr_scheduler(optimizer)]


def _check_generators(teacher: Generator, student: Generator) -> None:
    """Raise :class:`ConfigurationError` unless both make the same kind of sample from the same kind of noise."""
    for name in ("latent_size", "latent_std", "num_classes", "sample_shape"):
        due, got = getattr(teacher, name), getattr(student, name)
        if due != got:
            raise ConfigurationError(
                f"model.student has {name} {got}, model.teacher {due}: build the student with the latter"
            )


def _check_answers(teacher: nn.Module, student: Generator, drawn: tuple[Tensor, ...]) -> None:
    """Raise :class:`ConfigurationError` unless teacher and student map the same latents to the same shape."""
    shapes = "noise of shape " + " and classes of shape ".join(str(tuple(part.shape)) for part in drawn)
    try:
        due = teacher(*drawn)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ConfigurationError(
            f"model.teacher does not take the {shapes} that model.student is made for: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(due, Tensor):
        raise ConfigurationError(
            f"model.teacher returns a {type(due).__name__} where one tensor of samples is expected: wrap it in a "
            "module whose forward returns the samples alone"
        )
    made, wanted = tuple(due.shape[1:]), tuple(student.sample_shape)
    if made != wanted:
        raise ConfigurationError(f"model.student makes samples of shape {wanted}, model.teacher of shape {made}")
