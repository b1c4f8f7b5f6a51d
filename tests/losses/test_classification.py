from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses import hard_cross_entropy


def test_by_hand():
    # softmax(log 1, log 3) = (1/4, 3/4)
    logits = torch.log(torch.tensor([[1.0, 3.0], [1.0, 3.0]]))
    loss = hard_cross_entropy(logits, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx((np.log(4) + np.log(4 / 3)) / 2, rel=1e-5, abs=1e-6)


def test_unknown_labels_are_excluded_from_sum_and_count():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, UNKNOWN_LABEL, 0, UNKNOWN_LABEL, UNKNOWN_LABEL, 2])
    expected = -np.mean([log_softmax(logits[k].numpy())[labels[k]] for k in (0, 2, 5)])
    assert hard_cross_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 0.5])])
def test_nothing_known_is_zero_with_zero_gradient(weights):
    logits = torch.randn(3, 4, requires_grad=True)
    loss = hard_cross_entropy(logits, torch.full((3,), UNKNOWN_LABEL), weights)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros(3, 4))


def test_gradient_is_probabilities_minus_one_hot_over_the_known():
    logits = torch.tensor([[0.0, 0.0], [5.0, -1.0]], requires_grad=True)
    hard_cross_entropy(logits, torch.tensor([1, UNKNOWN_LABEL])).backward()
    assert torch.allclose(logits.grad, torch.tensor([[0.5, -0.5], [0.0, 0.0]]), rtol=1e-5, atol=1e-6)


def test_weights_repeat_samples():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, generator=random, dtype=torch.float64)
    labels = torch.tensor([0, UNKNOWN_LABEL, 2, 1])
    counts = torch.tensor([1, 2, 3, 0])
    repeated = hard_cross_entropy(logits.repeat_interleave(counts, dim=0), labels.repeat_interleave(counts))
    # The three known samples weigh 1 on average.
    assert hard_cross_entropy(logits, labels, counts * 3 / 4).item() == pytest.approx(
        repeated.item(), rel=1e-9, abs=1e-10
    )


def test_weights_are_not_normalized_within_a_batch():
    """The sum is divided by the number of known samples, not by the sum of the weights, whose mean here is not 1."""
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, UNKNOWN_LABEL, 2, 1, 1])
    weights = torch.tensor([0.5, 7.0, 2.0, 0.0, 3.0], dtype=torch.float64)
    losses = -log_softmax(logits.numpy(), axis=1)[np.arange(5), labels]
    expected = (weights.numpy() * losses)[[0, 2, 3, 4]].sum() / 4
    assert hard_cross_entropy(logits, labels, weights).item() == pytest.approx(expected, rel=1e-9)
    assert hard_cross_entropy(logits, labels, 2 * weights).item() == pytest.approx(2 * expected, rel=1e-9)
