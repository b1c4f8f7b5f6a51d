"""Training of an unconditional GAN, e.g. the teacher or a baseline of generator compression."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Adam, Optimizer

from ganmc_lightning.batch import UNKNOWN_LABEL, Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.gan import GANLoss, NonSaturatingGANLoss
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.networks.base import Discriminator, Generator
from ganmc_lightning.networks.validation import check_discriminator


def gan_adam(parameters: Any) -> Optimizer:
    """Return Adam with the settings of Radford et al. 2016 and GAN-MC: lr 2e-4, beta1 0.5."""
    return Adam(parameters, lr=2e-4, betas=(0.5, 0.999))


def has_penalty(loss: GANLoss) -> bool:
    """Return whether a GAN loss adds a penalty, which may contain derivatives of the discriminator."""
    return type(loss).penalty is not GANLoss.penalty


def check_generator(name: str, generator: Generator, spec: DataSpec, classes: bool) -> None:
    """Validate a generator against the data.

    Args:
        name: key of the generator in the configuration, e.g. ``"model.generator"``.
        generator: generator to validate.
        spec: shape of one sample and number of classes of the data.
        classes: whether to also compare the number of classes.

    Raises:
        ConfigurationError: the generator's sample shape or number of classes differs from the data's.
    """
    actual, expected = tuple(generator.sample_shape), tuple(spec.sample_shape)
    if actual != expected:
        raise ConfigurationError(f"{name}: got samples of shape {actual}, expected {expected} as in the data")
    if classes and generator.num_classes != spec.num_classes:
        raise ConfigurationError(
            f"{name}: got {generator.num_classes} classes, expected {spec.num_classes} as in the data"
        )


def replace_unknown_labels(labels: Tensor, num_classes: int) -> Tensor:
    """Replace unknown labels by all classes in turn, so that a generator can be conditioned on them.

    Args:
        labels: int64 (N,), :data:`~ganmc_lightning.batch.UNKNOWN_LABEL` where unknown; in random order.
        num_classes: number of classes.

    Example:
        >>> replace_unknown_labels(torch.tensor([-1, 2, -1, -1]), num_classes=3)
        tensor([0, 2, 2, 0])
    """
    classes = torch.arange(len(labels), device=labels.device) % num_classes
    return torch.where(labels == UNKNOWN_LABEL, classes, labels)


class GANModule(CompressionModule):
    """Training of an unconditional GAN: DCGAN, WGAN or WGAN-GP, depending on the loss.

    Each batch is one discriminator step. Every ``n_critic``-th batch is also one generator step, on the same samples
    and with the updated discriminator. ``trainer/iteration`` counts batches, ``max_steps`` counts generator steps:
    ``max_steps: 1000`` with ``n_critic: 5`` trains on 5,000 batches.

    | | loss | n_critic | optimizers | discriminator |
    |---|---|---|---|---|
    | DCGAN | ``NonSaturatingGANLoss`` | 1 | Adam, lr 2e-4, beta1 0.5 | batch normalization |
    | WGAN | ``WassersteinGANLoss`` | 5 | RMSprop, lr 5e-5 | no normalization |
    | WGAN-GP | ``WassersteinGPLoss`` | 5 | Adam, lr 1e-4, betas 0 and 0.9 | no normalization |

    Args:
        generator: unconditional generator, from latents to samples.
        discriminator: network from samples (N, ...) to logits (N,), high for real samples.
        loss: GAN loss (default: :class:`~ganmc_lightning.losses.NonSaturatingGANLoss`).
        n_critic: number of batches, and discriminator steps, per generator step (default: 1).
        generator_optimizer: function from parameters to an optimizer (default: Adam with lr 2e-4, beta1 0.5).
        discriminator_optimizer: function from parameters to an optimizer (default: Adam with lr 2e-4, beta1 0.5).

    Raises:
        ConfigurationError: the generator is conditional, ``n_critic`` is not positive, or the loss does not support the
            discriminator.

    Example:
        >>> import warnings
        >>> warnings.simplefilter("ignore")
        >>> from lightning.pytorch import Trainer
        >>> from torch.utils.data import DataLoader
        >>> from ganmc_lightning.networks import DCGANDiscriminator, DCGANGenerator
        >>> generator, discriminator = DCGANGenerator(8, 1, 6, 4), DCGANDiscriminator(8, 1, width=4)
        >>> module = GANModule(generator, discriminator, n_critic=3)
        >>> batch = Batch(torch.zeros(2, 1, 8, 8), torch.zeros(2), torch.zeros(2))
        >>> loader = DataLoader([batch] * 7, batch_size=None)
        >>> trainer = Trainer(fast_dev_run=7, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False)
        >>> trainer.fit(module, loader, loader)
        >>> module.iteration, trainer.global_step
        (7, 2)
    """

    trained_module: ClassVar[str] = "generator"
    prediction_name: ClassVar[str] = "samples"
    finite_metrics: ClassVar[tuple[str, ...]] = ("val/score_real",)

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        loss: GANLoss | None = None,
        n_critic: int = 1,
        generator_optimizer: OptimizerCallable | None = None,
        discriminator_optimizer: OptimizerCallable | None = None,
    ) -> None:
        super().__init__()
        if generator.num_classes > 0:
            raise ConfigurationError(
                "model.generator: got a conditional generator, expected an unconditional one; use ACGANModule"
            )
        if n_critic < 1:
            raise ConfigurationError(f"model.n_critic: got {n_critic}, expected 1 or more")
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.loss = NonSaturatingGANLoss() if loss is None else loss
        self.loss.validate_discriminator(discriminator)
        self.n_critic = n_critic
        self._generator_optimizer = generator_optimizer or gan_adam
        self._discriminator_optimizer = discriminator_optimizer or gan_adam

    def validate_spec(self, spec: DataSpec) -> None:
        """Validate the generator's samples and the discriminator's inputs and logits."""
        check_generator("model.generator", self.generator, spec, classes=False)
        check_discriminator("model.discriminator", self.discriminator, spec)

    def example_inputs(self, spec: DataSpec) -> tuple[Tensor, ...]:
        """Return latents of one sample."""
        return (self.generator.sample_latents(1, "cpu"),)

    def forward(self, latents: Tensor) -> Tensor:
        """Return generated samples (N, *sample_shape)."""
        samples: Tensor = self.generator(latents)
        return samples

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Generate samples, update the discriminator, update the generator every ``n_critic`` batches, log."""
        generator_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        update_generator = self.iteration % self.n_critic == 0
        latents = self.generator.sample_latents(len(batch.inputs), self.device)
        with torch.set_grad_enabled(update_generator):
            fakes = self.generator(latents)

        with self.toggled_optimizer(discriminator_optimizer):
            with parametrize.cached():  # one spectral normalization for all passes
                real_logits = at_least_float32(self.discriminator(batch.inputs))
                fake_logits = at_least_float32(self.discriminator(fakes.detach()))
                penalty = self.loss.penalty(self.discriminator, batch.inputs, fakes.detach())
            discriminator_loss = self.loss.discriminator_loss(real_logits, fake_logits)
            total = discriminator_loss if penalty is None else discriminator_loss + penalty
            self.step(discriminator_optimizer, total, counted=False)
            self.loss.after_discriminator_step(self.discriminator)

        values = {
            "loss_discriminator": discriminator_loss,
            "score_real": real_logits.mean(),
            "score_fake": fake_logits.mean(),
        }
        if penalty is not None:
            values["penalty"] = penalty
        if update_generator:
            with self.toggled_optimizer(generator_optimizer):
                generator_loss = self.loss.generator_loss(at_least_float32(self.discriminator(fakes)))
                self.step(generator_optimizer, generator_loss)
            values["loss_generator"] = generator_loss
        self.record(**values)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log ``val/score_real``, the mean logit of held-out real samples; low values indicate overfitting."""
        score = at_least_float32(self.discriminator(batch.inputs)).sum()
        self.record_samples({"score_real": score}, len(batch.inputs))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return one generated sample for each sample of the batch."""
        return self(self.generator.sample_latents(len(batch.inputs), self.device))  # type: ignore[no-any-return]

    def compilable_networks(self) -> list[nn.Module]:
        """Return the generator and, without a gradient penalty, the discriminator."""
        return [self.generator] if has_penalty(self.loss) else [self.generator, self.discriminator]

    def configure_optimizers(self) -> list[Optimizer]:
        """Return the generator's optimizer, then the discriminator's."""
        return [
            self._generator_optimizer(self.generator.parameters()),
            self._discriminator_optimizer(self.discriminator.parameters()),
        ]
