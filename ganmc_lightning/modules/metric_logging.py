"""Means of scalars over many steps without a device synchronisation in any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganmc_lightning.losses.precision import at_least_float32


class MeanAccumulator:
    """Sums, in float32 or wider, that stay on the device until somebody asks for the means."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add one value a name; gradients are cut off."""
        for name, value in values.items():
            value = at_least_float32(value.detach())
            if name in self._sums:
                self._sums[name] = self._sums[name] + value
            else:
                self._sums[name] = value
            self._counts[name] = self._counts.get(name, 0) + 1

    def pop(self) -> dict[str, Tensor]:
        """Return the means since the last call and start anew."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """Sums and counts, to be stored in a checkpoint."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on with stored sums and counts on ``device``."""
        self._sums = {name: at_least_float32(total).to(device) for name, total in state["sums"].items()}
        self._counts = dict(state["counts"])
