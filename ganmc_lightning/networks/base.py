"""The two abstract networks every generative module and synthesizer is written against."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Generator(nn.Module, ABC):
    """Maps noise (and, when conditional, a class) to a sample.

    A generator knows the law of its own noise, so that whoever draws from it needs nothing but ``n``.

    Attributes:
        latent_size: length of one noise vector.
        num_classes: number of classes it is conditioned on; 0 means unconditional.
        sample_shape: shape of one sample, ``(C, H, W)`` for images in [-1, 1], ``(D,)`` for rows.
        latent_std: standard deviation of the normal noise.
    """

    def __init__(
        self,
        latent_size: int,
        num_classes: int,
        sample_shape: tuple[int, ...],
        latent_std: float = 1.0,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.num_classes = num_classes
        self.sample_shape = sample_shape
        self.latent_std = latent_std

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Turn ``latents`` (N, latent_size) and ``labels`` (N,) into samples (N, *sample_shape)."""

    def sample_latents(self, n: int, device: torch.device | str, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` noise vectors (n, latent_size) on ``device``, in the precision of the weights.

        They are drawn in float32 and then converted, so that the same seed gives the same noise in every precision.
        """
        noise = torch.randn(n, self.latent_size, device=device, generator=generator, dtype=torch.float32)
        weight = next(self.parameters(), noise)
        return noise.mul_(self.latent_std).to(weight.dtype)


class Discriminator(nn.Module, ABC):
    """Judges whether samples are real.

    Its output is a logit, high for real: the losses apply the sigmoid where their paper has one.
    """

    @abstractmethod
    def forward(self, inputs: Tensor) -> Tensor:
        """Return the source logits (N,) of ``inputs`` (N, *sample_shape)."""


class ClassConditionalDiscriminator(nn.Module, ABC):
    """The discriminator of an AC-GAN: judges the source of a sample and its class."""

    @abstractmethod
    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return source logits (N,), high for real, and class logits (N, num_classes)."""
