"""Base classes of generators and discriminators."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError


class FeatureClassifier(nn.Module):
    """Base class of classifiers: ``features`` maps samples to vectors, and ``classifier`` maps vectors to logits."""

    features: nn.Module
    classifier: nn.Module

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float samples (N, ...), images in [-1, 1]."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


class Generator(nn.Module, ABC):
    """Base class of networks that map latents (and a class, if conditional) to a sample.

    A generator defines its latent distribution: callers only pass the number of samples.

    Args:
        latent_dim: dimension of the latents.
        num_classes: number of classes of a conditional generator; 0 for an unconditional generator.
        sample_shape: shape of one sample, ``(C, H, W)`` for images in [-1, 1], ``(D,)`` for rows.
        latent_std: standard deviation of the normal latents (default: 1).
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        sample_shape: tuple[int, ...],
        latent_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.sample_shape = sample_shape
        self.latent_std = latent_std

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map ``latents`` (N, latent_dim) and ``labels`` (N,) to samples (N, *sample_shape)."""

    def sample_latents(self, n: int, device: torch.device | str, generator: torch.Generator | None = None) -> Tensor:
        """Sample latents (n, latent_dim) on ``device``, in the precision of the weights.

        They are drawn in float32 and then converted, so that equal seeds give equal latents in every precision.

        Example:
            >>> from ganmc_lightning.networks import TabularGenerator
            >>> latents = TabularGenerator(3, latent_dim=5, latent_std=0.5).sample_latents(1000, "cpu")
            >>> latents.shape, round(latents.std().item(), 1)
            (torch.Size([1000, 5]), 0.5)
        """
        latents = torch.randn(n, self.latent_dim, device=device, generator=generator, dtype=torch.float32)
        weight = next(self.parameters(), latents)
        return latents.mul_(self.latent_std).to(weight.dtype)


class Discriminator(nn.Module, ABC):
    """Base class of discriminators: one logit per sample, high for real; losses apply the sigmoid if needed."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Return the source logits (N,) of ``inputs`` (N, *sample_shape)."""


class ClassConditionalDiscriminator(nn.Module, ABC):
    """Base class of AC-GAN discriminators: source logits and class logits."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return source logits (N,), high for real, and class logits (N, num_classes)."""


def check_normalization(normalization: str, *allowed: str) -> None:
    """Check the argument ``normalization`` of a discriminator.

    Raises:
        ConfigurationError: it is not one of the allowed values.
    """
    if normalization not in allowed:
        raise ConfigurationError(f"normalization: got {normalization!r}, expected one of {', '.join(allowed)}")
