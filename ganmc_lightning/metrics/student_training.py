"""Training of the students of the Compression Score."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.losses.distillation import l2_logits_loss
from ganmc_lightning.networks.batchnorm import reject_single_values
from ganmc_lightning.networks.modes import evaluating

FORWARD_BATCH = 1000


def train_student(
    student: Callable[[], nn.Module],
    inputs: Tensor,
    targets: Tensor,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> nn.Module:
    """Train a new student on the teacher's logits without changing the global random state."""
    devices = [inputs.device] if inputs.is_cuda else []
    with torch.random.fork_rng(devices), torch.enable_grad(), torch.inference_mode(False):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the other devices
        if devices:
            with torch.cuda.device(inputs.device):
                torch.cuda.manual_seed(seed)
        network = student().to(inputs.device).train()
        fused = inputs.device.type in ("cpu", "cuda")
        optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=fused)
        if batch_size == 1:
            reject_single_values(network, "set batch_size of the Compression Score to at least 2")
        order = torch.empty(0, dtype=torch.long, device=inputs.device)
        for _ in range(steps):
            while len(order) < batch_size:
                # Drawn on the CPU, so that all devices have the same order; copied once per epoch, which waits.
                order = torch.cat([order, torch.randperm(len(inputs)).to(inputs.device)])
            index, order = order[:batch_size], order[batch_size:]
            loss = l2_logits_loss(network(_network_input(inputs[index], network)), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


@torch.no_grad()
def network_logits(network: nn.Module, inputs: Tensor) -> Tensor:
    """Compute the logits of stored samples in evaluation mode, float32 (N, K)."""
    with evaluating(network):
        return torch.cat([network(_network_input(batch, network)).float() for batch in inputs.split(FORWARD_BATCH)])


def _network_input(inputs: Tensor, network: nn.Module) -> Tensor:
    """Convert stored samples to the input of a network, in the dtype of its weights."""
    samples = to_float_images(inputs)
    return samples.to(next(network.parameters(), samples).dtype)
