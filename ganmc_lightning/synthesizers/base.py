"""Base class of synthesizers: fit to real samples, then sample."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError


class Synthesizer(ABC):
    """Base class of synthesizers, which return synthetic samples with the class distribution of the real data.

    The data module fits the synthesizer to the real training samples, on their device, and samples from it in every
    step.
    """

    @abstractmethod
    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Fit to the real training samples; move internal state to their device.

        Args:
            inputs: uint8 images (N, C, H, W) or z-scored float rows (N, D); None for data read from files.
            labels: int64 (N,), on the device to sample on.
            spec: shape of one sample, classes and statistics.

        Raises:
            ConfigurationError: the synthesizer does not support the data.
        """

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample synthetic inputs and labels.

        Args:
            n: number of samples.
            generator: random generator on the device; None uses the global generator.

        Returns:
            Inputs, float (n, *sample_shape) in the range of :class:`~ganmc_lightning.batch.Batch`, and their class
            labels, int64 (n,), -1 if unknown.

        Raises:
            ConfigurationError: the synthesizer is not fitted.
        """

    def sample_with_logits(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Sample inputs and labels, with the teacher's logits (n, K) if they are stored, else None."""
        return (*self.sample(n, generator), None)

    def start_epoch(self, epoch: int, seed: int) -> None:  # noqa: B027 - most synthesizers need no preparation
        """Prepare for an epoch; called before its first ``sample``. No-op by default.

        Args:
            epoch: index of the epoch, from 0.
            seed: random seed of run and process; seed and ``epoch`` determine all random numbers drawn here.
        """


def not_fitted_error(synthesizer: Synthesizer) -> ConfigurationError:
    """Return the error for ``sample`` before ``fit``."""
    return ConfigurationError(
        f"{type(synthesizer).__name__}: not fitted; call fit(inputs, labels, spec) before sample(n)"
    )
