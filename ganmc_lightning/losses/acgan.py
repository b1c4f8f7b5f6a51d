"""Objectives of the AC-GAN game (Odena et al. 2017; GAN-MC section 2.3).

With the paper's ``L_source`` and ``L_class``, log-likelihoods of the right source and the right class on
real and generated data, the discriminator maximises ``L_class + L_source`` and the generator
``L_class - L_source``. The three losses differ in the source part alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.losses.gradient_penalty import check_supports_gradient_penalty, r1_penalty


def source_cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """``-log D(real) - log(1 - D(fake))``, the paper's ``-L_source``, from logits (N,) of both kinds."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def source_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """``max(0, 1 - real) + max(0, 1 + fake)`` from logits (N,) of both kinds (Lim & Ye 2017, equation 15)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


class ACGANLoss(nn.Module, ABC):
    """The two players' losses, with the weights of their parts.

    Args:
        class_weight: factor of the class part for both players.
        source_weight: factor of the source part for both players; 0 leaves the class objective alone,
            which is how the paper makes its *inferior* GAN (section 5.1).
        classify_generated: whether the discriminator also learns the classes of generated samples, as L_class
            says. On small data the two players then agree on signs for the classes that no other classifier
            can read; with ``False`` the discriminator learns classes from real samples alone.
        r1_weight: factor of :func:`~ganmc_lightning.losses.gradient_penalty.r1_penalty` of the source logits,
            without which a discriminator of few data learns them by heart.
        r1_interval: the penalty is taken in one iteration of so many, and weighs as many times more (Karras et
            al. 2020, section 3.1).

    Raises:
        ConfigurationError: a weight is negative, or ``r1_interval`` is less than 1.
    """

    def __init__(
        self,
        class_weight: float = 1.0,
        source_weight: float = 1.0,
        classify_generated: bool = True,
        r1_weight: float = 0.0,
        r1_interval: int = 8,
    ) -> None:
        super().__init__()
        if class_weight < 0 or source_weight < 0:
            raise ConfigurationError(
                f"class_weight and source_weight must not be negative, got {class_weight} and {source_weight}"
            )
        if r1_weight < 0 or r1_interval < 1:
            raise ConfigurationError(
                f"r1_weight must not be negative and r1_interval be at least 1, got {r1_weight} and {r1_interval}"
            )
        self.class_weight = class_weight
        self.source_weight = source_weight
        self.classify_generated = classify_generated
        self.r1_weight = r1_weight
        self.r1_interval = r1_interval

    def check(self, discriminator: nn.Module) -> None:
        """Check that this loss can train the discriminator; raise ``ConfigurationError`` otherwise."""
        if self.r1_weight > 0:
            check_supports_gradient_penalty(discriminator)

    def discriminator(
        self,
        real: tuple[Tensor, Tensor],
        fake: tuple[Tensor, Tensor],
        real_labels: Tensor,
        fake_labels: Tensor,
    ) -> Tensor:
        """The discriminator's loss, ``-(L_class + L_source)``.

        Args:
            real: source logits (N,) and class logits (N, K) of real samples.
            fake: the same of generated samples, made from detached samples.
            real_labels: int64 (N,).
            fake_labels: the classes the samples were generated for, int64 (N,).
        """
        classes = hard_cross_entropy(real[1], real_labels)
        if self.classify_generated:
            classes = classes + hard_cross_entropy(fake[1], fake_labels)
        return self.class_weight * classes + self.source_weight * self.discriminator_loss(real[0], fake[0])

    def penalty(self, discriminator: nn.Module, real: Tensor, iteration: int) -> Tensor | None:
        """What the discriminator's loss of this iteration has beside; None where there is nothing.

        Args:
            discriminator: from samples to source logits (N,) and class logits.
            real: real samples (N, ...).
            iteration: number of the training batch, from 1.
        """
        if self.r1_weight == 0 or iteration % self.r1_interval > 0:
            return None
        return self.r1_interval * self.r1_weight * r1_penalty(lambda samples: discriminator(samples)[0], real)

    def generator(self, fake: tuple[Tensor, Tensor], fake_labels: Tensor) -> Tensor:
        """The generator's loss, ``-(L_class - L_source)`` or its non-saturating form."""
        classes = hard_cross_entropy(fake[1], fake_labels)
        return self.class_weight * classes + self.source_weight * self.generator_loss(fake[0])

    @abstractmethod
    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's source part from the source logits (N,) of both kinds."""

    @abstractmethod
    def generator_loss(self, fake: Tensor) -> Tensor:
        """The generator's source part from the source logits (N,) of its samples."""


class NonSaturatingACGANLoss(ACGANLoss):
    """Cross-entropy; the generator minimises ``-log D(fake)`` (Goodfellow et al. 2014, section 3)."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return :func:`source_cross_entropy`."""
        return source_cross_entropy(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ``-log D(fake)``."""
        return F.softplus(-fake).mean()


class MinimaxACGANLoss(ACGANLoss):
    """The paper's objective to the letter: the generator minimises ``log(1 - D(fake))``.

    Its gradient vanishes while the discriminator wins; it is here to repeat the paper.
    """

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return :func:`source_cross_entropy`."""
        return source_cross_entropy(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ``log(1 - D(fake))``."""
        return -F.softplus(fake).mean()


class HingeACGANLoss(ACGANLoss):
    """Hinge loss (Lim & Ye 2017, equation 15), to be used with spectral normalization."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return :func:`source_hinge`."""
        return source_hinge(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ``-fake``."""
        return -fake.mean()
