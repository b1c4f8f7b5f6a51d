"""What all metrics here share: every number comes with its protocol, and is that of all processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torchmetrics import Metric

from ganmc_lightning.exceptions import ConfigurationError

Protocol = dict[str, str | int | float | bool]


class GenerativeMetric(Metric):
    """Abstract: a metric that says what its number rests on and whether it can be trusted.

    Args:
        lists: the list states, by name, each with an empty tensor of the shape and dtype of its rows.

    Attributes:
        counts: how many samples the last ``compute()`` saw, by kind, over all processes.
        flags: what the last ``compute()`` found doubtful about its number; empty when all is well.
    """

    def __init__(self, lists: Mapping[str, Tensor], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._empty = dict(lists)
        for name in lists:
            # "cat", also where torchmetrics has None: that waits for ever when processes saw unequally many batches.
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.counts: dict[str, int] = {}
        self.flags: tuple[str, ...] = ()

    def settings(self) -> Protocol:
        """The metric's own settings."""
        return {}

    def protocol(self) -> Protocol:
        """What the number of the last ``compute()`` must be printed with: settings, counts, flags."""
        counts = {f"n_{kind}": count for kind, count in self.counts.items()}
        return {**self.settings(), **counts, "flags": "; ".join(self.flags)}

    def reset(self) -> None:
        """Forget all samples."""
        super().reset()
        self.counts, self.flags = {}, ()

    def set_dtype(self, dst_type: str | torch.dtype) -> Self:
        """Keep the precision: sums are float64 and samples are kept as they came, whatever the precision of a run."""
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Self:
        """Move the state to another device, but not to another precision, as ``module.to(torch.bfloat16)`` would."""

        def moved(tensor: Tensor) -> Tensor:
            found = fn(tensor)
            return found if found.dtype == tensor.dtype else tensor.to(found.device)

        super()._apply(moved, exclude_state)
        return self

    def sync(
        self,
        dist_sync_fn: Callable[..., Any] | None = None,
        process_group: Any | None = None,
        should_sync: bool = True,
        distributed_available: Callable[..., Any] | None = None,
    ) -> None:
        """Gather the states of all processes, also of those that saw no sample."""
        for name, empty in self._empty.items():
            if isinstance(getattr(self, name), list) and not getattr(self, name):
                setattr(self, name, [empty.to(self.device)])
        super().sync(dist_sync_fn, process_group, should_sync, distributed_available)

    def gathered(self, name: str) -> Tensor:
        """All rows of a list state, which a sync makes one tensor."""
        state: list[Tensor] | Tensor = getattr(self, name)
        return state if isinstance(state, Tensor) else torch.cat(state or [self._empty[name].to(self.device)])

    def require(self, at_least: int, advice: str = "give more") -> None:
        """Raise :class:`ConfigurationError` where a kind of samples has fewer than ``at_least``."""
        for kind, count in self.counts.items():
            if count < at_least:
                name = type(self).__name__
                raise ConfigurationError(f"{name} needs at least {at_least} {kind} samples, got {count}: {advice}")
