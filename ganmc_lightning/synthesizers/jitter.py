"""Baseline without a GAN: real samples plus Gaussian noise."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec, to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error


class JitterSynthesizer(Synthesizer):
    """Sample real training samples with replacement and add Gaussian noise.

    Args:
        noise_std: standard deviation of the noise, >= 0 (default: 0.1), in units of images in [-1, 1], which are
            clamped to this range, or of z-scored rows.

    Raises:
        ConfigurationError: ``noise_std`` is negative.

    Example:
        >>> synthesizer = JitterSynthesizer(noise_std=0.5)
        >>> synthesizer.fit(torch.zeros(2, 1000), torch.tensor([0, 0]), DataSpec((1000,), 1))
        >>> rows, labels = synthesizer.sample(10, torch.Generator().manual_seed(0))
        >>> round(rows.std().item(), 1)
        0.5
    """

    def __init__(self, noise_std: float = 0.1) -> None:
        if noise_std < 0:
            raise ConfigurationError(f"JitterSynthesizer.noise_std: got {noise_std}, expected at least 0")
        self.noise_std = noise_std
        self._real: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Store the real samples."""
        if inputs is None:
            raise ConfigurationError("JitterSynthesizer: got data read from files, expected data in memory")
        self._real = (inputs, labels)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` noisy samples; see :meth:`Synthesizer.sample`."""
        if self._real is None:
            raise not_fitted_error(self)
        inputs, labels = self._real
        chosen = torch.randint(len(labels), (n,), device=labels.device, generator=generator)
        samples = to_float_images(inputs[chosen])
        noise = torch.randn(samples.shape, device=samples.device, generator=generator)
        samples = samples.add_(noise, alpha=self.noise_std)
        return samples.clamp_(-1, 1) if inputs.dtype == torch.uint8 else samples, labels[chosen]
