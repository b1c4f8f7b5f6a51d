"""A network that is only asked, never taught."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.normalize import Normalize
from ganmc_lightning.networks.training_data import input_conversion

DROPOUT_LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class Frozen(nn.Module):
    """Wraps a trained network so that nothing can change it.

    Its parameters ask for no gradient, it runs without building a graph, and it stays in evaluation mode
    however often ``train()`` is called on the module that holds it: batch statistics never move.

    Args:
        network: the trained network.
        mean: per-channel mean of its own input statistics for images in [0, 1], when it expects other
            inputs than the [-1, 1] used here (torchvision's ImageNet weights do).
        std: per-channel standard deviation that goes with ``mean``.
        mode: ``"eval"``, or ``"paper"`` to leave drop-out on, as the released code of GAN-MC does in the
            teacher while the student trains.

    Raises:
        ConfigurationError: only one of ``mean`` and ``std`` is given.
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        mode: Literal["eval", "paper"] = "eval",
    ) -> None:
        super().__init__()
        if (mean is None) != (std is None):
            raise ConfigurationError("mean and std go together: give both or neither")
        self.network = network.requires_grad_(False)
        self.normalize: nn.Module = nn.Identity() if mean is None or std is None else Normalize(mean, std)
        self.mode = mode
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode; ``mode`` only reaches drop-out layers, and those in ``"paper"`` mode."""
        super().train(False)
        if self.mode == "paper":
            for layer in self.network.modules():
                if isinstance(layer, DROPOUT_LAYERS):
                    layer.train(mode)
        return self

    def adapt_to(self, name: str, spec: DataSpec) -> None:
        """Compare what the network was trained on with the data, and rescale rows for it from now on if need be.

        Args:
            name: its key in the configuration, for the message.
            spec: of the data it is used on.

        Raises:
            ConfigurationError: it was trained on other classes, or on samples that cannot be converted.
        """
        conversion = input_conversion(name, self.network, spec)
        if not isinstance(self.normalize, Normalize):  # images bring statistics of their own
            parameter = next(self.network.parameters(), torch.empty(0))
            self.normalize = conversion.to(parameter.device)

    @torch.no_grad()
    def forward(self, inputs: Tensor, *conditions: Tensor) -> Tensor:
        """Return the network's output for ``inputs``, without a graph; a generator may want classes besides."""
        outputs: Tensor = self.network(self.normalize(inputs), *conditions)
        return outputs
