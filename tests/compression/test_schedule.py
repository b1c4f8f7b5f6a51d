"""Learning rate of the students."""

from __future__ import annotations

import pytest
import torch

from ganmc_lightning.compression.schedule import cosine_schedule


def test_the_rate_rises_and_falls_to_zero() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = cosine_schedule(steps=40, warmup=0.1)(optimizer)
    rates = []
    for _ in range(40):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule["scheduler"].step()
    assert rates[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[4 + 18] == pytest.approx(1.0)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)


def test_one_step() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    cosine_schedule(steps=1, warmup=0.1)(optimizer)
    assert optimizer.param_groups[0]["lr"] == 2.0
