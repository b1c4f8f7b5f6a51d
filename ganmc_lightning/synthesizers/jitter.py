"""Real samples with noise: the rival that needs no GAN."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec, decode
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, draw_indices, not_fitted


class JitterSynthesizer(Synthesizer):
    """Draws real training samples with replacement and adds Gaussian noise.

    Args:
        output_noise_std: standard deviation of the noise, in the units networks see: [-1, 1] for images (which are
            clamped to that range), z-scores for rows.

    Raises:
        ConfigurationError: ``output_noise_std`` is negative.
    """

    def __init__(self, output_noise_std: float = 0.1) -> None:
        if output_noise_std < 0:
            raise ConfigurationError(f"output_noise_std must not be negative, got {output_noise_std}")
        self.output_noise_std = output_noise_std
        self._real: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Keep the real samples."""
        if inputs is None:
            raise ConfigurationError(
                "JitterSynthesizer needs the real samples in memory; this source reads them from files"
            )
        self._real = (inputs, labels)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        if self._real is None:
            raise not_fitted(self)
        inputs, labels = self._real
        chosen = draw_indices(len(labels), n, labels.device, generator)
        samples = decode(inputs[chosen])
        noise = torch.randn(samples.shape, device=samples.device, generator=generator)
        samples = samples.add_(noise, alpha=self.output_noise_std)
        return samples.clamp_(-1, 1) if inputs.dtype == torch.uint8 else samples, labels[chosen]
