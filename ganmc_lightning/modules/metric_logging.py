"""Means of scalars over training steps and over the samples of a split, without device synchronization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses.precision import at_least_float32

Interval = Literal["epoch", "step"]
ROWS: dict[Interval, int] = {"epoch": 0, "step": 1}
"""Row of the sums of each interval."""
NO_SAMPLES = 1e-30
"""Weight of a mean over no samples: with 0, Lightning would compute 0 / 0, and NaN ends a run as diverged."""


class StepSums(NamedTuple):
    """Sums of scalars that are recorded together.

    Attributes:
        sums: float32 or wider (2, K), one row per interval.
        counts: number of steps per interval.
    """

    sums: Tensor
    counts: list[int]


class StepMeans:
    """Running means of named scalars over the epoch and over the logging interval.

    The scalars of a step are stacked and added to both sums in one operation, on the device, in float32 or wider.

    Example:
        >>> means = StepMeans()
        >>> means.update({"loss": torch.tensor(1.0), "accuracy": torch.tensor(0.5)})
        tensor([1.0000, 0.5000])
        >>> _ = means.update({"loss": torch.tensor(2.0), "accuracy": torch.tensor(0.5)})
        >>> means.compute_and_reset("step")
        {'loss': tensor(1.5000), 'accuracy': tensor(0.5000)}
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, ...], StepSums] = {}

    def update(self, values: Mapping[str, Tensor]) -> Tensor:
        """Add one value per name; gradients are detached.

        Args:
            values: scalars on one device.

        Returns:
            The values, float32 or wider (K,).
        """
        with torch.no_grad():
            stacked = at_least_float32(torch.stack(list(values.values())))
            names = tuple(values)
            if names not in self._groups:
                self._groups[names] = StepSums(stacked.new_zeros(len(ROWS), len(names)), [0] * len(ROWS))
            sums, counts = self._groups[names]
            sums += stacked
        for row in ROWS.values():
            counts[row] += 1
        return stacked

    def compute_and_reset(self, interval: Interval) -> dict[str, Tensor]:
        """Return the means since the last call for this interval."""
        row = ROWS[interval]
        totals: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for names, group in self._groups.items():
            if group.counts[row] == 0:
                continue
            for name, total in zip(names, group.sums[row].clone(), strict=True):
                totals[name] = totals[name] + total if name in totals else total
                counts[name] = counts.get(name, 0) + group.counts[row]
            group.sums[row].zero_()
            group.counts[row] = 0
        return {name: total / counts[name] for name, total in totals.items()}

    def state_dict(self) -> list[dict[str, Any]]:
        """Return names, sums and counts, to be stored in a checkpoint, on the CPU.

        With several processes they are pickled; each process would unpickle tensors of a GPU onto that GPU.
        """
        return [
            {"names": list(names), "sums": group.sums.clone().cpu(), "counts": list(group.counts)}
            for names, group in self._groups.items()
        ]

    def load_state_dict(self, state: Sequence[Mapping[str, Any]], device: torch.device) -> None:
        """Restore stored sums and counts on ``device``."""
        self._groups = {
            tuple(group["names"]): StepSums(group["sums"].clone().to(device), list(group["counts"])) for group in state
        }


class SampleMeans:
    """Means over the samples of a split, exact over all batches and processes.

    Sums and numbers of samples stay on the device, in float32 or wider; a batch needs one addition.
    """

    def __init__(self) -> None:
        self._totals: dict[tuple[str, ...], Tensor] = {}
        self._displayed: set[tuple[str, ...]] = set()

    def update(self, sums: Mapping[str, Tensor], count: Tensor | int, prog_bar: bool = False) -> None:
        """Add the sums of one batch.

        Args:
            sums: scalar sums over samples of the batch, by name, on one device.
            count: number of these samples; a tensor if it depends on the data.
            prog_bar: whether the progress bar displays the means (default: False).
        """
        names, values = tuple(sums), list(sums.values())
        if not isinstance(count, Tensor):  # filled on the device, because a copy from the host would wait for it
            count = torch.full((), count, device=values[0].device)
        total = at_least_float32(torch.stack([*values, count]))
        self._totals[names] = self._totals[names] + total if names in self._totals else total
        if prog_bar:
            self._displayed.add(names)

    def log_and_reset(self, module: LightningModule, stage: str) -> None:
        """Log the means as ``<stage>/<name>``; 0 where no batch had samples.

        Args:
            module: module that logs, in its ``on_validation_epoch_end`` or ``on_test_epoch_end``.
            stage: ``"val"`` or ``"test"``.
        """
        for names, total in self._totals.items():
            weight = total[-1].clamp(min=NO_SAMPLES)
            means = {f"{stage}/{name}": mean for name, mean in zip(names, total[:-1] / weight, strict=True)}
            # Lightning averages the products of means and weights, and the weights, over the processes.
            module.log_dict(means, prog_bar=names in self._displayed, sync_dist=True, batch_size=weight)  # type: ignore[arg-type]
        self._totals.clear()


def classification_sums(logits: Tensor, labels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Return sums of accuracy and cross-entropy over the samples with a known label, and the number of these samples.

    Args:
        logits: float (N, K); the cross-entropy is computed in float32 or wider.
        labels: int64 (N,), :data:`~ganmc_lightning.batch.UNKNOWN_LABEL` where unknown.

    Example:
        >>> classification_sums(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), torch.tensor([1, 0, -1]))
        ({'accuracy': tensor(1), 'cross_entropy': tensor(1.0064)}, tensor(2))
    """
    losses = F.cross_entropy(at_least_float32(logits), labels, ignore_index=UNKNOWN_LABEL, reduction="sum")
    correct = (logits.argmax(dim=1) == labels).sum()
    return {"accuracy": correct, "cross_entropy": losses}, (labels != UNKNOWN_LABEL).sum()
