"""Normalization of images in [-1, 1] for networks that expect other statistics."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError

_CHUNK = 1000  # number of images that are converted to float64 at once


class Normalize(nn.Module):
    """Convert images in [-1, 1] to the inputs of a network trained on other statistics, e.g. torchvision's ImageNet.

    ``((x + 1) / 2 - mean) / std``: images in [0, 1] are standardized per channel.

    The statistics are not in the state dict: they are defined only by the arguments.

    Args:
        mean: mean of each channel, for images in [0, 1].
        std: standard deviation of each channel, for images in [0, 1].

    Raises:
        ConfigurationError: ``mean`` and ``std`` differ in length, or a ``std`` is not positive.

    Example:
        >>> network = nn.Sequential(Normalize((0.5,), (0.25,)), nn.Identity())
        >>> network(torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)).flatten()
        tensor([-2.,  0.,  2.])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std):
            raise ConfigurationError(f"mean and std: got {len(mean)} and {len(std)} values, expected one per channel")
        if not all(value > 0 for value in std):
            raise ConfigurationError(f"std: got {tuple(std)}, expected positive values")
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Standardize images (N, C, H, W) in [-1, 1].

        Raises:
            ConfigurationError: C is not the number of means; one value is not used for all channels.
        """
        if inputs.shape[-3] != len(self.mean):
            raise ConfigurationError(
                f"mean and std: got {len(self.mean)} values for images with {inputs.shape[-3]} channels, expected one "
                "per channel"
            )
        return ((inputs + 1) / 2 - self.mean) / self.std


class SubtractMeanImage(nn.Module):
    """Subtract the mean training image from pixels in [0, 255], the preprocessing of GAN-MC's released code.

    ``(x + 1) * 127.5 - mean``: every pixel of every channel has mean 0 over the training images. The standard deviation
    is not changed: about 63 on CIFAR-10.

    The mean image is part of the state dict. It is zero in a new layer, and is computed from all training images when
    the network starts training; see :meth:`fit`.

    Args:
        image_shape: shape (C, H, W) of the images.

    Example:
        >>> layer = SubtractMeanImage((1, 1, 2))
        >>> layer.fit(torch.tensor([[[[0, 100]]], [[[20, 200]]]], dtype=torch.uint8))
        >>> layer(torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2)).flatten()
        tensor([-10., 105.])
    """

    mean: Tensor

    def __init__(self, image_shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(*image_shape))

    def fit(self, images: Tensor) -> None:
        """Compute the mean image.

        Args:
            images: uint8 training images (N, C, H, W).

        Raises:
            ConfigurationError: the images have another shape.
        """
        if tuple(images.shape[1:]) != tuple(self.mean.shape):
            shapes = f"got {tuple(self.mean.shape)}, expected {tuple(images.shape[1:])} as in the data"
            raise ConfigurationError(f"SubtractMeanImage.image_shape: {shapes}")
        total = sum(chunk.sum(dim=0, dtype=torch.float64) for chunk in images.split(_CHUNK))
        self.mean.copy_(total / len(images))

    def forward(self, inputs: Tensor) -> Tensor:
        """Convert images (N, C, H, W) in [-1, 1] to centered pixels."""
        return (inputs + 1) * 127.5 - self.mean


def has_mean_image(network: nn.Module) -> bool:
    """Whether a network contains a :class:`SubtractMeanImage`."""
    return any(isinstance(layer, SubtractMeanImage) for layer in network.modules())


def fit_mean_images(network: nn.Module, images: Tensor) -> None:
    """Compute the mean image of each :class:`SubtractMeanImage` of a network from uint8 images (N, C, H, W)."""
    for layer in network.modules():
        if isinstance(layer, SubtractMeanImage):
            layer.fit(images)


class NormalizedInput(nn.Module):
    """Network whose inputs are normalized by its first layer, so that it accepts images in [-1, 1].

    Layers of the network have the prefix ``network.``: the features of a classifier are ``network.features``.

    Args:
        normalize: layer of the inputs: :class:`Normalize`, or :class:`SubtractMeanImage`.
        network: network of the normalized inputs.

    Example:
        >>> network = NormalizedInput(Normalize((0.5,), (0.25,)), nn.Flatten())
        >>> network(torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3))
        tensor([[-2.,  0.,  2.]])
    """

    def __init__(self, normalize: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output of the network for images (N, C, H, W) in [-1, 1]."""
        outputs: Tensor = self.network(self.normalize(inputs))
        return outputs
