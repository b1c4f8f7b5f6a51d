"""Objectives of the unconditional GAN game: cross-entropy, hinge, Wasserstein."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.acgan import source_cross_entropy, source_hinge
from ganmc_lightning.losses.gradient_penalty import check_supports_gradient_penalty, gradient_penalty


def wasserstein(real: Tensor, fake: Tensor) -> Tensor:
    """``E f(fake) - E f(real)``, which the critic minimises (Arjovsky et al. 2017, equation 2), from (N,) each.

    Example:
        >>> wasserstein(torch.tensor([3.0, 1.0]), torch.tensor([0.5]))
        tensor(-1.5000)
    """
    return fake.mean() - real.mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Clamp every parameter to [-limit, limit] (Arjovsky et al. 2017, algorithm 1)."""
    parameters: list[Tensor] = list(critic.parameters())
    torch._foreach_clamp_max_(parameters, limit)
    torch._foreach_clamp_min_(parameters, -limit)


class GANLoss(nn.Module, ABC):
    """The two players' losses, and what else keeps the discriminator in bounds."""

    @abstractmethod
    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss from the logits (N,) of real and of generated samples."""

    @abstractmethod
    def generator_loss(self, fake: Tensor) -> Tensor:
        """The generator's loss from the logits (N,) of its samples."""

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor | None:
        """A term to add to the discriminator's loss; none unless the loss has one.

        Args:
            discriminator: from samples to logits (N,).
            real: real samples (N, ...).
            fake: as many generated ones, detached.
        """
        return None

    def after_discriminator_step(self, discriminator: nn.Module) -> None:
        """Put the discriminator back into its bounds after its step; nothing unless the loss has some."""

    def check(self, discriminator: nn.Module) -> None:
        """Check that this loss can train the discriminator; raise ``ConfigurationError`` otherwise."""


class NonSaturatingGANLoss(GANLoss):
    """Cross-entropy; the generator minimises ``-log D(fake)`` (Goodfellow et al. 2014, section 3): DCGAN's loss."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return ``-log D(real) - log(1 - D(fake))``."""
        return source_cross_entropy(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ``-log D(fake)``."""
        return F.softplus(-fake).mean()


class MinimaxGANLoss(GANLoss):
    """Cross-entropy; the generator minimises ``log(1 - D(fake))``, as equation (4) of GAN-KD has it.

    Its gradient vanishes while the discriminator wins.
    """

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return ``-log D(real) - log(1 - D(fake))``."""
        return source_cross_entropy(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ``log(1 - D(fake))``."""
        return -F.softplus(fake).mean()


class HingeGANLoss(GANLoss):
    """Hinge loss (Lim & Ye 2017, equation 15), to be used with spectral normalization."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return ``max(0, 1 - real) + max(0, 1 + fake)``."""
        return source_hinge(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ``-fake``."""
        return -fake.mean()


class WassersteinGANLoss(GANLoss):
    """WGAN with weight clipping (Arjovsky et al. 2017, algorithm 1).

    The paper trains with RMSprop (lr 5e-5), five critic steps a generator step, and a critic without batch
    normalization.

    Args:
        clip: largest magnitude of a critic's parameter after each of its steps; 0.01 in the paper.

    Raises:
        ConfigurationError: ``clip`` is not positive.
    """

    def __init__(self, clip: float = 0.01) -> None:
        super().__init__()
        if clip <= 0:
            raise ConfigurationError(f"clip must be positive, got {clip}")
        self.clip = clip

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return :func:`wasserstein`."""
        return wasserstein(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ``-f(fake)``."""
        return -fake.mean()

    def after_discriminator_step(self, discriminator: nn.Module) -> None:
        """Clip the critic's parameters."""
        clip_weights(discriminator, self.clip)


class WassersteinGPLoss(GANLoss):
    """WGAN with gradient penalty (Gulrajani et al. 2017).

    The paper trains with Adam (lr 1e-4, betas 0 and 0.9), five critic steps a generator step, and a critic
    without batch normalization. The critic must not be compiled.

    Args:
        weight: factor of :func:`gradient_penalty`; 10 in the paper.

    Raises:
        ConfigurationError: ``weight`` is negative.
    """

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__()
        if weight < 0:
            raise ConfigurationError(f"weight must not be negative, got {weight}")
        self.weight = weight

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return :func:`wasserstein`."""
        return wasserstein(real, fake)

    def generator_loss(self, fake: Tensor) -> Tensor:
        """Return ``-f(fake)``."""
        return -fake.mean()

    def penalty(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """Return the weighted :func:`gradient_penalty`."""
        return self.weight * gradient_penalty(discriminator, real, fake)

    def check(self, discriminator: nn.Module) -> None:
        """Refuse a compiled or batch-normalised critic; see :func:`check_supports_gradient_penalty`."""
        check_supports_gradient_penalty(discriminator)
