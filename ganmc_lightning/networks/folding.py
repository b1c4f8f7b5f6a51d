"""Folding of batch normalization into the convolutions before it, for faster inference."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ganmc_lightning.networks.modes import unchanged_state
from ganmc_lightning.networks.wrappers import unwrap

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
DTYPES = (torch.float32, torch.float64)
"""Precisions of weights that are folded: the folded weights of lower precisions would be rounded once more."""
TOLERANCE = 1e-2
"""Largest difference of outputs, relative to the largest output; TensorFloat-32 differs by up to 1e-3."""


def fold_batchnorm(network: nn.Module, *inputs: Tensor) -> nn.Module | None:
    """Return a copy of a network in evaluation mode whose batch normalization is part of its convolutions.

    In evaluation mode, batch normalization is an affine function of each channel, which the weights and the bias of the
    convolution before it can include. The outputs are equal up to rounding.

    Pairs of layers are found by a forward pass of ``inputs``, and the outputs of the copy are compared with those of
    the network.

    Args:
        network: network in evaluation mode; it is not changed.
        inputs: positional inputs of the network.

    Returns:
        The copy; None if no layer can be folded: the output of no convolution is the input of batch normalization, the
        network is compiled, contains hooks or parametrizations, has weights that are neither float32 nor float64,
        cannot be copied, or its outputs change.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> folded = fold_batchnorm(network, torch.randn(2, 3, 8, 8))
        >>> [type(layer).__name__ for layer in folded]
        ['Conv2d', 'Sequential', 'ReLU']
    """
    if not any(map(_is_normalization, network.modules())) or not all(map(_is_plain, network.modules())):
        return None
    device = next(network.parameters(), torch.empty(0)).device
    try:
        with torch.no_grad(), unchanged_state(network, device):
            pairs = _find_pairs(network, inputs)
            if not pairs:
                return None
            folded = copy.deepcopy(network)
            for convolution, normalization in pairs:
                _fold(folded, convolution, normalization)
            return folded if _are_close(network(*inputs), folded(*inputs)) else None
    except Exception:  # a network may use its layers in any way, e.g. read the weights of a replaced layer
        return None


def _is_normalization(layer: nn.Module) -> bool:
    """Whether a layer is batch normalization, in timm's networks followed by dropout and an activation."""
    is_timm = type(layer).__module__ == "timm.layers.norm_act" and type(layer).__name__ == "BatchNormAct2d"
    return type(layer) in NORMALIZATIONS or is_timm


def _is_plain(layer: nn.Module) -> bool:
    """Whether calling a layer runs its ``forward`` on its own parameters and does nothing else."""
    return (
        unwrap(layer) is layer
        and layer._compiled_call_impl is None
        and not layer._forward_hooks
        and not layer._forward_pre_hooks
        and not hasattr(layer, "parametrizations")
        and all(parameter is None or type(parameter) is nn.Parameter for parameter in layer._parameters.values())
    )


def _find_pairs(network: nn.Module, inputs: tuple[Tensor, ...]) -> list[tuple[str, str]]:
    """Return the names of convolutions and of the batch normalization that is the only use of their output."""
    names = {layer: name for name, layer in network.named_modules()}
    uses = _CountUses()
    calls: Counter[nn.Module] = Counter()
    outputs: list[tuple[Tensor, int, nn.Module]] = []  # of convolutions, with the number of uses of their ids
    pairs: list[tuple[Tensor, int, nn.Module, nn.Module]] = []

    def record(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[layer] += 1
        if type(layer) in CONVOLUTIONS:
            outputs.append((output, uses.count[id(output)], layer))
            return
        for tensor, before, convolution in outputs:
            if inputs and inputs[0] is tensor and _can_fold(convolution, layer):
                pairs.append((tensor, before, convolution, layer))

    recorded = [layer for layer in names if type(layer) in CONVOLUTIONS or _is_normalization(layer)]
    handles = [layer.register_forward_hook(record) for layer in recorded]
    try:
        with uses:
            network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return [
        (names[convolution], names[normalization])
        for tensor, before, convolution, normalization in pairs
        if calls[convolution] == calls[normalization] == uses.count[id(tensor)] - before == 1
    ]


class _CountUses(TorchDispatchMode):
    """Count the operations that each tensor is an input of, by its id."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: Counter[int] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        self.count.update(id(each) for each in tree_leaves((arguments, keywords)) if isinstance(each, Tensor))
        return function(*arguments, **(keywords or {}))


def _can_fold(convolution: nn.Module, normalization: nn.Module) -> bool:
    mean, dtype = normalization.running_mean, convolution.weight.dtype
    return not normalization.training and isinstance(mean, Tensor) and mean.dtype == dtype and dtype in DTYPES


def _fold(network: nn.Module, convolution: str, normalization: str) -> None:
    layer: Any = network.get_submodule(normalization)
    fused: nn.Module = fuse_conv_bn_eval(network.get_submodule(convolution), layer)  # type: ignore[type-var]
    network.set_submodule(convolution, fused)
    network.set_submodule(normalization, nn.Sequential(*layer.children()))  # an activation, or nothing


def _are_close(expected: Any, outputs: Any) -> bool:
    if not isinstance(expected, Tensor) or not isinstance(outputs, Tensor) or expected.shape != outputs.shape:
        return False
    return bool((expected - outputs).abs().max() <= TOLERANCE * expected.abs().max())
