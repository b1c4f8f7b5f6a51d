"""Training of an AC-GAN (Odena et al. 2017), which generates GAN-MC's synthetic samples."""

from __future__ import annotations

from typing import ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from ganmc_lightning.batch import UNKNOWN_LABEL, Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.acgan import ACGANLoss
from ganmc_lightning.losses.parts import loss_columns
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.modules.gan import check_generator, gan_adam, has_penalty, replace_unknown_labels
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Generator
from ganmc_lightning.networks.validation import check_logits, dry_run


class ACGANModule(CompressionModule):
    """Training of an AC-GAN on images or rows (Odena et al. 2017; GAN-MC, section 2.3).

    Each iteration generates one batch of samples for the shuffled labels of the real batch, so that generated and real
    samples have equal class distributions; unknown labels are replaced by all classes in turn, and the loss of the real
    samples ignores them. The discriminator is updated on the detached samples, then the generator on
    the same samples with the updated discriminator. One iteration counts as one step of ``max_steps``.

    Args:
        generator: class-conditional generator.
        discriminator: network from samples (N, ...) to source logits (N,) and class logits (N, K).
        loss: AC-GAN loss (default: :class:`~ganmc_lightning.losses.ACGANLoss`).
        generator_optimizer: function from parameters to an optimizer (default: Adam with lr 2e-4, beta1 0.5).
        discriminator_optimizer: function from parameters to an optimizer (default: Adam with lr 2e-4, beta1 0.5).

    Raises:
        ConfigurationError: the generator is unconditional, or the loss does not support the discriminator.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("ignore")
        >>> from lightning.pytorch import Trainer
        >>> from torch.utils.data import DataLoader
        >>> from ganmc_lightning.networks import TabularDiscriminator, TabularGenerator
        >>> module = ACGANModule(TabularGenerator(4, num_classes=2), TabularDiscriminator(4, num_classes=2))
        >>> batch = Batch(torch.zeros(6, 4), torch.tensor([0, 1, 0, 1, 0, 1]), torch.zeros(6, dtype=torch.bool))
        >>> loader = DataLoader([batch] * 3, batch_size=None)
        >>> trainer = Trainer(fast_dev_run=3, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False)
        >>> trainer.fit(module, loader, loader)
        >>> trainer.global_step, bool(trainer.callback_metrics["train/loss_generator"] > 0)
        (3, True)
    """

    trained_module: ClassVar[str] = "generator"
    prediction_name: ClassVar[str] = "samples"

    def __init__(
        self,
        generator: Generator,
        discriminator: ClassConditionalDiscriminator,
        loss: ACGANLoss | None = None,
        generator_optimizer: OptimizerCallable | None = None,
        discriminator_optimizer: OptimizerCallable | None = None,
    ) -> None:
        super().__init__()
        if generator.num_classes < 1:
            raise ConfigurationError("model.generator: got an unconditional generator, expected num_classes >= 1")
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.loss = ACGANLoss() if loss is None else loss
        self.loss.validate_discriminator(discriminator)
        self._generator_optimizer = generator_optimizer or gan_adam
        self._discriminator_optimizer = discriminator_optimizer or gan_adam

    def validate_spec(self, spec: DataSpec) -> None:
        """Validate the generator's samples and the discriminator's inputs and logits."""
        check_generator("model.generator", self.generator, spec, classes=True)
        name = "model.discriminator"
        logits = dry_run(name, self.discriminator, spec)
        if not isinstance(logits, tuple) or len(logits) != 2:
            raise ConfigurationError(
                f"{name} ({type(self.discriminator).__name__}) returns a {type(logits).__name__}, expected a tuple of "
                "source logits (N,) and class logits (N, K)"
            )
        check_logits(name, self.discriminator, logits[1], spec)

    def example_inputs(self, spec: DataSpec) -> tuple[Tensor, ...]:
        """Return latents and a label for one sample."""
        return self.generator.sample_latents(1, "cpu"), torch.zeros(1, dtype=torch.long)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Return generated samples (N, *sample_shape)."""
        samples: Tensor = self.generator(latents, labels)
        return samples

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Generate samples, update the discriminator, update the generator, log."""
        generator_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        shuffled = batch.labels[torch.randperm(len(batch.labels), device=self.device)]
        fake_labels = replace_unknown_labels(shuffled, self.generator.num_classes)
        latents = self.generator.sample_latents(len(batch.labels), self.device)
        fakes = self.generator(latents, fake_labels)

        with self.toggled_optimizer(discriminator_optimizer):
            with parametrize.cached():  # one spectral normalization for all passes
                real_logits = self._logits(batch.inputs)
                fake_logits = self._logits(fakes.detach())
                penalty = self.loss.penalty(self.discriminator, batch.inputs, fakes.detach(), self.iteration)
            discriminator_loss = self.loss.discriminator_loss(real_logits, fake_logits, batch.labels, fake_labels)
            total = discriminator_loss.total if penalty is None else discriminator_loss.total + penalty
            self.step(discriminator_optimizer, total, counted=False)
            self.loss.after_discriminator_step(self.discriminator)

        with self.toggled_optimizer(generator_optimizer):
            generator_loss = self.loss.generator_loss(self._logits(fakes), fake_labels)
            self.step(generator_optimizer, generator_loss.total)

        with torch.no_grad():
            correct, known = real_logits[1].argmax(dim=1) == batch.labels, batch.labels != UNKNOWN_LABEL
            self.record(
                **loss_columns(discriminator_loss, "loss_discriminator"),
                **loss_columns(generator_loss, "loss_generator"),
                discriminator_accuracy_real=(real_logits[0] > 0).float().mean(),
                discriminator_accuracy_fake=(fake_logits[0] <= 0).float().mean(),
                class_accuracy_real=correct.sum() / known.sum().clamp(min=1),
                class_accuracy_fake=(fake_logits[1].argmax(dim=1) == fake_labels).float().mean(),
                **({} if penalty is None else {"penalty": penalty}),
            )

    def _logits(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        source, classes = self.discriminator(samples)
        return at_least_float32(source), at_least_float32(classes)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the discriminator's accuracies on held-out real samples; a decrease indicates overfitting."""
        source, classes = self.discriminator(batch.inputs)
        correct = {
            "discriminator_accuracy_real": (source > 0).sum(),
            "class_accuracy_real": (classes.argmax(dim=1) == batch.labels).sum(),
        }
        self.record_samples(correct, len(batch.labels))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return one generated sample for each label of the batch."""
        latents = self.generator.sample_latents(len(batch.labels), self.device)
        return self(latents, replace_unknown_labels(batch.labels, self.generator.num_classes))  # type: ignore[no-any-return]

    def compilable_networks(self) -> list[nn.Module]:
        """Return the generator and, without a gradient penalty, the discriminator."""
        penalty = self.loss.r1_weight > 0 or has_penalty(self.loss.adversarial)
        return [self.generator] if penalty else [self.generator, self.discriminator]

    def configure_optimizers(self) -> list[Optimizer]:
        """Return the generator's optimizer, then the discriminator's."""
        return [
            self._generator_optimizer(self.generator.parameters()),
            self._discriminator_optimizer(self.discriminator.parameters()),
        ]
