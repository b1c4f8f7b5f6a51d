"""Costs of a network for its card."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganmc_lightning.cards.results import ClassifierResult, Role
from ganmc_lightning.networks.profiling import (
    count_flops,
    count_parameters,
    device_name,
    single_thread,
    state_dict_size,
    throughput,
)

LATENCY_BATCHES = (1, 64)
LATENCY_SECONDS = 0.2
"""Duration of the measurement of each batch size."""


def latency_note(device: torch.device) -> str:
    """Return the note of a card on the device that :func:`measure_classifier` uses for a sample on it.

    Example:
        >>> latency_note(torch.device("cpu"))
        'Latency: seconds per call on the CPU of this machine, one thread.'
    """
    name = "the CPU of this machine" if device.type == "cpu" else device_name(device)
    return f"Latency: seconds per call on {name}, one thread."


def measure_classifier(
    name: str,
    role: Role,
    network: nn.Module,
    image: Tensor,
    logits: Tensor,
    val_logits: Tensor | None = None,
    val_labels: Tensor | None = None,
) -> ClassifierResult:
    """Measure parameters, FLOPs, bytes and latency of a network, the latter on one thread as that of exported files.

    Args:
        name: unique name on the page.
        role: ``"teacher"``, ``"student"`` or ``"baseline"``.
        network: the network, on the device of ``image``, on which the latency is measured.
        image: one sample, (1, C, H, W) or (1, D).
        logits: logits of the test samples, (N, K).
        val_logits: logits of validation samples, (M, K), or None (default).
        val_labels: int64 (M,), labels of the validation samples, or None (default).

    Example:
        >>> import torch
        >>> network = nn.Linear(4, 2)
        >>> result = measure_classifier("linear", "student", network, torch.zeros(1, 4), network(torch.zeros(3, 4)))
        >>> result.parameters, result.flops, sorted(result.latency)
        (10, 16, [1, 64])
    """
    batches = {size: image.expand(size, *image.shape[1:]).contiguous() for size in LATENCY_BATCHES}
    with single_thread():
        latency = {size: size / throughput(network, x, seconds=LATENCY_SECONDS) for size, x in batches.items()}
    return ClassifierResult(
        name,
        role,
        logits,
        parameters=count_parameters(network),
        flops=count_flops(network, image),
        bytes=state_dict_size(network),
        latency=latency,
        val_logits=val_logits,
        val_labels=val_labels,
    )
