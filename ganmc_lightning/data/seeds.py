"""Random seeds derived from the seed of a run, distinct for every step and process."""

from __future__ import annotations

import hashlib

SPLIT_SEED = 0
"""Seed of all splits of a data set, which are equal in every run, independent of the seed of the run."""


def derive_seed(*parts: int) -> int:
    """Hash integers to one 32-bit seed.

    PyTorch's CPU generator uses only the low 32 bits of a seed, so the hash has 32 bits.

    Example:
        >>> derive_seed(0, 1) == derive_seed(0, 1), derive_seed(0, 1) == derive_seed(1, 0)
        (True, False)
    """
    digest = hashlib.blake2b(",".join(map(str, parts)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")
