"""Signs and values against numpy, for each term of ANC's equation 8."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import (
    DiscriminatorRegularizer,
    InvertedLabelRegularizer,
    L1Regularizer,
    L2Regularizer,
    NoRegularizer,
    anc_discriminator_objective,
    anc_student_loss,
)


@pytest.fixture
def logits():
    """Logits for features of the teacher and of the student."""
    random = torch.Generator().manual_seed(0)
    return tuple((2 * torch.randn(5, generator=random, dtype=torch.float64)).requires_grad_() for _ in range(2))


@pytest.fixture
def discriminator():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()


def sigmoid(tensor):
    return 1 / (1 + np.exp(-tensor.detach().numpy()))


def gradient(value, of):
    return torch.autograd.grad(value, of, retain_graph=True)[0]


def test_objective_is_equation_2(logits):
    teacher, student = logits
    expected = np.log(sigmoid(teacher)).mean() + np.log(1 - sigmoid(student)).mean()
    objective = anc_discriminator_objective(teacher, student)
    assert objective.item() == pytest.approx(expected, rel=1e-9, abs=1e-10)
    assert (gradient(objective, teacher) > 0).all()  # maximization raises the teacher's logits
    assert (gradient(objective, student) < 0).all()  # and lowers the student's


def test_inverted_label(logits):
    _, student = logits
    loss = anc_student_loss(student)
    assert loss.item() == pytest.approx(-np.log(sigmoid(student)).mean(), rel=1e-9, abs=1e-10)
    assert loss.item() == pytest.approx(
        nn.functional.binary_cross_entropy_with_logits(student, torch.ones_like(student)).item(), rel=1e-9, abs=1e-10
    )
    assert (gradient(loss, student) < 0).all()  # minimization raises them


def test_far_logits_stay_finite():
    far = torch.tensor([200.0, -200.0], requires_grad=True)
    for value in (
        anc_discriminator_objective(far, far),
        anc_student_loss(far),
        InvertedLabelRegularizer()(nn.Identity(), far),
    ):
        assert torch.isfinite(value)
        assert torch.isfinite(gradient(value, far)).all()


def test_l2_takes_off_squared_weights(discriminator, logits):
    flat = np.concatenate([parameter.detach().numpy().ravel() for parameter in discriminator.parameters()])
    assert flat.size == 3 * 4 + 4 + 4 + 1
    value = L2Regularizer(mu=0.7)(discriminator, logits[1])
    assert value.item() == pytest.approx(-0.7 * (flat**2).sum(), rel=1e-9, abs=1e-10)
    weight = discriminator[0].weight
    assert torch.allclose(
        gradient(value, weight), -1.4 * weight, rtol=1e-9, atol=1e-10
    )  # maximization shrinks the weights


def test_l1_takes_off_absolute_weights(discriminator, logits):
    flat = np.concatenate([parameter.detach().numpy().ravel() for parameter in discriminator.parameters()])
    value = L1Regularizer()(discriminator, logits[1])
    assert value.item() == pytest.approx(-0.99 * np.abs(flat).sum(), rel=1e-9, abs=1e-10)
    weight = discriminator[0].weight
    assert torch.allclose(gradient(value, weight), -0.99 * weight.sign(), rtol=1e-9, atol=1e-10)


def test_adversarial_samples_call_the_student_teacher(discriminator, logits):
    teacher, student = logits
    value = InvertedLabelRegularizer()(discriminator, student)
    assert value.item() == pytest.approx(np.log(sigmoid(student)).mean(), rel=1e-9, abs=1e-10)
    # With it the optimal logit of the student's features is 0.
    undecided = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    total = anc_discriminator_objective(teacher, undecided) + InvertedLabelRegularizer()(discriminator, undecided)
    assert torch.allclose(gradient(total, undecided), torch.zeros(4, dtype=torch.float64), rtol=1e-9, atol=1e-10)


def test_none_is_zero(discriminator, logits):
    assert NoRegularizer()(discriminator, logits[1]).item() == 0


@pytest.mark.parametrize("kind", [L1Regularizer, L2Regularizer])
def test_negative_mu_is_refused(kind):
    assert issubclass(kind, DiscriminatorRegularizer)
    assert kind(0.0).mu == 0
    with pytest.raises(ConfigurationError, match=r"mu: got -0\.1, expected a value >= 0"):
        kind(-0.1)
