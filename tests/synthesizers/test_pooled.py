from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec, to_float_images, to_uint8_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import PooledSynthesizer, Synthesizer

SPEC = DataSpec((1, 2, 2), 3)


class Numbered(Synthesizer):
    """Images with the gray level of a counter, which indicates when an image was drawn."""

    def __init__(self) -> None:
        self.drawn = 0

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        self.labels = labels

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        levels = torch.arange(self.drawn, self.drawn + n, dtype=torch.uint8)
        self.drawn += n
        return to_float_images(levels.view(-1, 1, 1, 1).expand(n, 1, 2, 2)), levels.long() % 3


class Noise(Synthesizer):
    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        pass

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        return torch.rand(n, 1, 2, 2, generator=generator) * 2 - 1, torch.zeros(n, dtype=torch.long)


def fitted(pool: PooledSynthesizer) -> PooledSynthesizer:
    pool.fit(None, torch.tensor([0, 1, 2]), SPEC)
    return pool


def levels(pool: PooledSynthesizer, n: int = 400) -> set[int]:
    """The gray levels in the pool, seen through enough draws."""
    samples, labels = pool.sample(n, torch.Generator().manual_seed(0))
    found = to_uint8_images(samples)[:, 0, 0, 0].long()
    assert torch.equal(found % 3, labels)
    return set(found.tolist())


def test_the_oldest_share_is_replaced_each_epoch() -> None:
    pool = fitted(PooledSynthesizer(Numbered(), size=8, refresh=0.25))
    pool.start_epoch(0, seed=0)
    assert levels(pool) == set(range(8))
    pool.start_epoch(1, seed=0)
    assert levels(pool) == {*range(2, 8), 8, 9}
    pool.start_epoch(2, seed=0)
    assert levels(pool) == {*range(4, 12)}
    for epoch in (3, 4, 5):
        pool.start_epoch(epoch, seed=0)
    assert levels(pool) == set(range(10, 18))


@pytest.mark.parametrize(("refresh", "kept"), [(0.0, set(range(5))), (1.0, {10, 11, 12, 13, 14})])
def test_all_or_nothing_is_replaced(refresh: float, kept: set[int]) -> None:
    pool = fitted(PooledSynthesizer(Numbered(), size=5, refresh=refresh))
    for epoch in range(3):
        pool.start_epoch(epoch, seed=0)
    assert levels(pool) == kept


@pytest.mark.parametrize("refresh", [0.0, 0.3, 0.5, 1.0])
def test_a_resumed_run_has_the_same_pool(refresh: float) -> None:
    undisturbed = fitted(PooledSynthesizer(Noise(), size=10, refresh=refresh))
    for epoch in range(8):
        undisturbed.start_epoch(epoch, seed=3)
        resumed = fitted(PooledSynthesizer(Noise(), size=10, refresh=refresh))
        resumed.start_epoch(epoch, seed=3)
        draws = [pool.sample(50, torch.Generator().manual_seed(1))[0] for pool in (undisturbed, resumed)]
        assert torch.equal(*draws)
    other = fitted(PooledSynthesizer(Noise(), size=10, refresh=refresh))
    other.start_epoch(7, seed=4)
    assert not torch.equal(other.sample(50, torch.Generator().manual_seed(1))[0], draws[0])


def test_logits_belong_to_their_samples_also_after_a_replacement() -> None:
    pool = fitted(PooledSynthesizer(Noise(), size=12, refresh=0.25))
    pool.start_epoch(0, seed=0)
    assert pool.sample_with_logits(4)[2] is None
    pool.set_teacher(lambda samples: samples.flatten(1) * 2)
    for epoch in range(3):
        pool.start_epoch(epoch, seed=0)
        samples, _, logits = pool.sample_with_logits(30)
        torch.testing.assert_close(logits, samples.flatten(1) * 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"size": 0}, "size: got 0"), ({"refresh": 1.5}, "refresh: got 1.5")]
)
def test_values_out_of_range(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PooledSynthesizer(Noise(), **arguments)


def test_drawing_before_an_epoch_has_started() -> None:
    with pytest.raises(ConfigurationError, match="not fitted"):
        PooledSynthesizer(Noise(), size=4).start_epoch(0, seed=0)
    with pytest.raises(ConfigurationError, match="not fitted"):
        fitted(PooledSynthesizer(Noise(), size=4)).sample(1)
