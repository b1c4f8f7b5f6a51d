"""Losses that distill a large generator into a small one (Aguinaldo et al. 2019, here GAN-KD)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.gan import GANLoss, MinimaxGANLoss
from ganmc_lightning.losses.precision import at_least_float32


def squared_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of ``(g_T(z) - g_S(z))^2`` over pixels and images: GAN-KD, equation 3, divided by the number of pixels.

    Args:
        student: student images for latents z, float (N, C, H, W) in [-1, 1].
        teacher: teacher images for the same latents, float (N, C, H, W) in [-1, 1].

    Returns:
        Scalar in [0, 4], float32 or wider.

    Example:
        >>> squared_distance(torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]]))
        tensor(0.5000)
    """
    return F.mse_loss(at_least_float32(student), at_least_float32(teacher))


class ImageLoss(nn.Module, ABC):
    """Base class of distances between student and teacher images for the same latents."""

    @abstractmethod
    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the scalar distance.

        Args:
            student: float (N, C, H, W) in [-1, 1], with gradients.
            teacher: float (N, C, H, W) in [-1, 1], without gradients.
        """


class PixelMSELoss(ImageLoss):
    """Mean squared error of the pixels (GAN-KD, equation 3).

    Args:
        sum_pixels: ``False`` (default) for the mean over the pixels of an image, so that ``alpha`` and the learning
            rate do not depend on the image size; ``True`` for the sum, the paper's ``||.||^2``.

    Example:
        >>> student, teacher = torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 0.5)
        >>> PixelMSELoss()(student, teacher), PixelMSELoss(sum_pixels=True)(student, teacher)
        (tensor(0.2500), tensor(4.))
    """

    def __init__(self, sum_pixels: bool = False) -> None:
        super().__init__()
        self.sum_pixels = sum_pixels

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return :func:`squared_distance`, times the number of pixels if ``sum_pixels`` is true."""
        distance = squared_distance(student, teacher)
        return distance * student[0].numel() if self.sum_pixels else distance


class PerceptualLoss(ImageLoss):
    """Mean squared error between features of a frozen network (perceptual loss).

    Args:
        network: network from images in [-1, 1] to features or logits, for instance
            ``load_network(path, "network")`` of a classifier, or
            :class:`~ganmc_lightning.networks.IntermediateLayer` of the teacher's discriminator. It is frozen and
            stays in evaluation mode.

    Example:
        >>> loss = PerceptualLoss(nn.AvgPool2d(4))
        >>> loss(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5))
        tensor(0.2500)
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Keep the network in evaluation mode for every value of ``mode``."""
        return super().train(False)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the mean squared difference of the features.

        Raises:
            ConfigurationError: the network does not return one tensor.
        """
        with torch.no_grad():
            target = self.network(teacher)
        if not isinstance(target, Tensor):
            raise ConfigurationError(
                f"PerceptualLoss.network ({type(self.network).__name__}) returned a {type(target).__name__}, expected "
                "one tensor of features"
            )
        return squared_distance(self.network(student), target)


class WeightedSumLoss(ImageLoss):
    """Weighted sum of image losses, for instance of pixels and features.

    Args:
        distances: image losses.
        weights: factor of each image loss.

    Raises:
        ConfigurationError: the numbers of distances and weights differ, or are 0.

    Example:
        >>> loss = WeightedSumLoss([PixelMSELoss(), PerceptualLoss(nn.AvgPool2d(2))], weights=[1.0, 0.5])
        >>> loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
        tensor(1.5000)
    """

    def __init__(self, distances: Sequence[ImageLoss], weights: Sequence[float]) -> None:
        super().__init__()
        if not distances or len(distances) != len(weights):
            raise ConfigurationError(
                f"WeightedSumLoss: got {len(distances)} distances and {len(weights)} weights, expected one weight per "
                "distance, and 1 or more"
            )
        self.distances = nn.ModuleList(distances)
        self.weights = tuple(weights)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the weighted sum."""
        pairs = zip(self.distances, self.weights, strict=True)
        return torch.stack([weight * distance(student, teacher) for distance, weight in pairs]).sum()


class GeneratorDistillationParts(NamedTuple):
    """Return value of :class:`GeneratorDistillationLoss`.

    Attributes:
        total: weighted sum of the parts.
        distance: distance between the student's and the teacher's images.
        adversarial: generator loss of the student; None without discriminator logits.
    """

    total: Tensor
    distance: Tensor
    adversarial: Tensor | None


class GeneratorDistillationLoss(nn.Module):
    """Loss of a student generator: distance to the teacher's images, optionally with a GAN loss (GAN-KD, section 3.2).

    ``alpha = 0`` is the paper's MSE training (equation 3), ``alpha > 0`` the joint training (equation 4): the
    discriminator maximizes ``log D(x) + log(1 - D(g_S(z)))``, the student minimizes
    ``alpha * log(1 - D(g_S(z))) + (1 - alpha) * ||g_T(z) - g_S(z)||^2``. In the printed equation, alpha also multiplies
    the discriminator's second term. This factor is omitted: with the paper's alpha of 0.0001, the discriminator would
    classify every image as real.

    Args:
        alpha: weight of the GAN loss in [0, 1] (default: 0). The paper's figure 11 uses 0.0001, probably with the mean
            over pixels.
        distance: image loss (default: :class:`PixelMSELoss`).
        adversarial_loss: GAN loss of discriminator and student (default: the paper's
            :class:`~ganmc_lightning.losses.MinimaxGANLoss`). The gradient of
            :class:`~ganmc_lightning.losses.NonSaturatingGANLoss` does not vanish.

    Raises:
        ConfigurationError: ``alpha`` is not in [0, 1].

    Example:
        >>> student, teacher, fake_logits = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4), torch.zeros(2)
        >>> GeneratorDistillationLoss(alpha=0.5)(student, teacher, fake_logits).total  # (1 - log 2) / 2
        tensor(0.1534)
    """

    def __init__(
        self, alpha: float = 0.0, distance: ImageLoss | None = None, adversarial_loss: GANLoss | None = None
    ) -> None:
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ConfigurationError(f"alpha: got {alpha}, expected a value in [0, 1]")
        self.alpha = alpha
        self.distance = PixelMSELoss() if distance is None else distance
        self.adversarial_loss = MinimaxGANLoss() if adversarial_loss is None else adversarial_loss

    def forward(
        self, student: Tensor, teacher: Tensor, fake_logits: Tensor | None = None
    ) -> GeneratorDistillationParts:
        """Return the student's loss.

        Args:
            student: student images, float (N, C, H, W) in [-1, 1], with gradients.
            teacher: teacher images for the same latents, without gradients.
            fake_logits: discriminator logits (N,) of the student images; None if ``alpha`` is 0.
        """
        distance = self.distance(student, teacher)
        if fake_logits is None:
            return GeneratorDistillationParts(distance, distance, None)
        adversarial = self.adversarial_loss.generator_loss(fake_logits)
        total = self.alpha * adversarial + (1 - self.alpha) * distance
        return GeneratorDistillationParts(total, distance, adversarial)
