"""Means of scalars over many steps without a device synchronisation in any of them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


class RunningMeans:
    """Sums that stay on the device until somebody asks for the means."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add one value a name; gradients are cut off."""
        for name, value in values.items():
            value = value.detach()
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
