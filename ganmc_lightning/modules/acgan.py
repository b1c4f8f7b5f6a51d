"""Train an AC-GAN, the source of GAN-MC's synthetic samples."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn.utils import parametrize
from torch.optim import Adam, Optimizer

from ganmc_lightning.batch import Batch, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.acgan import ACGANLoss, NonSaturatingACGANLoss
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.modules.base import CompressionModule, check_equal
from ganmc_lightning.modules.sample_means import log_sample_means
from ganmc_lightning.modules.uncounted import uncounted_step
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Generator
from ganmc_lightning.networks.validation import check_logits, dry_run


def gan_adam(parameters: Any) -> Optimizer:
    """Adam as Radford et al. and the paper set it: lr 2e-4, beta1 0.5."""
    return Adam(parameters, lr=2e-4, betas=(0.5, 0.999))


class ACGANModule(CompressionModule):
    """The two-player game of Odena et al. 2017 (GAN-MC, section 2.3), on images or rows.

    Each iteration draws one batch of samples for the classes of the real batch in random order, so that classes
    follow the distribution of the real data; the discriminator learns on the detached samples, then the
    generator on the same samples and the discriminator's new weights. One iteration counts as one step, so
    that ``max_steps`` means generator updates.

    With several processes use the strategy ``ddp_find_unused_parameters_true``: each player's step leaves the
    other's parameters without a gradient.

    Args:
        generator: conditional on the class.
        discriminator: answers with source and class logits.
        loss: the objective, with the weights of its class and source parts.
        generator_optimizer: Adam with lr 2e-4 and beta1 0.5 when left out.
        discriminator_optimizer: the same.

    Raises:
        ConfigurationError: the generator is unconditional, or the loss cannot train the discriminator.
    """

    product: ClassVar[str] = "generator"
    prediction: ClassVar[str] = "samples"

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
            raise ConfigurationError("model.generator is unconditional: an AC-GAN needs one with num_classes > 0")
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.loss = NonSaturatingACGANLoss() if loss is None else loss
        self.loss.check(discriminator)
        self._generator_optimizer = generator_optimizer or gan_adam
        self._discriminator_optimizer = discriminator_optimizer or gan_adam

    def check_spec(self, spec: DataSpec) -> None:
        """The generator must make the data's kind of sample, the discriminator must take it."""
        check_equal("generator", tuple(self.generator.sample_shape), tuple(spec.sample_shape), "samples of shape")
        check_equal("generator", self.generator.num_classes, spec.num_classes, "a number of classes of")
        name = "model.discriminator"
        answer = dry_run(name, self.discriminator, spec)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise ConfigurationError(
                f"{name} ({type(self.discriminator).__name__}) returns a {type(answer).__name__} where a tuple of "
                "source logits (N,) and class logits (N, K) is expected"
            )
        check_logits(name, self.discriminator, answer[1], spec)

    def example_inputs(self, spec: DataSpec) -> tuple[Tensor, ...]:
        """Noise and class of one sample."""
        return self.generator.sample_latents(1, "cpu"), torch.zeros(1, dtype=torch.long)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Return generated samples (N, *sample_shape)."""
        samples: Tensor = self.generator(latents, labels)
        return samples

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Draw, discriminator step, generator step, log."""
        generator_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        fake_labels = batch.labels[torch.randperm(len(batch.labels), device=self.device)]
        latents = self.generator.sample_latents(len(batch.labels), self.device)
        fakes = self.generator(latents, fake_labels)

        self.toggle_optimizer(discriminator_optimizer)
        with parametrize.cached():  # one spectral normalization serves both passes
            real_logits = self._verdict(batch.inputs)
            fake_logits = self._verdict(fakes.detach())
        discriminator_loss = self.loss.discriminator(real_logits, fake_logits, batch.labels, fake_labels)
        penalty = self.loss.penalty(self.discriminator, batch.inputs, self.iteration)
        discriminator_optimizer.zero_grad()
        self.manual_backward(discriminator_loss if penalty is None else discriminator_loss + penalty)
        uncounted_step(discriminator_optimizer)
        self.untoggle_optimizer(discriminator_optimizer)

        self.toggle_optimizer(generator_optimizer)
        generator_loss = self.loss.generator(self._verdict(fakes), fake_labels)
        generator_optimizer.zero_grad()
        self.manual_backward(generator_loss)
        generator_optimizer.step()
        self.untoggle_optimizer(generator_optimizer)

        with torch.no_grad():
            self.record(
                loss_discriminator=discriminator_loss,
                loss_generator=generator_loss,
                discriminator_accuracy_real=(real_logits[0] > 0).float().mean(),
                judged_real_fake=(fake_logits[0] > 0).float().mean(),
                class_accuracy_real=(real_logits[1].argmax(dim=1) == batch.labels).float().mean(),
                class_accuracy_fake=(fake_logits[1].argmax(dim=1) == fake_labels).float().mean(),
            )
            if penalty is not None:
                self.record(penalty=penalty)

    def _verdict(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        source, classes = self.discriminator(samples)
        return at_least_float32(source), at_least_float32(classes)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log how the discriminator does on real samples it has not seen: a fall says that it overfits."""
        source, classes = self.discriminator(batch.inputs)
        scores = {
            "val/discriminator_accuracy_real": (source > 0).float().mean(),
            "val/class_accuracy_real": (classes.argmax(dim=1) == batch.labels).float().mean(),
        }
        log_sample_means(self, scores, len(batch.labels))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return one generated sample for each label of the batch."""
        latents = self.generator.sample_latents(len(batch.labels), self.device)
        return self(latents, batch.labels)  # type: ignore[no-any-return]

    def configure_optimizers(self) -> list[Optimizer]:
        """The generator's optimizer, then the discriminator's."""
        return [
            self._generator_optimizer(self.generator.parameters()),
            self._discriminator_optimizer(self.discriminator.parameters()),
        ]
