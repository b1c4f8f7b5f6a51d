"""Number of times that training uses each real sample, and each sample of a pool."""

from __future__ import annotations

import math

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn

from ganmc_lightning.synthesizers.base import Synthesizer
from ganmc_lightning.synthesizers.pooled import PooledSynthesizer

MAX_POOL_USES = 20
"""Uses of a pool's sample above which a warning is raised; see the experiment ``pool_digits``."""


def count_batches(trainer: Trainer) -> float:
    """Return the number of training batches of a process, infinite for unlimited training."""
    epochs = math.inf if trainer.max_epochs is None or trainer.max_epochs < 0 else trainer.max_epochs
    batches = float(trainer.num_training_batches) * epochs
    return batches if trainer.max_steps < 0 else min(batches, trainer.max_steps)


def real_uses(trainer: Trainer, num_samples: int, batch_size: int, p_fake: float) -> float:
    """Return how often a process uses each real sample on average.

    Args:
        trainer: trainer that defines the length of training.
        num_samples: number of real training samples.
        batch_size: number of samples in a batch of one process.
        p_fake: share of synthetic samples.
    """
    return 0.0 if p_fake == 1 else (1 - p_fake) * count_batches(trainer) * batch_size / num_samples


def warn_of_reuse(trainer: Trainer, pool: Synthesizer, batch_size: int, p_fake: float) -> None:
    """Warn if training of limited length uses each sample of a pool more than :data:`MAX_POOL_USES` times on average.

    Args:
        trainer: trainer that defines the length of training.
        pool: a pool; other synthesizers draw new samples in each step.
        batch_size: number of samples in a batch of one process.
        p_fake: share of synthetic samples.
    """
    if not isinstance(pool, PooledSynthesizer):
        return
    draws = p_fake * batch_size * count_batches(trainer)
    if pool.folder is not None:  # one pool for all processes
        draws *= trainer.world_size
    epochs = count_batches(trainer) / max(1, trainer.num_training_batches)
    uses = draws / (pool.size * (1 + pool.refresh * max(0, epochs - 1))) if math.isfinite(draws) else 0
    if uses > MAX_POOL_USES:
        rank_zero_warn(
            f"data.synthesizer: each sample of the pool is used about {uses:.0f} times, more than {MAX_POOL_USES}; "
            f"increase size (now {pool.size}){'' if pool.folder is not None else ' or refresh'}"
        )
