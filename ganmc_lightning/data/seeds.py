"""Seeds derived from a run's seed, so that every step of every process has random numbers of its own."""

from __future__ import annotations

import hashlib

SPLIT_SEED = 0
"""The split into training and validation part is the same in every run: no run trains on what another, or its
teacher, is chosen by."""


def derive_seed(*parts: int) -> int:
    """Mix integers into one seed of 32 bits.

    PyTorch's CPU generator looks at the low 32 bits of its seed alone, so seeds that differ only above them
    would give the same numbers.

    Example:
        >>> derive_seed(0, 1) == derive_seed(0, 1), derive_seed(0, 1) == derive_seed(1, 0)
        (True, False)
    """
    digest = hashlib.blake2b(",".join(map(str, parts)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")
