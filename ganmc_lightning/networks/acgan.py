"""AC-GAN networks for images of 8 to 64 pixels (Odena et al. 2017; GAN-MC, section 3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Generator, check_normalization


class ACGANGenerator(Generator):
    """AC-GAN generator: three transposed convolutions from class and latents to an image in [-1, 1].

    The latents are multiplied by an embedding of the class, as in the Keras AC-GAN that the authors of GAN-MC used. A
    linear layer maps the product to ``4 * width`` channels. Three 4x4 (stride 2) or 3x3 (stride 1) transposed
    convolutions with batch normalization and ReLU follow: 4w -> 2w -> w -> channels. The number of layers with stride 2
    is the largest for which initial maps have at least 4x4 pixels: 4x4 for 32 and 8 pixels, 7x7 for 28.

    Args:
        image_size: side of the square image in pixels, 8 to 64 and a multiple of 4.
        channels: number of image channels.
        num_classes: number of classes.
        latent_dim: dimension of the latents (default: 110, as in Odena et al.).
        width: number of channels before the last layer (default: 96, as in Odena et al. for 32 pixels).
        latent_std: standard deviation of the latents (default: 1).

    Raises:
        ConfigurationError: ``image_size`` is out of range.

    Example:
        >>> generator = ACGANGenerator(image_size=8, channels=1, width=4)
        >>> images = generator(generator.sample_latents(3, "cpu"), torch.tensor([0, 1, 2]))
        >>> images.shape, sum(p.numel() for p in generator.parameters())
        (torch.Size([3, 1, 8, 8]), 31957)
    """

    def __init__(
        self,
        image_size: int = 32,
        channels: int = 3,
        num_classes: int = 10,
        latent_dim: int = 110,
        width: int = 96,
        latent_std: float = 1.0,
    ) -> None:
        super().__init__(latent_dim, num_classes, (channels, image_size, image_size), latent_std)
        if not 8 <= image_size <= 64 or image_size % 4:
            raise ConfigurationError(f"image_size: got {image_size}, expected a multiple of 4 from 8 to 64")
        strides = _upsampling_strides(image_size)
        self.start_size = image_size // (strides[0] * strides[1] * strides[2])
        self.start_channels = 4 * width
        self.embedding = nn.Embedding(num_classes, latent_dim)
        self.project = nn.Linear(latent_dim, self.start_channels * self.start_size**2)
        self.upsample = nn.Sequential(
            nn.BatchNorm2d(4 * width),
            nn.ReLU(inplace=True),
            _conv_transpose(4 * width, 2 * width, strides[0]),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            _conv_transpose(2 * width, width, strides[1]),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            _conv_transpose(width, channels, strides[2]),
            nn.Tanh(),
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map ``latents`` (N, latent_dim) and ``labels`` (N,) int64 to images (N, C, H, W) in [-1, 1]."""
        if labels is None:
            raise ValueError("an AC-GAN generator is conditioned on the class: got no labels")
        maps: Tensor = self.project(latents * self.embedding(labels))
        maps = maps.view(-1, self.start_channels, self.start_size, self.start_size)
        images: Tensor = self.upsample(maps)
        return images


class ACGANDiscriminator(ClassConditionalDiscriminator):
    """AC-GAN discriminator: six 3x3 convolutions with LeakyReLU and two heads, source and class.

    Channels w, 2w, 4w, 8w, 16w, 32w with strides 2, 1, 2, 1, 2, 1 (Odena et al. 2017, table 2). With
    ``normalization="spectral"``, for the hinge loss, every layer has spectral normalization instead of batch
    normalization.

    Args:
        image_size: side of the square image in pixels.
        channels: number of image channels.
        num_classes: number of classes.
        width: number of channels of the first convolution (default: 16, as in Odena et al.).
        normalization: ``"batch"``, after every convolution except the first (default), or ``"spectral"``.
        dropout: dropout probability after each convolution (default: 0.5, as in Odena et al.).

    Raises:
        ConfigurationError: ``normalization`` has another value.

    Example:
        >>> discriminator = ACGANDiscriminator(image_size=8, channels=1, width=2)
        >>> source_logits, class_logits = discriminator(torch.zeros(3, 1, 8, 8))
        >>> source_logits.shape, class_logits.shape
        (torch.Size([3]), torch.Size([3, 10]))
    """

    def __init__(
        self,
        image_size: int = 32,
        channels: int = 3,
        num_classes: int = 10,
        width: int = 16,
        normalization: Literal["batch", "spectral"] = "batch",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_normalization(normalization, "batch", "spectral")
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
    """Return the strides with the largest number of 2s for which initial maps have at least 4x4 pixels."""
    halvings = 0
    while halvings < 3 and image_size % 2 ** (halvings + 1) == 0 and image_size >> (halvings + 1) >= 4:
        halvings += 1
    first, second, third = (2 if k < halvings else 1 for k in range(3))
    return first, second, third


def _conv_transpose(channels_in: int, channels_out: int, stride: int) -> nn.ConvTranspose2d:
    if stride == 2:
        return nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)
    return nn.ConvTranspose2d(channels_in, channels_out, 3, stride=1, padding=1)
