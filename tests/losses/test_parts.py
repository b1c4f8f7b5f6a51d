from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import TotalLoss, loss_columns


class Parts(NamedTuple):
    total: Tensor
    soft: Tensor
    hard: Tensor | None


def test_columns_are_named_by_prefix_and_field() -> None:
    parts = Parts(torch.tensor(3.0), torch.tensor(1.0), torch.tensor(2.0))
    assert loss_columns(parts) == {"loss": 3.0, "loss_soft": 1.0, "loss_hard": 2.0}
    assert loss_columns(TotalLoss(torch.tensor(3.0)), "loss_generator") == {"loss_generator": 3.0}


def test_parts_that_were_not_computed_have_no_column() -> None:
    assert loss_columns(Parts(torch.tensor(3.0), torch.tensor(1.0), None)).keys() == {"loss", "loss_soft"}


def test_a_tensor_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"expected a named tuple .* e\.g\. TotalLoss"):
        loss_columns(torch.tensor(1.0))  # type: ignore[arg-type]
