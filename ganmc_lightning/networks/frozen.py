"""Wrapper that keeps a network frozen: evaluation mode, no gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.normalize import Normalize
from ganmc_lightning.networks.training_data import input_conversion
from ganmc_lightning.networks.wrappers import unwrap

DROPOUT_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class Frozen(nn.Module):
    """Wrapper that keeps a trained network frozen.

    Parameters require no gradients and the forward pass builds no graph. The network stays in evaluation mode, also
    after ``train()`` of a parent module, so that batch statistics never change.

    Args:
        network: the trained network.
        mean: per-channel mean of the training images of the network in [0, 1], e.g. ImageNet's for torchvision weights;
            None for a network trained on images in [-1, 1].
        std: per-channel standard deviation, required with ``mean``.
        dropout: whether dropout layers follow the training mode of the parent, as in the teacher of GAN-MC's released
            code (default: False).

    Raises:
        ConfigurationError: only one of ``mean`` and ``std`` is given; or ``dropout`` is true but the network has no
            dropout layer, e.g. because its dropout is a function.

    Example:
        >>> frozen = Frozen(nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())).train()
        >>> frozen.network.training, [p.requires_grad for p in frozen.parameters()]
        (False, [False, False])
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        if (mean is None) != (std is None):
            raise ConfigurationError(f"mean and std: got mean {mean} and std {std}, expected both or neither")
        self.network = network.requires_grad_(False)
        self.normalize: nn.Module = nn.Identity() if mean is None or std is None else Normalize(mean, std)
        self.dropout = dropout
        if dropout and not self._dropout_layers():
            raise ConfigurationError(
                f"dropout: got true for {type(unwrap(network)).__name__}, which has no dropout layer, expected false, "
                "or a network with dropout layers such as nn.Dropout"
            )
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Keep evaluation mode; with ``dropout``, set dropout layers to ``mode``."""
        super().train(False)
        if self.dropout:
            for layer in self._dropout_layers():
                layer.train(mode)
        return self

    def _dropout_layers(self) -> list[nn.Module]:
        return [layer for layer in self.network.modules() if isinstance(layer, DROPOUT_LAYERS)]

    def adapt_to(self, name: str, spec: DataSpec) -> None:
        """Compare the network's training data with the data, and rescale its inputs if the statistics of rows differ.

        Args:
            name: configuration key of the network, for error messages.
            spec: specification of the data that the network is used on.

        Raises:
            ConfigurationError: the network was trained on other classes, or on samples that cannot be converted.
        """
        conversion = input_conversion(name, self.network, spec)
        if not isinstance(self.normalize, Normalize):  # image statistics are arguments
            parameter = next(self.network.parameters(), torch.empty(0))
            self.normalize = conversion.to(parameter.device)

    @torch.no_grad()
    def forward(self, inputs: Tensor, *conditions: Tensor) -> Tensor:
        """Return the output of the network without a graph; ``conditions`` are e.g. the labels of a generator."""
        outputs: Tensor = self.network(self.normalize(inputs), *conditions)
        return outputs
