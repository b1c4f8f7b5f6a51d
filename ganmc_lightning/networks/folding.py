"""Folding of batch normalization into the convolutions before it, for faster inference."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

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

    The network is traced by ``torch.fx``, and the copy is compared with it on ``inputs``.

    Args:
        network: network in evaluation mode; it is not changed.
        inputs: positional inputs of the network, with which both are compared.

    Returns:
        The copy; None if no layer can be folded: there is no convolution directly followed by batch normalization, the
        network cannot be traced (e.g. its control flow depends on its inputs), it is compiled, it has hooks or
        parametrizations, its weights are neither float32 nor float64, or the outputs differ.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> folded = fold_batchnorm(network, torch.randn(2, 3, 8, 8))
        >>> [type(layer).__name__ for layer in folded.children()]
        ['Conv2d', 'ReLU']
    """
    layers = list(network.modules())
    if not any(type(layer) in NORMALIZATIONS for layer in layers) or not all(map(_is_plain, layers)):
        return None
    device = next(network.parameters(), torch.empty(0)).device
    try:
        # Tracing runs forward() of the copy, which may store its symbolic values in attributes.
        with torch.no_grad(), unchanged_state(network, device), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folded = fx.symbolic_trace(copy.deepcopy(network))
            if not _fold_layers(folded):
                return None
            # Twice, because the outputs may depend on the number of earlier calls.
            close = all(_are_close(network(*inputs), folded(*inputs)) for _ in range(2))
            return folded if close else None
    except Exception:  # the code of a network that is not written for tracing may raise any error
        return None


def _is_plain(layer: nn.Module) -> bool:
    """Whether calling a layer runs its ``forward`` on its own parameters and does nothing else."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks)
    parameters = layer._parameters.values()
    return (
        unwrap(layer) is layer
        and layer._compiled_call_impl is None
        and not any(hooks)
        and not hasattr(layer, "parametrizations")
        and all(parameter is None or type(parameter) is nn.Parameter for parameter in parameters)
    )


def _fold_layers(network: fx.GraphModule) -> int:
    """Fold the batch normalization of a traced network in place, and return the number of folded layers."""
    layers = dict(network.named_modules())
    calls = Counter(node.target for node in network.graph.nodes if node.op == "call_module")
    folded = 0
    for node in list(network.graph.nodes):
        source = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        name, convolution, normalization = str(source.target), layers[str(source.target)], layers[str(node.target)]
        if calls[source.target] != 1 or not _can_fold(convolution, normalization):
            continue
        parent, _, attribute = name.rpartition(".")
        setattr(network.get_submodule(parent), attribute, fuse_conv_bn_eval(convolution, normalization))
        node.replace_all_uses_with(source)
        network.graph.erase_node(node)
        folded += 1
    network.delete_all_unused_submodules()
    network.recompile()
    return folded


def _can_fold(convolution: nn.Module, normalization: nn.Module) -> bool:
    return (
        type(convolution) in CONVOLUTIONS
        and convolution.weight.dtype in DTYPES
        and type(normalization) in NORMALIZATIONS
        and not normalization.training
        and normalization.running_mean is not None
        and normalization.running_mean.dtype == convolution.weight.dtype
    )


def _are_close(expected: Any, outputs: Any) -> bool:
    if not isinstance(expected, Tensor) or not isinstance(outputs, Tensor) or expected.shape != outputs.shape:
        return False
    difference = (expected - outputs).abs().max()
    return bool(difference <= TOLERANCE * expected.abs().max())
