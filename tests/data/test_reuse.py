from __future__ import annotations

import math
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from ganmc_lightning.data.reuse import count_batches, real_uses, warn_of_reuse
from ganmc_lightning.synthesizers import JitterSynthesizer, PooledSynthesizer


def trainer(max_epochs: int | None = 10, max_steps: int = -1, world_size: int = 1) -> Any:
    """Return a trainer of 50 batches per epoch."""
    return SimpleNamespace(max_epochs=max_epochs, max_steps=max_steps, num_training_batches=50, world_size=world_size)


def test_number_of_batches_and_uses() -> None:
    assert count_batches(trainer()) == 500
    assert count_batches(trainer(max_steps=120)) == 120
    assert count_batches(trainer(max_epochs=None, max_steps=120)) == 120
    assert count_batches(trainer(max_epochs=-1)) == math.inf
    assert real_uses(trainer(), 1000, 20, 0.25) == 7.5  # 500 * 15 / 1000
    assert real_uses(trainer(max_epochs=-1), 1000, 20, 1.0) == 0


@pytest.mark.parametrize(
    ("size", "refresh", "folder", "world_size", "uses"),
    [
        (100, 0.0, None, 1, 50),  # 500 * 20 * 0.5 / 100
        (100, 0.0, "pools", 2, 100),  # two processes share the pool
        (50, 0.1, None, 2, 53),  # 5000 / (50 + 9 * 5)
        (250, 0.0, None, 1, None),
        (100, 0.5, None, 1, None),  # 5000 / (100 + 9 * 50)
    ],
)
def test_warning_above_the_limit(
    size: int, refresh: float, folder: str | None, world_size: int, uses: int | None
) -> None:
    pool = PooledSynthesizer(JitterSynthesizer(), size, refresh, folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_reuse(trainer(world_size=world_size), pool, batch_size=20, p_fake=0.5)
        warn_of_reuse(trainer(), JitterSynthesizer(), batch_size=20, p_fake=0.5)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == (uses is not None)
    assert all(f"is used about {uses} times, more than 20" in message for message in messages)
