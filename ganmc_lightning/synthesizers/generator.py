"""Synthetic samples of a trained generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.training_data import output_conversion
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error

_CHUNK = 1024  # number of samples per forward pass, which bounds the memory of large draws


class GeneratorSynthesizer(Synthesizer):
    """Sample from a generator in evaluation mode, with the class distribution of the real training labels.

    Rows of a generator that was trained with other means and standard deviations are rescaled to those of the data.

    Args:
        generator: usually ``load_generator(path)``. Samples of an unconditional generator have unknown labels, which
            suffices for losses that only use the teacher.

    Example:
        >>> from ganmc_lightning.networks import TabularGenerator
        >>> synthesizer = GeneratorSynthesizer(TabularGenerator(num_features=3, num_classes=2))
        >>> synthesizer.fit(None, torch.tensor([1, 1, 1]), DataSpec((3,), 2))
        >>> rows, labels = synthesizer.sample(4)
        >>> rows.shape, labels
        (torch.Size([4, 3]), tensor([1, 1, 1, 1]))
    """

    name = "data.synthesizer"
    """Name of the generator in error messages."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator.eval()
        self._labels: Tensor | None = None
        self._rescale: nn.Module = nn.Identity()

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Validate the generator against the data and move it to their device."""
        actual, expected = tuple(self.generator.sample_shape), tuple(spec.sample_shape)
        if actual != expected:
            raise ConfigurationError(f"{self.name}: got samples of shape {actual}, expected {expected} as in the data")
        if self.generator.num_classes not in (0, spec.num_classes):
            raise ConfigurationError(
                f"{self.name}: got {self.generator.num_classes} classes, expected {spec.num_classes} as in the data"
            )
        self._rescale = output_conversion(self.name, self.generator, spec).to(labels.device)
        self.generator.to(labels.device)
        self._labels = labels

    @property
    def device(self) -> torch.device:
        """Device of the samples: the device of the labels passed to :meth:`fit`."""
        if self._labels is None:
            raise not_fitted_error(self)
        return self._labels.device

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Generate ``n`` samples; see :meth:`Synthesizer.sample`."""
        if self._labels is None:
            raise not_fitted_error(self)
        device = self.device
        latents = self.generator.sample_latents(n, device, generator)
        if self.generator.num_classes == 0:
            labels = torch.full((n,), UNKNOWN_LABEL, device=device)
            chunks = [self.generator(chunk) for chunk in latents.split(_CHUNK)]
        else:
            labels = self._labels[torch.randint(len(self._labels), (n,), device=device, generator=generator)]
            pairs = zip(latents.split(_CHUNK), labels.split(_CHUNK), strict=True)
            chunks = [self.generator(*pair) for pair in pairs]
        return self._rescale(chunks[0] if len(chunks) == 1 else torch.cat(chunks)), labels
