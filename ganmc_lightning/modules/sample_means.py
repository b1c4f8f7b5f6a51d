"""Means over the samples of a split, logged by validation and test steps."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch import LightningModule
from torch import Tensor


def log_sample_means(module: LightningModule, means: Mapping[str, Tensor], n: int, prog_bar: bool = False) -> None:
    """Log the means over one batch so that the epoch's values are means over all samples of all processes.

    Args:
        module: who logs, in its ``validation_step`` or ``test_step``.
        means: scalars, the mean over the batch each, by the full name.
        n: samples in the batch.
        prog_bar: whether the progress bar shows them.
    """
    # Lightning averages sums and counts over the processes. As an integer an odd count would lose its half there.
    count: int = float(n)  # type: ignore[assignment]
    module.log_dict(means, on_step=False, on_epoch=True, prog_bar=prog_bar, sync_dist=True, batch_size=count)
