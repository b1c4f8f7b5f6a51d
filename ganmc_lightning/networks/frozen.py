"""Wrapper that keeps a network frozen: evaluation mode, no gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.folding import fold_batchnorm
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
        self._folded: tuple[nn.Module, list[Tensor], int] | None = None  # not a submodule
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

    # -- folded batch normalization ------------------------------------------------------------------------

    def fold(self, inputs: Tensor) -> None:
        """Let the forward pass use a copy of the network with folded batch normalization, which is faster.

        The outputs are equal up to rounding. Nothing changes if the network cannot be folded, or has active dropout;
        see :func:`~ganmc_lightning.networks.folding.fold_batchnorm`. The copy is not a submodule and is not saved. It
        is dropped when weights are changed, moved or converted, as at the end of ``Trainer.fit``. Hooks that are added
        to layers of the network later are not run.

        Args:
            inputs: samples (N, ...), with which the outputs of network and copy are compared.
        """
        self.unfold()
        tensors = [*self.network.parameters(), *self.network.buffers()]
        if self.dropout or any(tensor.is_inference() for tensor in tensors):  # these have no versions
            return
        folded = fold_batchnorm(self.network, self.normalize(inputs))
        if folded is not None:
            self._folded = folded, tensors, _versions(tensors)

    def unfold(self) -> None:
        """Let the forward pass use the network itself."""
        self._folded = None

    @property
    def folded(self) -> nn.Module:
        """The copy with folded batch normalization if there is one, else the network."""
        if self._folded is not None:
            folded, tensors, versions = self._folded
            if _versions(tensors) == versions:
                return folded
            self.unfold()
        return self.network

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.unfold()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickle and :func:`copy.deepcopy` store, and what names cached logits: not the copy."""
        return {**self.__dict__, "_folded": None}

    # -- forward pass --------------------------------------------------------------------------------------

    @torch.no_grad()
    def forward(self, inputs: Tensor, *conditions: Tensor) -> Tensor:
        """Return the output of the network without a graph; ``conditions`` are e.g. the labels of a generator."""
        outputs: Tensor = self.folded(self.normalize(inputs), *conditions)
        return outputs


def _versions(tensors: list[Tensor]) -> int:
    """Return the number of changes in place of all tensors."""
    return sum(tensor._version for tensor in tensors)
