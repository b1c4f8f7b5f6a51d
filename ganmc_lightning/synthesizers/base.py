"""What a source of synthetic samples must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError


class Synthesizer(ABC):
    """A source of synthetic samples with the class distribution of the real data.

    The data module fits it once to the real training samples, on the device they live on, and draws from it
    in every step.
    """

    @abstractmethod
    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Take notice of the real training samples and move to their device.

        Args:
            inputs: uint8 images (N, C, H, W) or z-scored float rows (N, D); None where the data set is
                too large for memory.
            labels: int64 (N,), on the device to draw on.
            spec: shape of one sample and number of classes.

        Raises:
            ConfigurationError: this synthesizer cannot serve such data.
        """

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples.

        Args:
            n: how many.
            generator: random generator on the device; the global one when left out.

        Returns:
            Samples, float (n, *sample_shape) in the range of :class:`~ganmc_lightning.batch.Batch`, and
            their intended classes, int64 (n,), -1 where unknown.

        Raises:
            ConfigurationError: it was not fitted.
        """

    def start_epoch(self, epoch: int, seed: int) -> None:  # noqa: B027 - most synthesizers need no preparation
        """Prepare for the draws of an epoch; called before the first of them. The default does nothing.

        Args:
            epoch: number of the epoch, from 0.
            seed: of this run and process; with ``epoch`` it determines whatever is drawn here.
        """


def not_fitted(synthesizer: Synthesizer) -> ConfigurationError:
    """The error of a synthesizer that is asked for samples before it has seen real ones."""
    return ConfigurationError(
        f"{type(synthesizer).__name__} is not fitted: call fit(inputs, labels, spec) before sample(n)"
    )


def draw_indices(high: int, n: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """``n`` indices in [0, high), with replacement."""
    return torch.randint(high, (n,), device=device, generator=generator)
