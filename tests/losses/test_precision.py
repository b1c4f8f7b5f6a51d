from __future__ import annotations

import pytest
import torch

from ganmc_lightning.losses import (
    L1Regularizer,
    L2Regularizer,
    fsp_loss,
    hard_cross_entropy,
    hint_loss,
    l2_logits_loss,
    soft_cross_entropy,
    squared_distance,
)
from ganmc_lightning.losses.precision import at_least_float32

HALF = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", [*HALF, torch.float32, torch.float64])
def test_conversion_and_its_gradient(dtype):
    values = torch.tensor([0.5, -3.0], dtype=dtype, requires_grad=True)
    converted = at_least_float32(values)
    assert converted.dtype == (dtype if dtype == torch.float64 else torch.float32)
    assert converted.tolist() == values.tolist()
    converted.square().sum().backward()
    assert values.grad.dtype == dtype
    assert values.grad.tolist() == [1.0, -6.0]


@pytest.mark.parametrize("dtype", HALF)
def test_losses_of_half_precision_logits(dtype):
    """Losses equal those in float32; in float16, sums of squares beyond 65,504 would be infinite."""
    torch.manual_seed(0)
    student, teacher = ((100 * torch.randn(8, 10)).to(dtype) for _ in range(2))
    labels = torch.arange(8)
    maps = [[(10 * torch.randn(8, 3, 4, 4)).to(dtype) for _ in range(2)] for _ in range(2)]
    wide = [[each.float() for each in pair] for pair in maps]
    layer = torch.nn.Linear(200, 200).to(dtype)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    for found, expected in (
        (l2_logits_loss(student, teacher), l2_logits_loss(student.float(), teacher.float())),
        (soft_cross_entropy(student, teacher, 4.0), soft_cross_entropy(student.float(), teacher.float(), 4.0)),
        (hard_cross_entropy(student, labels), hard_cross_entropy(student.float(), labels)),
        (hint_loss(student, teacher), hint_loss(student.float(), teacher.float())),
        (squared_distance(student, teacher), squared_distance(student.float(), teacher.float())),
        (fsp_loss(*maps), fsp_loss(*wide)),
        (L1Regularizer(1.0)(layer, student), L1Regularizer(1.0)(layer.float(), student)),
        (L2Regularizer(1.0)(layer, student), L2Regularizer(1.0)(layer.float(), student)),
    ):
        assert found.dtype == torch.float32
        assert found.isfinite()
        assert torch.equal(found, expected)
