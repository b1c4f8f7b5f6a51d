"""Logits of a classifier for all samples of a loader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.networks.modes import evaluating


@torch.no_grad()
def predict_logits(
    network: nn.Module, batches: Iterable[Sequence[Tensor]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Compute the logits of all samples of a loader in evaluation mode.

    Args:
        network: classifier on the device.
        batches: stored inputs, uint8 images or float rows, and labels of each batch.
        device: device of the network.

    Returns:
        Logits float32 (N, K) and labels int64 (N,), on the CPU.

    Example:
        >>> batches = [(torch.full((2, 1, 1, 1), 255, dtype=torch.uint8), torch.tensor([0, 1]))]
        >>> predict_logits(nn.Flatten(), batches, torch.device("cpu"))
        (tensor([[1.],
                [1.]]), tensor([0, 1]))
    """
    with evaluating(network):
        found = [
            (network(to_float_images(inputs.to(device))).float().cpu(), labels.cpu()) for inputs, labels, *_ in batches
        ]
    return torch.cat([logits for logits, _ in found]), torch.cat([labels for _, labels in found])
