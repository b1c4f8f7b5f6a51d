"""What a network costs: parameters and operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def parameter_count(network: nn.Module) -> int:
    """Number of parameters, trained or frozen."""
    return sum(parameter.numel() for parameter in network.parameters())


def forward_flops(network: nn.Module, *inputs: Tensor) -> int:
    """Floating-point operations of one forward pass, a multiplication and an addition counted as two.

    Convolutions and matrix products are counted (``torch.utils.flop_counter``); element-wise work is not.

    Args:
        network: on the device of ``inputs``.
        inputs: what it is called with.
    """
    was_training = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*inputs)
    network.train(was_training)
    return int(counter.get_total_flops())
