"""Baseline without a GAN: convex combinations of two real samples."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec, to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error


class MixupSynthesizer(Synthesizer):
    """Mixup (Zhang et al. 2018) of real training samples, for distillation: the teacher labels the combinations.

    A sample is a uniformly distributed point on the line between two real samples of any class, as in "function
    matching" (Beyer et al. 2022). Its class is unknown, so that losses on labels ignore it.

    Example:
        >>> synthesizer = MixupSynthesizer()
        >>> synthesizer.fit(torch.tensor([[0.0], [10.0]]), torch.tensor([0, 1]), DataSpec((1,), 2))
        >>> rows, labels = synthesizer.sample(3, torch.Generator().manual_seed(4))
        >>> ((rows >= 0) & (rows <= 10)).all(), labels
        (tensor(True), tensor([-1, -1, -1]))
    """

    def __init__(self) -> None:
        self._inputs: Tensor | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Store the real samples."""
        if inputs is None:
            raise ConfigurationError("MixupSynthesizer: got data read from files, expected data in memory")
        self._inputs = inputs

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` combinations; see :meth:`Synthesizer.sample`."""
        if self._inputs is None:
            raise not_fitted_error(self)
        inputs = self._inputs
        pairs = torch.randint(len(inputs), (2, n), device=inputs.device, generator=generator)
        weight = torch.rand(n, *[1] * (inputs.dim() - 1), device=inputs.device, generator=generator)
        samples = torch.lerp(to_float_images(inputs[pairs[0]]), to_float_images(inputs[pairs[1]]), weight)
        return samples, torch.full((n,), UNKNOWN_LABEL, device=inputs.device)
