"""GAN losses against hand computations."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.special import expit
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import (
    HingeGANLoss,
    MinimaxGANLoss,
    NonSaturatingGANLoss,
    WassersteinGANLoss,
    WassersteinGPLoss,
)
from ganmc_lightning.losses.gan import clip_weights

REAL, FAKE = [2.0, -0.5], [0.25, -3.0]
L_SOURCE = sum(math.log(expit(x)) for x in REAL) / 2 + sum(math.log(1 - expit(x)) for x in FAKE) / 2
MEAN_REAL, MEAN_FAKE = 0.75, -1.375
FORMS = {
    # discriminator, generator; the hinge by hand: relu(-1) = 0, relu(1.5); relu(1.25), relu(-2) = 0
    NonSaturatingGANLoss: (-L_SOURCE, -sum(math.log(expit(x)) for x in FAKE) / 2),
    MinimaxGANLoss: (-L_SOURCE, sum(math.log(1 - expit(x)) for x in FAKE) / 2),
    HingeGANLoss: (1.5 / 2 + 1.25 / 2, -MEAN_FAKE),
    WassersteinGANLoss: (MEAN_FAKE - MEAN_REAL, -MEAN_FAKE),
    WassersteinGPLoss: (MEAN_FAKE - MEAN_REAL, -MEAN_FAKE),
}


@pytest.mark.parametrize("form", FORMS)
def test_by_hand(form):
    real, fake = torch.tensor(REAL, dtype=torch.float64), torch.tensor(FAKE, dtype=torch.float64)
    discriminator, generator = FORMS[form]
    assert form().discriminator_loss(real, fake).item() == pytest.approx(discriminator, rel=1e-9, abs=1e-10)
    assert form().generator_loss(fake).item() == pytest.approx(generator, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_discriminator_and_generator_have_opposite_gradients(form):
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(2, requires_grad=True)
    real_slope, fake_slope = torch.autograd.grad(form().discriminator_loss(real, fake), (real, fake))
    (generator_slope,) = torch.autograd.grad(form().generator_loss(fake), fake)
    assert (real_slope < 0).all()
    assert (fake_slope > 0).all()
    assert (generator_slope < 0).all()


def test_minimax_losses_are_a_zero_sum():
    """The generator's loss is the fake part of the discriminator's with the opposite sign."""
    fake, loss = torch.tensor(FAKE, dtype=torch.float64), MinimaxGANLoss()
    certain = torch.full((2,), 800.0, dtype=torch.float64)  # real samples that cost nothing
    expected = -loss.discriminator_loss(certain, fake).item()
    assert loss.generator_loss(fake).item() == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_saturation():
    """The generator's gradient vanishes for a confident discriminator with the minimax loss only."""
    logit = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    forms = NonSaturatingGANLoss, MinimaxGANLoss, HingeGANLoss
    slopes = [torch.autograd.grad(form().generator_loss(logit), logit)[0].item() for form in forms]
    assert slopes == [pytest.approx(-1, abs=1e-8), pytest.approx(0, abs=1e-8), -1.0]


def test_hinge_has_no_gradient_beyond_the_margin():
    real, fake = torch.tensor([1.5, 0.5], requires_grad=True), torch.tensor([-1.5, -0.5], requires_grad=True)
    up, down = torch.autograd.grad(HingeGANLoss().discriminator_loss(real, fake), (real, fake))
    assert up.tolist() == [0.0, -0.5]
    assert down.tolist() == [0.0, 0.5]


@pytest.mark.parametrize("form", FORMS)
def test_extreme_logits_stay_finite(form):
    far = torch.tensor([-200.0, 200.0])
    assert torch.isfinite(form().discriminator_loss(far, far))
    assert torch.isfinite(form().generator_loss(far))


def test_clipping_after_the_step():
    critic = nn.Linear(3, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[0.5, -0.5, 0.005]]))
        critic.bias.fill_(-0.002)
    WassersteinGANLoss(0.01).after_discriminator_step(critic)
    assert critic.weight.tolist() == [pytest.approx([0.01, -0.01, 0.005], rel=1e-5, abs=1e-8)]
    assert critic.bias.item() == pytest.approx(-0.002, rel=1e-5, abs=1e-8)
    assert critic.weight.requires_grad
    clip_weights(critic, 0.001)
    assert critic.bias.item() == pytest.approx(-0.001, rel=1e-5, abs=1e-8)


def test_only_the_clipped_loss_constrains_and_only_the_penalized_one_penalises():
    critic, samples = nn.Sequential(nn.Flatten(0), nn.Linear(4, 1)), torch.ones(4)
    before = critic[1].weight.detach().clone()
    for form in FORMS:
        if form is not WassersteinGANLoss:
            form().after_discriminator_step(critic)
            assert torch.equal(critic[1].weight, before)
        assert (form().penalty(critic, samples[None], samples[None]) is None) == (form is not WassersteinGPLoss)


@pytest.mark.parametrize(
    ("make", "named"), [(lambda: WassersteinGANLoss(0), "clip"), (lambda: WassersteinGPLoss(-1), "weight")]
)
def test_bad_numbers(make, named):
    with pytest.raises(ConfigurationError, match=named):
        make()
