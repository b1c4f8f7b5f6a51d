"""Gradient penalties against hand computations and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import (
    ACGANLoss,
    HingeGANLoss,
    NonSaturatingGANLoss,
    WassersteinGPLoss,
    gradient_penalty,
    r1_penalty,
)


def test_penalty_of_a_linear_critic_by_hand():
    """The gradient of w.x is w everywhere, so the penalty is (|w| - 1)^2 for all samples."""
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    penalty = gradient_penalty(lambda x: x @ weight, torch.randn(5, 2), torch.randn(5, 2))
    assert penalty.item() == pytest.approx(16.0, rel=1e-5, abs=1e-6)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient.tolist() == pytest.approx([2 * 4 * 3 / 5, 2 * 4 * 4 / 5], rel=1e-5, abs=1e-6)  # 2 (|w| - 1) w / |w|
    loss = WassersteinGPLoss(weight=2.5)
    weighted = loss.penalty(lambda x: x @ weight, torch.ones(1, 2), torch.zeros(1, 2))
    assert weighted.item() == pytest.approx(40, rel=1e-5, abs=1e-6)


def test_penalty_lies_between_real_and_generated_samples():
    """For f(x) = x^2 / 2 the gradient is x itself: the penalty is that of a point in [2, 4]."""
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
    assert penalty.item() == pytest.approx((points - 1).square().mean().item(), rel=1e-5, abs=1e-6)


def points_of_penalty(real, fake):
    """Return the points where :func:`gradient_penalty` evaluates the critic."""
    scale, seen = torch.ones((), requires_grad=True), []

    def critic(x):
        seen.append(x.detach())
        return scale * x.flatten(1).square().sum(dim=1)

    gradient_penalty(critic, real, fake)
    (points,) = seen
    return points


def test_one_fraction_per_sample():
    """From zeros to ones, a point is its fraction: equal for all elements of a sample, different between samples."""
    points = points_of_penalty(torch.zeros(64, 3, 4, 4), torch.ones(64, 3, 4, 4)).flatten(1)
    assert torch.equal(points, points[:, :1].expand_as(points))
    assert len(points[:, 0].unique()) > 60


def test_points_lie_on_the_line_between_a_real_and_a_generated_sample():
    random = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 64, 3, 4, 4, generator=random, dtype=torch.float64)
    step, offset = (fake - real).flatten(1), (points_of_penalty(real, fake) - real).flatten(1)
    fraction = (offset * step).sum(dim=1, keepdim=True) / step.square().sum(dim=1, keepdim=True)
    torch.testing.assert_close(offset, fraction * step)
    assert fraction.min() >= 0
    assert fraction.max() <= 1


def test_second_derivatives_against_finite_differences():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))
    real, fake = torch.randn(4, 3), torch.randn(4, 3)

    @torch.enable_grad()
    def penalty():
        torch.manual_seed(1)  # equal interpolation points
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


def test_penalty_of_a_critic_without_parameters():
    with pytest.raises(AssertionError, match="does not depend on the discriminator"):
        gradient_penalty(lambda x: x.sum(dim=1), torch.zeros(2, 3), torch.ones(2, 3))


def test_penalty_in_mixed_precision_is_float32():
    critic = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = gradient_penalty(critic, torch.randn(4, 3), torch.randn(4, 3))
    exact = (critic[0].weight.norm() - 1).square()
    assert penalty.dtype == torch.float32
    torch.testing.assert_close(penalty, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "loss", [WassersteinGPLoss(), ACGANLoss(HingeGANLoss(), r1_weight=0.1), ACGANLoss(WassersteinGPLoss())]
)
def test_compiled_and_batch_normalized_critics_are_refused(loss):
    critic = nn.Sequential(nn.Linear(3, 1))
    loss.validate_discriminator(critic)
    with pytest.raises(ConfigurationError, match="batch normalization"):
        loss.validate_discriminator(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))
    critic.compile(backend="eager")  # compiles nothing before its first call
    with pytest.raises(ConfigurationError, match=r"model\.discriminator is compiled"):
        loss.validate_discriminator(critic)
    NonSaturatingGANLoss().validate_discriminator(critic)
    ACGANLoss().validate_discriminator(critic)


def test_r1_of_a_linear_discriminator_by_hand():
    """The gradient of w.x is w everywhere: the penalty is |w|^2 / 2, with gradient w."""
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    penalty = r1_penalty(lambda x: x @ weight, torch.randn(5, 2))
    assert penalty.item() == pytest.approx(12.5, rel=1e-5, abs=1e-6)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient.tolist() == pytest.approx([3.0, 4.0], rel=1e-5, abs=1e-6)


def test_r1_is_a_mean_over_the_real_samples():
    """For f(x) = |x|^2 / 2 the gradient is x itself."""
    scale, real = torch.ones((), requires_grad=True), torch.randn(6, 3, 2)
    penalty = r1_penalty(lambda x: scale * x.flatten(1).square().sum(dim=1) / 2, real)
    assert penalty.item() == pytest.approx(real.square().sum().item() / 6 / 2, rel=1e-5, abs=1e-6)
    assert not real.requires_grad


def test_r1_in_mixed_precision_is_float32():
    critic = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = r1_penalty(critic, torch.randn(4, 3))
    assert penalty.dtype == torch.float32
    torch.testing.assert_close(penalty, critic[0].weight.square().sum() / 2, rtol=1e-5, atol=1e-5)


def test_r1_of_an_acgan_is_computed_every_r1_interval_iterations():
    weight = torch.tensor([3.0, 4.0], requires_grad=True)

    def discriminator(x):
        return x @ weight, torch.zeros(len(x), 2)

    loss = ACGANLoss(r1_weight=0.1, r1_interval=4)
    real, fake = torch.randn(5, 2), torch.randn(5, 2)
    taken = [loss.penalty(discriminator, real, fake, iteration) for iteration in range(1, 9)]
    assert [k for k, penalty in enumerate(taken, start=1) if penalty is not None] == [4, 8]
    assert taken[3].item() == pytest.approx(4 * 0.1 * 12.5, rel=1e-5, abs=1e-6)
    assert ACGANLoss().penalty(discriminator, real, fake, 0) is None


def test_penalties_of_an_acgan_add_up():
    weight = torch.tensor([3.0, 4.0], requires_grad=True)

    def discriminator(x):
        return x @ weight, torch.zeros(len(x), 2)

    loss = ACGANLoss(WassersteinGPLoss(weight=10.0), source_weight=0.5, r1_weight=0.1, r1_interval=1)
    penalty = loss.penalty(discriminator, torch.randn(5, 2), torch.randn(5, 2), 1)
    assert penalty.item() == pytest.approx(0.5 * 10 * 16 + 0.1 * 12.5, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"r1_weight": -0.1}, r"r1_weight: got -0\.1, expected a value >= 0"),
        ({"r1_interval": 0}, "r1_interval: got 0, expected 1 or more"),
    ],
)
def test_bad_r1_numbers(bad, message):
    with pytest.raises(ConfigurationError, match=message):
        ACGANLoss(**bad)
