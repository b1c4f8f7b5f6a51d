"""DCGAN networks for images of 8 to 128 pixels (Radford et al. 2016; GAN-KD, section 3)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Discriminator, Generator, check_normalization

START = 4
"""Side in pixels of the smallest maps, the first of the generator and the last of the discriminator."""
INIT_STD = 0.02
"""Standard deviation of the initial weights (Radford et al. 2016)."""
PAD_VALUE = -1.0
"""Value of black pixels of images in [-1, 1]."""


class DCGANGenerator(Generator):
    """DCGAN generator: transposed 4x4 convolutions from latents to an image in [-1, 1], with the sizes of GAN-KD.

    For 64 pixels: 100 -> 8d -> 4d -> 2d -> d -> channels, with biases, and batch normalization without scale and shift
    and ReLU in between. The parameter counts are those of the paper (table 1): ``672 d^2 + 12831 d + 1`` for one
    channel, ``32 d + 2`` more for three. For 32 pixels: 100 -> 4d -> 2d -> d -> channels, ``160 d^2 + 6423 d + 1``.
    Sizes between powers of two are center crops of the next power, e.g. 28 from 32, which is equivalent to padding the
    training images.

    Weights are initialized from N(0, 0.02) and biases to zero, as in Radford et al.

    Args:
        image_size: side of the square image in pixels, 8 to 128 and even.
        channels: number of image channels.
        latent_dim: dimension of the latents (default: 100, as in the paper).
        width: d, the depth scale factor of the paper (default: 64).
        latent_std: standard deviation of the latents (default: 1).

    Raises:
        ConfigurationError: ``image_size`` or ``width`` is out of range.

    Example:
        >>> generator = DCGANGenerator(image_size=64, channels=1, width=2)
        >>> generator(generator.sample_latents(3, "cpu")).shape
        torch.Size([3, 1, 64, 64])
        >>> sum(p.numel() for p in generator.parameters()) == 672 * 2**2 + 12831 * 2 + 1
        True
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        latent_dim: int = 100,
        width: int = 64,
        latent_std: float = 1.0,
    ) -> None:
        super().__init__(latent_dim, 0, (channels, image_size, image_size), latent_std)
        doublings, self.margin = _doublings_and_margin(image_size, width)
        widths = [width * 2**k for k in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, widths[0], START)]
        for channels_in, channels_out in pairwise([*widths, channels]):
            layers += [nn.BatchNorm2d(channels_in, affine=False), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers, nn.Tanh())
        self.apply(_init_normal)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map ``latents`` (N, latent_dim) to images (N, C, H, W) in [-1, 1]; ``labels`` are ignored."""
        images: Tensor = self.layers(latents[:, :, None, None])
        return F.pad(images, (-self.margin,) * 4) if self.margin else images


class DCGANDiscriminator(Discriminator):
    """DCGAN discriminator: strided 4x4 convolutions with LeakyReLU; also the critic of a WGAN.

    For 64 pixels: channels -> d -> 2d -> 4d -> 8d -> 1, with biases, ``672 d^2 + 159 d + 1`` parameters for one
    channel; for 32 pixels, one convolution less and ``160 d^2 + 87 d + 1`` parameters. Sizes between powers of two are
    padded with black.

    Args:
        image_size: side of the square image in pixels, 8 to 128 and even.
        channels: number of image channels.
        width: d, the depth scale factor of the paper (default: 64).
        normalization: ``"batch"`` between convolutions, for DCGAN (default); ``"none"`` for the critic of a WGAN,
            because its gradient penalty is defined per sample; ``"spectral"`` for the hinge loss.

    Raises:
        ConfigurationError: ``image_size`` or ``width`` is out of range, or ``normalization`` has another value.

    Example:
        >>> discriminator = DCGANDiscriminator(image_size=32, channels=1, width=2)
        >>> discriminator(torch.zeros(3, 1, 32, 32)).shape, sum(p.numel() for p in discriminator.parameters())
        (torch.Size([3]), 815)
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        width: int = 64,
        normalization: Literal["batch", "spectral", "none"] = "batch",
    ) -> None:
        super().__init__()
        check_normalization(normalization, "batch", "spectral", "none")
        doublings, self.margin = _doublings_and_margin(image_size, width)
        widths = [width * 2**k for k in range(doublings)]
        layers: list[nn.Module] = []
        for k, (channels_in, channels_out) in enumerate(pairwise([channels, *widths])):
            layers.append(nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1))
            if normalization == "batch" and k > 0:
                layers.append(nn.BatchNorm2d(channels_out, affine=False))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        layers.append(nn.Conv2d(widths[-1], 1, START))
        self.layers = nn.Sequential(*layers)
        self.apply(_init_normal)
        if normalization == "spectral":
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the source logits (N,) of images (N, C, H, W), high for real."""
        if self.margin:
            inputs = F.pad(inputs, (self.margin,) * 4, value=PAD_VALUE)
        return torch.flatten(self.layers(inputs))


def _doublings_and_margin(image_size: int, width: int) -> tuple[int, int]:
    """Number of doublings of 4 pixels that cover the image, and number of pixels to crop on each side."""
    if not 8 <= image_size <= 128 or image_size % 2:
        raise ConfigurationError(f"image_size: got {image_size}, expected an even value from 8 to 128")
    if width < 1:
        raise ConfigurationError(f"width: got {width}, expected at least 1")
    doublings = 1
    while START * 2**doublings < image_size:
        doublings += 1
    return doublings, (START * 2**doublings - image_size) // 2


def _init_normal(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, INIT_STD)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
