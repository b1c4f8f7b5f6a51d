"""Estimated time of pools of synthetic images."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from ganmc_lightning.compression import synthesis
from ganmc_lightning.compression.inputs import spec_of
from ganmc_lightning.synthesizers import JitterSynthesizer, PooledSynthesizer


class SlowSynthesizer(JitterSynthesizer):
    """Take 2 ms per sample."""

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        time.sleep(0.002 * n)
        return super().sample(n, generator)


def test_a_pool_is_filled_once_and_refreshed_in_each_epoch(
    gray: Any, teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesis, "MEASURED_SAMPLES", 10)
    pool = PooledSynthesizer(SlowSynthesizer(), size=1000, refresh=0.25)
    measured = synthesis.measure_synthesis(pool, teacher, gray, spec_of(gray))
    assert measured.start == pytest.approx(3 * measured.epoch)
    assert measured.epoch >= 0.002 * 250  # a lower bound: sleep is never shorter
    assert synthesis.measure_synthesis(JitterSynthesizer(), teacher, gray, spec_of(gray)) == (0, 0)
