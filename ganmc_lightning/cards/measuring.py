"""Costs of a network for its card."""

from __future__ import annotations

from torch import Tensor, nn

from ganmc_lightning.cards.results import ClassifierResult, Role
from ganmc_lightning.networks.profiling import count_flops, count_parameters, state_dict_size, throughput

LATENCY_BATCHES = (1, 64)
LATENCY_SECONDS = 0.2
"""Duration of the measurement of each batch size."""


def measure_classifier(
    name: str,
    role: Role,
    network: nn.Module,
    image: Tensor,
    logits: Tensor,
    val_logits: Tensor | None = None,
    val_labels: Tensor | None = None,
) -> ClassifierResult:
    """Measure parameters, FLOPs, bytes and latency of a network.

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
    return ClassifierResult(
        name,
        role,
        logits,
        parameters=count_parameters(network),
        flops=count_flops(network, image),
        bytes=state_dict_size(network),
        latency={size: size / throughput(network, batch, seconds=LATENCY_SECONDS) for size, batch in batches.items()},
        val_logits=val_logits,
        val_labels=val_labels,
    )
