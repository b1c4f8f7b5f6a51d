"""Random state of a run: saved and restored for exact resume, and different in each process."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the states of PyTorch's random generators of the CPU and, if it is a CUDA device, of ``device``."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Set PyTorch's random generators to states returned by :func:`random_state`.

    Example:
        >>> cpu = torch.device("cpu")
        >>> state = random_state(cpu)
        >>> first = torch.rand(3)
        >>> restore_random_state(state, cpu)
        >>> torch.equal(torch.rand(3), first)
        True
    """
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def seed_process(rank: int, world_size: int, iteration: int) -> None:
    """Seed all processes except the first; otherwise all processes would draw equal random numbers.

    Args:
        rank: number of this process; 0 keeps its state.
        world_size: number of processes.
        iteration: number of training batches so far, so that a resumed run draws new numbers.
    """
    if rank > 0:
        # An arbitrary large prime keeps these seeds away from the seeds of neighboring runs.
        torch.manual_seed(torch.initial_seed() + 10_007 * (rank + world_size * iteration))
