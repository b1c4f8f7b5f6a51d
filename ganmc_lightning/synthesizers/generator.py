"""Samples drawn from a trained generator as training goes on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.training_data import output_conversion
from ganmc_lightning.synthesizers.base import Synthesizer, draw_indices, not_fitted

CHUNK = 1024
"""Most samples generated in one pass, so that a large draw needs little more memory than its samples."""


class GeneratorSynthesizer(Synthesizer):
    """Draws from a generator in evaluation mode; classes follow the real training labels.

    Rows of a generator that was trained on rows with other means and standard deviations are rescaled to the data's.

    Args:
        generator: usually ``load_generator(path)``. An unconditional one gives samples without a
            known class, enough for losses that use the teacher alone.
    """

    name = "data.synthesizer"
    """Name of the generator in error messages."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator.eval()
        self._labels: Tensor | None = None
        self._rescale: nn.Module = nn.Identity()

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Hold the generator against the data and move it to their device."""
        made, due = tuple(self.generator.sample_shape), tuple(spec.sample_shape)
        if made != due:
            raise ConfigurationError(f"{self.name}: got samples of shape {made}, expected {due}, the shape of the data")
        if self.generator.num_classes not in (0, spec.num_classes):
            raise ConfigurationError(
                f"{self.name}: got {self.generator.num_classes} classes, expected {spec.num_classes}, those of the data"
            )
        self._rescale = output_conversion(self.name, self.generator, spec).to(labels.device)
        self.generator.to(labels.device)
        self._labels = labels

    @property
    def device(self) -> torch.device:
        """Device of the samples, that of the labels passed to :meth:`fit`."""
        if self._labels is None:
            raise not_fitted(self)
        return self._labels.device

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        if self._labels is None:
            raise not_fitted(self)
        device = self.device
        latents = self.generator.sample_latents(n, device, generator)
        if self.generator.num_classes == 0:
            labels = torch.full((n,), UNKNOWN_LABEL, device=device)
            chunks = [self.generator(part) for part in latents.split(CHUNK)]
        else:
            labels = self._labels[draw_indices(len(self._labels), n, device, generator)]
            pairs = zip(latents.split(CHUNK), labels.split(CHUNK), strict=True)
            chunks = [self.generator(*pair) for pair in pairs]
        return self._rescale(chunks[0] if len(chunks) == 1 else torch.cat(chunks)), labels
