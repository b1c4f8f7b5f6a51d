"""Means of scalars: over training steps without device synchronization, and over the samples of a split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses.classification import hard_cross_entropy
from ganmc_lightning.losses.precision import at_least_float32


class MeanAccumulator:
    """Running means of named scalars; sums stay on the device, in float32 or wider.

    Example:
        >>> means = MeanAccumulator()
        >>> means.update({"loss": torch.tensor(1.0)})
        >>> means.update({"loss": torch.tensor(2.0)})
        >>> means.compute_and_reset()
        {'loss': tensor(1.5000)}
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def update(self, values: Mapping[str, Tensor]) -> None:
        """Add one value per name; gradients are detached."""
        for name, value in values.items():
            value = at_least_float32(value.detach())
            if name in self._sums:
                self._sums[name] = self._sums[name] + value
            else:
                self._sums[name] = value
            self._counts[name] = self._counts.get(name, 0) + 1

    def compute_and_reset(self) -> dict[str, Tensor]:
        """Return the means since the last call."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return sums and counts, to be stored in a checkpoint."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Restore stored sums and counts on ``device``."""
        self._sums = {name: at_least_float32(total).to(device) for name, total in state["sums"].items()}
        self._counts = dict(state["counts"])


def log_sample_means(module: LightningModule, means: Mapping[str, Tensor], n: float, prog_bar: bool = False) -> None:
    """Log means over one batch; Lightning averages them over all samples of the epoch and all processes.

    Args:
        module: module that logs, in its ``validation_step`` or ``test_step``.
        means: scalar means over the batch, by full metric name.
        n: number of samples in the batch.
        prog_bar: whether the progress bar displays the values (default: False).
    """
    # Lightning averages sums and counts over processes, and would round the average of integer counts.
    count: int = float(n)  # type: ignore[assignment]
    module.log_dict(means, on_step=False, on_epoch=True, prog_bar=prog_bar, sync_dist=True, batch_size=count)


def log_classification_metrics(module: LightningModule, stage: str, logits: Tensor, labels: Tensor) -> None:
    """Log ``<stage>/accuracy`` and ``<stage>/cross_entropy`` over the samples with a known label.

    Both are exact means over all batches and processes, and 0 for a split without known labels.

    Args:
        module: module that logs.
        stage: ``"val"`` or ``"test"``.
        logits: float (N, K); the metrics are computed in float32 or wider.
        labels: int64 (N,), :data:`~ganmc_lightning.batch.UNKNOWN_LABEL` where unknown.
    """
    known = int((labels != UNKNOWN_LABEL).sum())
    metrics = {
        f"{stage}/accuracy": (logits.argmax(dim=1) == labels).sum() / max(known, 1),
        f"{stage}/cross_entropy": hard_cross_entropy(logits, labels),
    }
    # A tiny weight instead of 0: a split without labels would give 0 / 0, and NaN ends a run as diverged.
    log_sample_means(module, metrics, known or 1e-30, prog_bar=True)
