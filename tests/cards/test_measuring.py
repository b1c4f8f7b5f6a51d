"""Measured costs of a classifier."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganmc_lightning.cards import measure_classifier


class Recorded(nn.Module):
    """Record the numbers of threads of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(4, 2)
        self.threads: list[int] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.threads.append(torch.get_num_threads())
        logits: Tensor = self.network(inputs)
        return logits


def test_latencies_are_those_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganmc_lightning.cards.measuring.LATENCY_SECONDS", 0.01)
    threads, network = torch.get_num_threads(), Recorded()
    torch.set_num_threads(2)
    try:
        measure_classifier("recorded", "student", network, torch.zeros(1, 4), torch.zeros(3, 2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert network.threads.count(1) > 10
    assert network.threads.count(2) == 1  # to count the operations
