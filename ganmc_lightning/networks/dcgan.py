"""DCGAN networks for images of 8 to 128 pixels (Radford et al. 2016; GAN-KD section 3)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Discriminator, Generator

CriticNormalization = Literal["batch", "spectral", "none"]
START = 4
"""Side of the smallest maps: the generator's first and the discriminator's last."""
INIT_STD = 0.02
BLACK = -1.0


class DCGANGenerator(Generator):
    """Transposed 4x4 convolutions from noise to an image in [-1, 1], as GAN-KD sizes them.

    For 64 pixels there are five: 100 -> 8d -> 4d -> 2d -> d -> channels, with biases, and between them batch
    normalization without learned scale and shift, and ReLU. The paper's parameter counts (table 1) follow
    exactly: ``672 d^2 + 12831 d + 1`` for one channel, ``32 d + 2`` more for three. For 32 pixels there is one
    convolution fewer, 100 -> 4d -> 2d -> d -> channels: ``160 d^2 + 6423 d + 1``. Sizes between powers of two
    are cut from the centre of the next one: 28 from 32, which amounts to training on padded images.

    Weights start from N(0, 0.02) and biases from zero, as in Radford et al.

    Args:
        image_size: side of the square image, 8 to 128 and even.
        channels: color channels.
        latent_size: length of the noise vector; 100 in the paper.
        width: the paper's depth scale factor d.
        latent_std: standard deviation of the noise.

    Raises:
        ConfigurationError: ``image_size`` or ``width`` is out of range.
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        latent_size: int = 100,
        width: int = 64,
        latent_std: float = 1.0,
    ) -> None:
        super().__init__(latent_size, 0, (channels, image_size, image_size), latent_std)
        doublings, self.margin = _doublings_and_margin(image_size, width)
        widths = [width * 2**k for k in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_size, widths[0], START)]
        for channels_in, channels_out in pairwise([*widths, channels]):
            layers += [nn.BatchNorm2d(channels_in, affine=False), nn.ReLU(inplace=True)]
            layers.append(nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers, nn.Tanh())
        self.apply(_initialise)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Turn ``latents`` (N, latent_size) into images (N, C, H, W) in [-1, 1]; ``labels`` play no part."""
        images: Tensor = self.layers(latents[:, :, None, None])
        return F.pad(images, (-self.margin,) * 4) if self.margin else images


class DCGANDiscriminator(Discriminator):
    """Strided 4x4 convolutions with LeakyReLU, the generator's mirror image; also the critic of a WGAN.

    For 64 pixels channels -> d -> 2d -> 4d -> 8d -> 1, with biases, ``672 d^2 + 159 d + 1`` parameters for one
    channel; for 32 pixels one convolution fewer, ``160 d^2 + 87 d + 1``. Sizes between powers of two are padded
    with black.

    Args:
        image_size: side of the square image, 8 to 128 and even.
        channels: color channels.
        width: the paper's depth scale factor d.
        normalization: between convolutions. ``"batch"`` for DCGAN; ``"none"`` for a WGAN's critic, whose
            penalty is one of each sample by itself; ``"spectral"`` for the hinge loss.

    Raises:
        ConfigurationError: ``image_size`` or ``width`` is out of range, or there is no such normalization.
    """

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        width: int = 64,
        normalization: CriticNormalization = "batch",
    ) -> None:
        super().__init__()
        if normalization not in get_args(CriticNormalization):
            raise ConfigurationError(f'normalization must be "batch", "spectral" or "none", got "{normalization}"')
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
        self.apply(_initialise)
        if normalization == "spectral":
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the source logits (N,) of images (N, C, H, W), high for real."""
        if self.margin:
            inputs = F.pad(inputs, (self.margin,) * 4, value=BLACK)
        return torch.flatten(self.layers(inputs))


def _doublings_and_margin(image_size: int, width: int) -> tuple[int, int]:
    """How often 4 pixels are doubled to hold the image, and how many of them stand over at each side."""
    if not 8 <= image_size <= 128 or image_size % 2:
        raise ConfigurationError(f"image_size must be even and from 8 to 128, got {image_size}")
    if width < 1:
        raise ConfigurationError(f"width must be at least 1, got {width}")
    doublings = 1
    while START * 2**doublings < image_size:
        doublings += 1
    return doublings, (START * 2**doublings - image_size) // 2


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, INIT_STD)
        assert module.bias is not None
        nn.init.zeros_(module.bias)
