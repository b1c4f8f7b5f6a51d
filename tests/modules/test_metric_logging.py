from __future__ import annotations

import pytest
import torch

from ganmc_lightning.modules.metric_logging import MeanAccumulator


def test_means_since_the_last_time() -> None:
    means = MeanAccumulator()
    weight = torch.tensor(2.0, requires_grad=True)
    means.add({"loss": weight * 1, "rare": torch.tensor(5.0)})
    means.add({"loss": weight * 2})
    popped = means.pop()
    assert {name: value.item() for name, value in popped.items()} == {"loss": 3.0, "rare": 5.0}
    assert not popped["loss"].requires_grad
    assert means.pop() == {}
    means.add({"loss": torch.tensor(7.0)})
    assert means.pop()["loss"] == 7.0


def test_values_are_not_changed_in_place() -> None:
    means, value = MeanAccumulator(), torch.tensor(1.0)
    means.add({"loss": value})
    means.add({"loss": value})
    assert value == 1.0


def test_a_copy_goes_on_where_the_first_was() -> None:
    first, second = MeanAccumulator(), MeanAccumulator()
    first.add({"loss": torch.tensor(1.0)})
    state = first.state_dict()
    first.add({"loss": torch.tensor(100.0)})  # the state is of the moment it was asked for
    second.load_state_dict(state, torch.device("cpu"))
    second.add({"loss": torch.tensor(2.0)})
    assert second.pop()["loss"] == 1.5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_of_half_precision_are_wider(dtype: torch.dtype) -> None:
    """In bfloat16 a sum of ones stops at 256, in float16 one of hundreds is infinite after 600 steps."""
    means = MeanAccumulator()
    for _ in range(1000):
        means.add({"one": torch.ones((), dtype=dtype), "many": torch.full((), 120.0, dtype=dtype)})
    popped = means.pop()
    assert {name: value.item() for name, value in popped.items()} == {"one": 1.0, "many": 120.0}
    assert popped["one"].dtype == torch.float32
    means.load_state_dict({"sums": {"one": torch.tensor(3.0, dtype=dtype)}, "counts": {"one": 2}}, torch.device("cpu"))
    assert means.pop()["one"].dtype == torch.float32


def test_double_precision_is_kept() -> None:
    means = MeanAccumulator()
    means.add({"loss": torch.tensor(1.0, dtype=torch.float64)})
    assert means.pop()["loss"].dtype == torch.float64
