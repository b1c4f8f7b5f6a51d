from __future__ import annotations

from itertools import product

from ganmc_lightning.data.seeds import derive_seed


def test_seeds_differ_and_fit_in_32_bits() -> None:
    seeds = {derive_seed(*parts) for parts in product(range(3), range(3), range(2), range(200))}
    assert len(seeds) == 3 * 3 * 2 * 200
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_parts_are_told_apart() -> None:
    assert len({derive_seed(1, 23), derive_seed(12, 3), derive_seed(123), derive_seed(3, 12)}) == 4


def test_same_in_every_process() -> None:
    assert derive_seed(0, 1, 2) == 775635253  # written down once: runs must stay repeatable
