"""AC-GAN networks for images of 8 to 64 pixels (Odena et al. 2017; GAN-MC section 3)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Generator

Normalization = Literal["batch", "spectral"]


class ACGANGenerator(Generator):
    """Three transposed convolutions from class and noise to an image in [-1, 1].

    The class enters as an embedding that multiplies the noise, as in the Keras AC-GAN the authors of
    GAN-MC built on. A linear layer lays the product out as ``4 * width`` maps, and three 4x4 (stride 2)
    or 3x3 (stride 1) transposed convolutions with batch normalization and ReLU take them to the image:
    4w -> 2w -> w -> channels. As many of them have stride 2 as leave a start of at least 4 whole pixels:
    32 starts at 4, 28 at 7 and 8 at 4.

    Args:
        image_size: side of the square image, 8 to 64 and a multiple of 4.
        channels: color channels.
        num_classes: classes it is conditioned on.
        latent_size: length of the noise vector; 110 in the paper.
        width: channels before the last layer; 96 in Odena et al. for 32 pixels.
        latent_std: standard deviation of the noise.

    Raises:
        ConfigurationError: ``image_size`` is out of range.
    """

    def __init__(
        self,
        image_size: int = 32,
        channels: int = 3,
        num_classes: int = 10,
        latent_size: int = 110,
        width: int = 96,
        latent_std: float = 1.0,
    ) -> None:
        super().__init__(latent_size, num_classes, (channels, image_size, image_size), latent_std)
        if not 8 <= image_size <= 64 or image_size % 4:
            raise ConfigurationError(f"image_size must be a multiple of 4 from 8 to 64, got {image_size}")
        strides = _upsampling_strides(image_size)
        self.start_size = image_size // (strides[0] * strides[1] * strides[2])
        self.start_channels = 4 * width
        self.embedding = nn.Embedding(num_classes, latent_size)
        self.project = nn.Linear(latent_size, self.start_channels * self.start_size**2)
        self.upsample = nn.Sequential(
            nn.BatchNorm2d(4 * width),
            nn.ReLU(inplace=True),
            _transposed(4 * width, 2 * width, strides[0]),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            _transposed(2 * width, width, strides[1]),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            _transposed(width, channels, strides[2]),
            nn.Tanh(),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Turn ``latents`` (N, latent_size) and ``labels`` (N,) int64 into images (N, C, H, W) in [-1, 1]."""
        if labels is None:
            raise ValueError("an AC-GAN generator needs labels: it is conditioned on the class")
        maps: Tensor = self.project(latents * self.embedding(labels))
        maps = maps.view(-1, self.start_channels, self.start_size, self.start_size)
        images: Tensor = self.upsample(maps)
        return images


class ACGANDiscriminator(ClassConditionalDiscriminator):
    """Six 3x3 convolutions with LeakyReLU and two heads, source and class.

    Channels w, 2w, 4w, 8w, 16w, 32w with strides 2, 1, 2, 1, 2, 1 (Odena et al. 2017, table 2). With
    ``normalization="spectral"`` every layer is spectrally normalised and there is no batch normalization:
    the form to use with the hinge loss.

    Args:
        image_size: side of the square image.
        channels: color channels.
        num_classes: classes it tells apart.
        width: channels of the first convolution; 16 in Odena et al.
        normalization: batch normalization after every convolution but the first, or spectral normalization.
        dropout: drop-out probability after each convolution; 0.5 in Odena et al.

    Raises:
        ConfigurationError: ``normalization`` is neither.
    """

    def __init__(
        self,
        image_size: int = 32,
        channels: int = 3,
        num_classes: int = 10,
        width: int = 16,
        normalization: Normalization = "batch",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if normalization not in get_args(Normalization):
            raise ConfigurationError(f'normalization must be "batch" or "spectral", got "{normalization}"')
        sizes = [channels, *(width * 2**k for k in range(6))]
        layers: list[nn.Module] = []
        for k in range(6):
            batch_norm = normalization == "batch" and k > 0
            conv: nn.Module = nn.Conv2d(sizes[k], sizes[k + 1], 3, stride=2 - k % 2, padding=1, bias=not batch_norm)
            layers.append(spectral_norm(conv) if normalization == "spectral" else conv)
            if batch_norm:
                layers.append(nn.BatchNorm2d(sizes[k + 1]))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
        self.features = nn.Sequential(*layers, nn.Flatten())
        side = image_size
        for _ in range(3):
            side = (side + 1) // 2
        source: nn.Module = nn.Linear(sizes[-1] * side**2, 1)
        classes: nn.Module = nn.Linear(sizes[-1] * side**2, num_classes)
        spectral = normalization == "spectral"
        self.source = spectral_norm(source) if spectral else source
        self.classes = spectral_norm(classes) if spectral else classes

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return source logits (N,) and class logits (N, num_classes) of images (N, C, H, W)."""
        features = self.features(inputs)
        return torch.flatten(self.source(features)), self.classes(features)


def _upsampling_strides(image_size: int) -> tuple[int, int, int]:
    """As many strides of 2 as leave a start size of at least 4 pixels."""
    halvings = 0
    while halvings < 3 and image_size % 2 ** (halvings + 1) == 0 and image_size >> (halvings + 1) >= 4:
        halvings += 1
    first, second, third = (2 if k < halvings else 1 for k in range(3))
    return first, second, third


def _transposed(channels_in: int, channels_out: int, stride: int) -> nn.ConvTranspose2d:
    if stride == 2:
        return nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)
    return nn.ConvTranspose2d(channels_in, channels_out, 3, stride=1, padding=1)
