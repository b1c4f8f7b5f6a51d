"""Return values of losses: the total, which training minimizes, and its parts, which modules log."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError


class LossParts(Protocol):
    """Return value of a loss, a ``NamedTuple`` of scalars with ``total`` as first field.

    The other fields are the parts of the total before they are weighted. Parts that were not computed are None.
    """

    @property
    def total(self) -> Tensor:
        """Scalar to minimize."""

    def _asdict(self) -> dict[str, Any]: ...


class TotalLoss(NamedTuple):
    """Return value of a loss that has no parts.

    Attributes:
        total: scalar to minimize.
    """

    total: Tensor


def loss_columns(parts: LossParts, prefix: str = "loss") -> dict[str, Tensor]:
    """Name the parts of a loss for the log: ``<prefix>`` for the total, ``<prefix>_<part>`` for each part.

    Args:
        parts: return value of a loss.
        prefix: name of the total.

    Raises:
        ConfigurationError: the loss returned a tensor.

    Example:
        >>> import torch
        >>> loss_columns(TotalLoss(torch.tensor(0.5)))
        {'loss': tensor(0.5000)}
    """
    if isinstance(parts, Tensor):
        raise ConfigurationError(
            "model.loss: got a tensor, expected a named tuple with the field total first, e.g. TotalLoss(total)"
        )
    total, *others = parts._asdict().items()
    return {prefix: total[1], **{f"{prefix}_{name}": value for name, value in others if value is not None}}
