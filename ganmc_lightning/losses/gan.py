"""Losses of unconditional GANs: cross-entropy, hinge, Wasserstein."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.gradient_penalty import check_supports_gradient_penalty, gradient_penalty


def wasserstein(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Wasserstein loss of the critic, ``E f(fake) - E f(real)`` (Arjovsky et al. 2017, equation 2).

    Args:
        real_logits: critic outputs for real samples, float (N,).
        fake_logits: critic outputs for generated samples, float (M,).

    Example:
        >>> wasserstein(torch.tensor([3.0, 1.0]), torch.tensor([0.5]))
        tensor(-1.5000)
    """
    return fake_logits.mean() - real_logits.mean()


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Clamp every parameter to [-limit, limit] (Arjovsky et al. 2017, algorithm 1)."""
    parameters: list[Tensor] = list(critic.parameters())
    torch._foreach_clamp_max_(parameters, limit)
    torch._foreach_clamp_min_(parameters, -limit)


class GANLoss(nn.Module, ABC):
    """Base class of GAN losses: discriminator loss, generator loss, and hooks of the discriminator step."""

    @abstractmethod
    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the scalar that the discriminator minimizes.

        Args:
            real_logits: logits of real samples, float (N,).
            fake_logits: logits of generated samples, float (M,).
        """

    @abstractmethod
    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return the scalar that the generator minimizes, from the logits (N,) of its samples."""

    def penalty(self, discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor | None:
        """Return a term that is added to the discriminator's loss, or None (default).

        Args:
            discriminator: function from samples to logits (N,).
            real: real samples (N, ...).
            fake: generated samples (N, ...), detached.
        """
        return None

    def after_discriminator_step(self, discriminator: nn.Module) -> None:
        """Hook after the discriminator's optimizer step, e.g. for weight clipping; no-op by default."""

    def validate_discriminator(self, discriminator: nn.Module) -> None:
        """Raise :class:`~ganmc_lightning.exceptions.ConfigurationError` if this loss does not support the network."""


class NonSaturatingGANLoss(GANLoss):
    """Cross-entropy GAN loss with the generator loss ``-log D(fake)`` (Goodfellow et al. 2014, section 3).

    Example:
        >>> loss = NonSaturatingGANLoss()
        >>> loss.discriminator_loss(torch.zeros(2), torch.zeros(2)), loss.generator_loss(torch.zeros(2))
        (tensor(1.3863), tensor(0.6931))
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return ``-log D(real) - log(1 - D(fake))``."""
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return ``-log D(fake)``."""
        return F.softplus(-fake_logits).mean()


class MinimaxGANLoss(NonSaturatingGANLoss):
    """Cross-entropy GAN loss with the generator loss ``log(1 - D(fake))`` (GAN-KD, equation 4; GAN-MC, section 2.3).

    The generator's gradient vanishes where the discriminator is confident.

    Example:
        >>> MinimaxGANLoss().generator_loss(torch.zeros(2))
        tensor(-0.6931)
    """

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return ``log(1 - D(fake))``."""
        return -F.softplus(fake_logits).mean()


class HingeGANLoss(GANLoss):
    """Hinge GAN loss, for discriminators with spectral normalization (Lim & Ye 2017, equation 15).

    Example:
        >>> HingeGANLoss().discriminator_loss(torch.tensor([2.0, 0.0]), torch.tensor([-0.5]))
        tensor(1.)
    """

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return ``max(0, 1 - real) + max(0, 1 + fake)``."""
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return ``-fake``."""
        return -fake_logits.mean()


class _WassersteinLoss(GANLoss):
    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return :func:`wasserstein`."""
        return wasserstein(real_logits, fake_logits)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return ``-f(fake)``."""
        return -fake_logits.mean()


class WassersteinGANLoss(_WassersteinLoss):
    """WGAN loss with weight clipping (Arjovsky et al. 2017, algorithm 1).

    The paper trains with RMSprop (lr 5e-5), five critic steps per generator step, and a critic without batch
    normalization.

    Args:
        clip: maximum absolute value of the critic's parameters, > 0 (default: 0.01, as in the paper).

    Raises:
        ConfigurationError: ``clip`` is not positive.

    Example:
        >>> critic = nn.Linear(2, 1)
        >>> WassersteinGANLoss(clip=0.01).after_discriminator_step(critic)
        >>> round(critic.weight.abs().max().item(), 4)
        0.01
    """

    def __init__(self, clip: float = 0.01) -> None:
        super().__init__()
        if clip <= 0:
            raise ConfigurationError(f"clip: got {clip}, expected a value > 0")
        self.clip = clip

    def after_discriminator_step(self, discriminator: nn.Module) -> None:
        """Clip the critic's parameters."""
        clip_weights(discriminator, self.clip)


class WassersteinGPLoss(_WassersteinLoss):
    """WGAN loss with gradient penalty (Gulrajani et al. 2017).

    The paper trains with Adam (lr 1e-4, betas 0 and 0.9), five critic steps per generator step, and a critic
    without batch normalization. The critic must not be compiled.

    Args:
        weight: factor >= 0 of :func:`~ganmc_lightning.losses.gradient_penalty` (default: 10, as in the paper).

    Raises:
        ConfigurationError: ``weight`` is negative.

    Example:
        >>> critic = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Flatten(0))
        >>> _ = nn.init.constant_(critic[0].weight, 0.0)
        >>> WassersteinGPLoss().penalty(critic, torch.ones(3, 2), torch.zeros(3, 2)).item()  # (0 - 1)^2 * 10
        10.0
    """

    def __init__(self, weight: float = 10.0) -> None:
        super().__init__()
        if weight < 0:
            raise ConfigurationError(f"weight: got {weight}, expected a value >= 0")
        self.weight = weight

    def penalty(self, discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """Return the weighted gradient penalty."""
        return self.weight * gradient_penalty(discriminator, real, fake)

    def validate_discriminator(self, discriminator: nn.Module) -> None:
        """Raise ``ConfigurationError`` if the critic is compiled or uses batch normalization."""
        check_supports_gradient_penalty(discriminator)
