"""Train an unconditional GAN: the teachers, and the controls, of generator compression."""

from __future__ import annotations

from typing import ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from ganmc_lightning.batch import Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.gan import GANLoss, NonSaturatingGANLoss
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.acgan import gan_adam
from ganmc_lightning.modules.base import CompressionModule, check_equal
from ganmc_lightning.modules.sample_means import log_sample_means
from ganmc_lightning.modules.uncounted import uncounted_step
from ganmc_lightning.networks.base import Discriminator, Generator
from ganmc_lightning.networks.validation import check_discriminator


class GANModule(CompressionModule):
    """The two-player game without classes: DCGAN, WGAN or WGAN-GP, as the loss says.

    Each batch is one step of the discriminator; every ``n_critic``-th batch is also one of the generator, on the
    same samples and the discriminator's new weights. ``trainer/iteration`` counts batches. ``max_steps`` counts
    updates of the generator, so that ``max_steps: 1000`` with ``n_critic: 5`` takes 5,000 batches.

    | | loss | n_critic | optimizers | discriminator |
    |---|---|---|---|---|
    | DCGAN | ``NonSaturatingGANLoss`` | 1 | Adam, lr 2e-4, beta1 0.5 | batch normalization |
    | WGAN | ``WassersteinGANLoss`` | 5 | RMSprop, lr 5e-5 | no normalization |
    | WGAN-GP | ``WassersteinGPLoss`` | 5 | Adam, lr 1e-4, betas 0 and 0.9 | no normalization |

    With several processes use the strategy ``ddp_find_unused_parameters_true``.

    Args:
        generator: from noise to samples.
        discriminator: answers with one logit, high for real.
        loss: the game; DCGAN's when left out.
        n_critic: batches, and steps of the discriminator, for each step of the generator.
        generator_optimizer: Adam with lr 2e-4 and beta1 0.5 when left out.
        discriminator_optimizer: the same.

    Raises:
        ConfigurationError: the generator is conditional, ``n_critic`` is not positive, or the loss cannot train the
            discriminator.
    """

    product: ClassVar[str] = "generator"
    prediction: ClassVar[str] = "samples"
    finite_scores: ClassVar[tuple[str, ...]] = ("val/score_real",)

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
            raise ConfigurationError("model.generator is conditional on classes: train it by ACGANModule")
        if n_critic < 1:
            raise ConfigurationError(f"model.n_critic must be at least 1, got {n_critic}")
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.loss = NonSaturatingGANLoss() if loss is None else loss
        self.loss.check(discriminator)
        self.n_critic = n_critic
        self._generator_optimizer = generator_optimizer or gan_adam
        self._discriminator_optimizer = discriminator_optimizer or gan_adam

    def check_spec(self, spec: DataSpec) -> None:
        """The generator must make the data's kind of sample, the discriminator must take it."""
        check_equal("generator", tuple(self.generator.sample_shape), tuple(spec.sample_shape), "samples of shape")
        check_discriminator("model.discriminator", self.discriminator, spec)

    def example_inputs(self, spec: DataSpec) -> tuple[Tensor, ...]:
        """Noise of one sample."""
        return (self.generator.sample_latents(1, "cpu"),)

    def forward(self, latents: Tensor) -> Tensor:
        """Return generated samples (N, *sample_shape)."""
        samples: Tensor = self.generator(latents)
        return samples

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Draw, discriminator step, in its turn a generator step, log."""
        generator_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        generators_turn = self.iteration % self.n_critic == 0
        latents = self.generator.sample_latents(len(batch.inputs), self.device)
        with torch.set_grad_enabled(generators_turn):
            fakes = self.generator(latents)

        self.toggle_optimizer(discriminator_optimizer)
        with parametrize.cached():  # one spectral normalization serves both passes
            real_logits = at_least_float32(self.discriminator(batch.inputs))
            fake_logits = at_least_float32(self.discriminator(fakes.detach()))
        discriminator_loss = self.loss.discriminator_loss(real_logits, fake_logits)
        penalty = self.loss.penalty(self.discriminator, batch.inputs, fakes.detach())
        discriminator_optimizer.zero_grad()
        self.manual_backward(discriminator_loss if penalty is None else discriminator_loss + penalty)
        uncounted_step(discriminator_optimizer)
        self.loss.after_discriminator_step(self.discriminator)
        self.untoggle_optimizer(discriminator_optimizer)

        if generators_turn:
            self.toggle_optimizer(generator_optimizer)
            generator_loss = self.loss.generator_loss(at_least_float32(self.discriminator(fakes)))
            generator_optimizer.zero_grad()
            self.manual_backward(generator_loss)
            generator_optimizer.step()
            self.untoggle_optimizer(generator_optimizer)
            self.record(loss_generator=generator_loss)

        self.record(
            loss_discriminator=discriminator_loss,
            score_real=real_logits.mean(),
            score_fake=fake_logits.mean(),
        )
        if penalty is not None:
            self.record(penalty=penalty)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the verdict on real samples it has not seen: far below ``train/score_real``, it overfits."""
        verdict = at_least_float32(self.discriminator(batch.inputs)).mean()
        log_sample_means(self, {"val/score_real": verdict}, len(batch.inputs))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return as many generated samples as the batch has real ones."""
        return self(self.generator.sample_latents(len(batch.inputs), self.device))  # type: ignore[no-any-return]

    def configure_optimizers(self) -> list[Optimizer]:
        """The generator's optimizer, then the discriminator's."""
        return [
            self._generator_optimizer(self.generator.parameters()),
            self._discriminator_optimizer(self.discriminator.parameters()),
        ]
