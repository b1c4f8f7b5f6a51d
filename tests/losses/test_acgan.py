"""AC-GAN losses against hand computations."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.special import expit, log_softmax
from torch import nn

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses import ACGANLoss, HingeGANLoss, MinimaxGANLoss, NonSaturatingGANLoss, WassersteinGANLoss

FORMS = [NonSaturatingGANLoss, MinimaxGANLoss, HingeGANLoss]
REAL, FAKE = [2.0, -0.5], [0.25, -3.0]
REAL_CLASSES, FAKE_CLASSES = [[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]], [[0.5, 0.5, 0.0], [-1.0, 0.0, 3.0]]
REAL_LABELS, FAKE_LABELS = torch.tensor([0, 1]), torch.tensor([1, 2])


@pytest.fixture
def logits():
    """Source and class logits of two real and two generated samples."""
    real, fake, real_classes, fake_classes = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True)
        for values in (REAL, FAKE, REAL_CLASSES, FAKE_CLASSES)
    )
    return (real, real_classes), (fake, fake_classes)


def log_likelihood(classes, labels):
    return sum(log_softmax(row)[label] for row, label in zip(classes, labels.tolist(), strict=True)) / len(labels)


L_REAL, L_FAKE = log_likelihood(REAL_CLASSES, REAL_LABELS), log_likelihood(FAKE_CLASSES, FAKE_LABELS)
L_CLASS = L_REAL + L_FAKE
L_SOURCE = sum(math.log(expit(x)) for x in REAL) / 2 + sum(math.log(1 - expit(x)) for x in FAKE) / 2
# By hand: relu(1 - 2) = 0 and relu(1.5); relu(1.25) and relu(1 - 3) = 0; -(0.25 - 3) / 2.
DISCRIMINATOR = {NonSaturatingGANLoss: -L_SOURCE, MinimaxGANLoss: -L_SOURCE, HingeGANLoss: 1.5 / 2 + 1.25 / 2}
GENERATOR = {
    NonSaturatingGANLoss: -sum(math.log(expit(x)) for x in FAKE) / 2,
    MinimaxGANLoss: sum(math.log(1 - expit(x)) for x in FAKE) / 2,
    HingeGANLoss: 1.375,
}


def approx(value):
    return pytest.approx(value, rel=1e-9, abs=1e-10)


def losses(form, logits, **weights):
    real, fake = logits
    loss = ACGANLoss(form(), **weights)
    return loss.discriminator_loss(real, fake, REAL_LABELS, FAKE_LABELS), loss.generator_loss(fake, FAKE_LABELS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("class_weight", "source_weight"), [(1.0, 1.0), (0.5, 3.0)])
def test_by_hand(form, logits, class_weight, source_weight):
    discriminator, generator = losses(form, logits, class_weight=class_weight, source_weight=source_weight)
    assert [part.item() for part in discriminator] == approx(
        [source_weight * DISCRIMINATOR[form] - class_weight * L_CLASS, DISCRIMINATOR[form], -L_CLASS]
    )
    assert [part.item() for part in generator] == approx(
        [source_weight * GENERATOR[form] - class_weight * L_FAKE, GENERATOR[form], -L_FAKE]
    )


def test_default_adversarial_loss_is_non_saturating(logits):
    assert ACGANLoss().generator_loss(logits[1], FAKE_LABELS).source.item() == approx(GENERATOR[NonSaturatingGANLoss])


@pytest.mark.parametrize("form", FORMS)
def test_generator_raises_the_source_logits(form, logits):
    fake = logits[1]
    loss = ACGANLoss(form(), class_weight=0.0).generator_loss(fake, FAKE_LABELS)
    (gradient,) = torch.autograd.grad(loss.total, fake[0])
    assert (gradient < 0).all()  # gradient descent raises the logits


@pytest.mark.parametrize("form", FORMS)
def test_generator_raises_the_logits_of_its_classes(form, logits):
    fake = logits[1]
    (gradient,) = torch.autograd.grad(ACGANLoss(form()).generator_loss(fake, FAKE_LABELS).total, fake[1])
    assert torch.equal(gradient < 0, torch.tensor([[False, True, False], [False, False, True]]))


@pytest.mark.parametrize("form", FORMS)
def test_source_weight_of_0(form, logits):
    discriminator, generator = losses(form, logits, source_weight=0.0)
    assert discriminator.total.item() == approx(-L_CLASS)
    assert generator.total.item() == approx(-L_FAKE)
    (real, _), (fake, _) = logits
    gradients = torch.autograd.grad(discriminator.total + generator.total, (real, fake))
    assert all(torch.equal(gradient, torch.zeros(2, dtype=torch.float64)) for gradient in gradients)


@pytest.mark.parametrize("form", FORMS)
def test_classes_of_generated_samples_only_for_the_generator(form, logits):
    discriminator, generator = losses(form, logits, classify_generated=False)
    assert discriminator.total.item() == approx(-L_REAL + DISCRIMINATOR[form])
    assert generator.total.item() == approx(losses(form, logits)[1].total.item())
    gradients = torch.autograd.grad(discriminator.total, (logits[1][1], logits[1][0]), allow_unused=True)
    assert gradients[0] is None
    assert (gradients[1] != 0).any()


@pytest.mark.parametrize("form", FORMS)
def test_unknown_labels_only_count_for_the_source(form, logits):
    real, fake = logits
    unknown, loss = torch.full((2,), UNKNOWN_LABEL), ACGANLoss(form())
    discriminator = loss.discriminator_loss(real, fake, REAL_LABELS, unknown)
    assert discriminator.total.item() == approx(-L_REAL + DISCRIMINATOR[form])
    assert loss.generator_loss(fake, unknown).total.item() == approx(GENERATOR[form])


@pytest.mark.parametrize("form", FORMS)
def test_losses_are_means_over_samples(form, logits):
    real, fake = logits
    doubled = tuple(torch.cat([tensor, tensor]) for tensor in fake)
    loss = ACGANLoss(form())
    once = loss.discriminator_loss(real, fake, REAL_LABELS, FAKE_LABELS)
    twice = loss.discriminator_loss(real, doubled, REAL_LABELS, FAKE_LABELS.repeat(2))
    assert once.total.item() == approx(twice.total.item())


def test_hooks_of_the_adversarial_loss_are_called():
    critic = nn.Linear(2, 1)
    ACGANLoss(WassersteinGANLoss(clip=1e-3)).after_discriminator_step(critic)
    assert critic.weight.abs().max().item() == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("name", ["class_weight", "source_weight", "r1_weight"])
def test_negative_weight(name):
    with pytest.raises(ValueError, match=rf"{name}: got -0\.1, expected a value >= 0"):
        ACGANLoss(**{name: -0.1})
