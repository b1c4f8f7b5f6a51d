"""How a small generator learns from a large one (Aguinaldo et al. 2019, here GAN-KD)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.gan import GANLoss, MinimaxGANLoss
from ganmc_lightning.losses.precision import at_least_float32


def squared_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over pixels and images of ``(g_T(z) - g_S(z))^2``: GAN-KD's equation (3), divided by the pixels.

    Args:
        student: images (N, C, H, W) in [-1, 1], with gradients.
        teacher: the teacher's images for the same noise.

    Returns:
        Scalar in [0, 4], float32 or wider.

    Example:
        >>> squared_distance(torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]]))
        tensor(0.5000)
    """
    return F.mse_loss(at_least_float32(student), at_least_float32(teacher))


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """Split images into bands of detail, each at half the size of the one before (Burt & Adelson 1983).

    Args:
        images: float (N, C, H, W).
        levels: bands of detail; the last entry, after these, is what is left of the image.

    Returns:
        ``levels + 1`` tensors; enlarged and added up they give the image again.
    """
    bands = []
    for _ in range(levels):
        smaller = F.avg_pool2d(images, 2, ceil_mode=True, count_include_pad=False)
        bands.append(images - _enlarge(smaller, images))
        images = smaller
    return [*bands, images]


def _enlarge(images: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(images, size=like.shape[-2:], mode="bilinear", align_corners=False)


def joint_loss(adversarial: Tensor, distance: Tensor, alpha: float) -> Tensor:
    """``alpha * adversarial + (1 - alpha) * distance``, what the student minimises in equation (4) of GAN-KD."""
    return alpha * adversarial + (1 - alpha) * distance


class ImageLoss(nn.Module, ABC):
    """How far the student's image is from the teacher's for the same noise."""

    @abstractmethod
    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the scalar distance.

        Args:
            student: images (N, C, H, W) in [-1, 1], with gradients.
            teacher: images of the same shape, without.
        """


class PixelMSELoss(ImageLoss):
    """The paper's distance, in pixels.

    Args:
        sum_pixels: ``False`` takes the mean over an image, so that ``alpha`` and the learning rate mean the same
            for every size; ``True`` the sum, which is ``||.||^2`` to the letter.
    """

    def __init__(self, sum_pixels: bool = False) -> None:
        super().__init__()
        self.sum_pixels = sum_pixels

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return :func:`squared_distance`, times the pixels of an image where the sum is asked for."""
        distance = squared_distance(student, teacher)
        return distance * student[0].numel() if self.sum_pixels else distance


class LaplacianPyramidLoss(ImageLoss):
    """Absolute distance of the bands of two Laplacian pyramids, which blurs less than squares of pixels do.

    The bands weigh ``4^-k``, finest first (Bojanowski et al. 2018, section 3, with mean values for sums): each
    mean is over a quarter of the pixels of the one before.

    Args:
        levels: bands of detail, each half the size of the one before.

    Raises:
        ConfigurationError: ``levels`` is not positive.
    """

    def __init__(self, levels: int = 3) -> None:
        super().__init__()
        if levels < 1:
            raise ConfigurationError(f"levels must be at least 1, got {levels}")
        self.levels = levels

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the weighted sum over the bands of the mean absolute difference."""
        # The pyramid is linear: one of the difference serves both.
        bands = laplacian_pyramid(at_least_float32(student) - at_least_float32(teacher), self.levels)
        return torch.stack([4.0**-k * band.abs().mean() for k, band in enumerate(bands)]).sum()


class PerceptualLoss(ImageLoss):
    """Squared distance of what a trained network makes of both images.

    Args:
        network: from images in [-1, 1] to features or logits, for instance
            ``load_network(path, "network")`` of a classifier, or
            :class:`~ganmc_lightning.networks.IntermediateLayer` the teacher's discriminator. It is frozen here: it
            learns nothing and stays in evaluation mode.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the mean squared difference of the features.

        Raises:
            ConfigurationError: the network returns something else than one tensor.
        """
        with torch.no_grad():
            due = self.network(teacher)
        if not isinstance(due, Tensor):
            raise ConfigurationError(
                f"PerceptualLoss.network ({type(self.network).__name__}) returns a {type(due).__name__} where one "
                "tensor of features is expected: wrap it in a module whose forward returns that alone"
            )
        return squared_distance(self.network(student), due)


class WeightedSumLoss(ImageLoss):
    """Several distances at once, such as pixels and features.

    Args:
        distances: the parts.
        weights: a factor for each.

    Raises:
        ConfigurationError: not as many weights as distances.
    """

    def __init__(self, distances: Sequence[ImageLoss], weights: Sequence[float]) -> None:
        super().__init__()
        if not distances or len(distances) != len(weights):
            raise ConfigurationError(
                f"WeightedSumLoss has {len(distances)} distances and {len(weights)} weights: give pairs"
            )
        self.distances = nn.ModuleList(distances)
        self.weights = tuple(weights)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the weighted sum."""
        parts = zip(self.distances, self.weights, strict=True)
        return torch.stack([weight * distance(student, teacher) for distance, weight in parts]).sum()


class GeneratorDistillationLoss(nn.Module):
    """What a student generator minimises: the distance to its teacher, alone or with a discriminator's verdict.

    ``alpha = 0`` is the paper's MSE training (equation 3), any other value its joint training (equation 4):
    the discriminator ascends ``log D(x) + log(1 - D(g_S(z)))`` and the student descends
    ``alpha * log(1 - D(g_S(z))) + (1 - alpha) * ||g_T(z) - g_S(z)||^2``. (To the letter the equation multiplies
    the discriminator's second term by alpha too, which for the paper's 0.0001 would leave it nothing to do but
    to call everything real.)

    Args:
        alpha: weight of the game, in [0, 1]; 0.0001 in figure 11, where pixels are likely to have been averaged.
        distance: between the two images; mean squared pixels when left out.
        game: the discriminator's and the student's part in it; the paper's minimax form when left out,
            :class:`~ganmc_lightning.losses.NonSaturatingGANLoss` for the usual repair.

    Raises:
        ConfigurationError: ``alpha`` lies outside [0, 1].
    """

    def __init__(self, alpha: float = 0.0, distance: ImageLoss | None = None, game: GANLoss | None = None) -> None:
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ConfigurationError(f"alpha must lie in [0, 1], got {alpha}")
        self.alpha = alpha
        self.distance = PixelMSELoss() if distance is None else distance
        self.game = MinimaxGANLoss() if game is None else game

    def student(self, distance: Tensor, verdict: Tensor) -> Tensor:
        """The student's joint loss from the distance and the discriminator's logits (N,) of its images."""
        return joint_loss(self.game.generator_loss(verdict), distance, self.alpha)
