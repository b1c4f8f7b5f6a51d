"""GAN losses against hand computations, and the gradient penalty against finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.special import expit
from torch import nn

from ganmc_lightning.errors import InputError
from ganmc_lightning.losses import (
    HingeGANLoss,
    MinimaxGANLoss,
    NonSaturatingGANLoss,
    WassersteinGANLoss,
    WassersteinGPLoss,
    gradient_penalty,
)
from ganmc_lightning.losses.gan import clip_weights

REAL, FAKE = [2.0, -0.5], [0.25, -3.0]
L_SOURCE = sum(math.log(expit(x)) for x in REAL) / 2 + sum(math.log(1 - expit(x)) for x in FAKE) / 2
MEAN_REAL, MEAN_FAKE = 0.75, -1.375
FORMS = {
    # judge, deceive; the hinge by hand: relu(-1) = 0, relu(1.5); relu(1.25), relu(-2) = 0
    NonSaturatingGANLoss: (-L_SOURCE, -sum(math.log(expit(x)) for x in FAKE) / 2),
    MinimaxGANLoss: (-L_SOURCE, sum(math.log(1 - expit(x)) for x in FAKE) / 2),
    HingeGANLoss: (1.5 / 2 + 1.25 / 2, -MEAN_FAKE),
    WassersteinGANLoss: (MEAN_FAKE - MEAN_REAL, -MEAN_FAKE),
    WassersteinGPLoss: (MEAN_FAKE - MEAN_REAL, -MEAN_FAKE),
}


@pytest.mark.parametrize("form", FORMS)
def test_by_hand(form):
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    judged, deceived = FORMS[form]
    assert form().judge(real, fake).item() == pytest.approx(judged)
    assert form().deceive(fake).item() == pytest.approx(deceived)


@pytest.mark.parametrize("form", FORMS)
def test_the_players_pull_in_opposite_directions(form):
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(2, requires_grad=True)
    real_slope, fake_slope = torch.autograd.grad(form().judge(real, fake), (real, fake))
    (deceiving,) = torch.autograd.grad(form().deceive(fake), fake)
    assert (real_slope < 0).all()
    assert (fake_slope > 0).all()
    assert (deceiving < 0).all()


def test_clipping_after_the_step():
    critic = nn.Linear(3, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[0.5, -0.5, 0.005]]))
        critic.bias.fill_(-0.002)
    WassersteinGANLoss(0.01).constrain(critic)
    assert critic.weight.tolist() == [pytest.approx([0.01, -0.01, 0.005])]
    assert critic.bias.item() == pytest.approx(-0.002)
    assert critic.weight.requires_grad
    clip_weights(critic, 0.001)
    assert critic.bias.item() == pytest.approx(-0.001)


def test_only_the_clipped_loss_constrains_and_only_the_penalised_one_penalises():
    critic, samples = nn.Sequential(nn.Flatten(0), nn.Linear(4, 1)), torch.ones(4)
    before = critic[1].weight.detach().clone()
    for form in FORMS:
        if form is not WassersteinGANLoss:
            form().constrain(critic)
            assert torch.equal(critic[1].weight, before)
        assert (form().penalty(critic, samples[None], samples[None]) is None) == (form is not WassersteinGPLoss)


def test_penalty_of_a_linear_critic_by_hand():
    """The gradient of w.x is w everywhere: (|w| - 1)^2, whatever the samples."""
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    penalty = gradient_penalty(lambda x: x @ weight, torch.randn(5, 2), torch.randn(5, 2))
    assert penalty.item() == pytest.approx(16.0)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient.tolist() == pytest.approx([2 * 4 * 3 / 5, 2 * 4 * 4 / 5])  # 2 (|w| - 1) w / |w|
    assert WassersteinGPLoss(weight=2.5).penalty(lambda x: x @ weight, torch.ones(1, 2), torch.zeros(1, 2)).item() == 40


def test_penalty_lies_between_real_and_generated_samples():
    """For f(x) = x^2 / 2 the gradient is x itself: between 2 and 4 the penalty is that of a number in there."""
    real, fake = torch.full((500, 1), 2.0), torch.full((500, 1), 4.0)
    scale, seen = torch.ones((), requires_grad=True), []

    def critic(x):
        seen.append(x.detach())
        return scale * x.square().sum(dim=1) / 2

    penalty = gradient_penalty(critic, real, fake)
    (points,) = seen
    assert points.min() >= 2
    assert points.max() <= 4
    assert points.std() > 0.4  # of an even spread over [2, 4]: 0.58
    assert penalty.item() == pytest.approx((points - 1).square().mean().item(), rel=1e-5)


def test_second_derivatives_against_finite_differences():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))
    real, fake = torch.randn(4, 3), torch.randn(4, 3)

    @torch.enable_grad()
    def penalty():
        torch.manual_seed(1)  # the same places on the lines
        return gradient_penalty(critic, real, fake)

    weight = critic[0].weight
    (gradient,) = torch.autograd.grad(penalty(), weight)
    for place in ((0, 0), (3, 1)):
        with torch.no_grad():
            weight[place] += 1e-2
            above = penalty().item()
            weight[place] -= 2e-2
            below = penalty().item()
            weight[place] += 1e-2
        assert gradient[place].item() == pytest.approx((above - below) / 2e-2, rel=0.02, abs=1e-4)


def test_a_penalty_without_a_graph_is_a_fault():
    with pytest.raises(AssertionError, match="teach the critic nothing"):
        gradient_penalty(lambda x: x.sum(dim=1), torch.zeros(2, 3), torch.ones(2, 3))


def test_penalty_in_mixed_precision_is_float32():
    critic = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = gradient_penalty(critic, torch.randn(4, 3), torch.randn(4, 3))
    exact = (critic[0].weight.norm() - 1).square()
    assert penalty.dtype == torch.float32
    torch.testing.assert_close(penalty, exact)


def test_compiled_and_batch_normalised_critics_are_refused():
    loss = WassersteinGPLoss()
    critic = nn.Sequential(nn.Linear(3, 1))
    loss.check(critic)
    with pytest.raises(InputError, match="batch normalisation"):
        loss.check(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))
    critic.compile(backend="eager")  # compiles nothing before its first call
    with pytest.raises(InputError, match=r"model\.discriminator is compiled"):
        loss.check(critic)
    NonSaturatingGANLoss().check(critic)


@pytest.mark.parametrize(
    ("make", "named"), [(lambda: WassersteinGANLoss(0), "clip"), (lambda: WassersteinGPLoss(-1), "weight")]
)
def test_bad_numbers(make, named):
    with pytest.raises(InputError, match=named):
        make()
