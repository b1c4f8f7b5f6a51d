from __future__ import annotations

import math

import pytest
import torch
from scipy.special import expit, log_softmax

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.losses import HingeACGANLoss, MinimaxACGANLoss, NonSaturatingACGANLoss

FORMS = [NonSaturatingACGANLoss, MinimaxACGANLoss, HingeACGANLoss]
REAL, FAKE = [2.0, -0.5], [0.25, -3.0]
REAL_CLASSES, FAKE_CLASSES = [[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]], [[0.5, 0.5, 0.0], [-1.0, 0.0, 3.0]]
REAL_LABELS, FAKE_LABELS = [0, 1], [1, 2]


@pytest.fixture
def logits():
    """What a discriminator says of two real and two generated samples."""
    real, fake, real_classes, fake_classes = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True)
        for values in (REAL, FAKE, REAL_CLASSES, FAKE_CLASSES)
    )
    return (real, real_classes), (fake, fake_classes)


def log_likelihood(classes, labels):
    return sum(log_softmax(row)[label] for row, label in zip(classes, labels, strict=True)) / len(labels)


L_CLASS = log_likelihood(REAL_CLASSES, REAL_LABELS) + log_likelihood(FAKE_CLASSES, FAKE_LABELS)
L_SOURCE = sum(math.log(expit(x)) for x in REAL) / 2 + sum(math.log(1 - expit(x)) for x in FAKE) / 2
# By hand: relu(1 - 2) = 0 and relu(1.5); relu(1.25) and relu(1 - 3) = 0; -(0.25 - 3) / 2.
JUDGED = {NonSaturatingACGANLoss: -L_SOURCE, MinimaxACGANLoss: -L_SOURCE, HingeACGANLoss: 1.5 / 2 + 1.25 / 2}
DECEIVED = {
    NonSaturatingACGANLoss: -sum(math.log(expit(x)) for x in FAKE) / 2,
    MinimaxACGANLoss: sum(math.log(1 - expit(x)) for x in FAKE) / 2,
    HingeACGANLoss: 1.375,
}


def losses(form, logits, **weights):
    real, fake = logits
    loss = form(**weights)
    labels = torch.tensor(REAL_LABELS), torch.tensor(FAKE_LABELS)
    return loss.discriminator(real, fake, *labels), loss.generator(fake, labels[1])


@pytest.mark.parametrize("form", FORMS)
def test_by_hand(form, logits):
    discriminator, generator = losses(form, logits)
    assert discriminator.item() == pytest.approx(-L_CLASS + JUDGED[form], rel=1e-9, abs=1e-10)
    assert generator.item() == pytest.approx(
        -log_likelihood(FAKE_CLASSES, FAKE_LABELS) + DECEIVED[form], rel=1e-9, abs=1e-10
    )


@pytest.mark.parametrize("form", FORMS)
def test_weights(form, logits):
    discriminator, generator = losses(form, logits, class_weight=0.5, source_weight=3.0)
    assert discriminator.item() == pytest.approx(-0.5 * L_CLASS + 3 * JUDGED[form], rel=1e-9, abs=1e-10)
    assert generator.item() == pytest.approx(
        -0.5 * log_likelihood(FAKE_CLASSES, FAKE_LABELS) + 3 * DECEIVED[form], rel=1e-9, abs=1e-10
    )


def test_minimax_players_share_one_game(logits):
    """The generator's source part is what the discriminator's holds of the fakes, with the sign turned."""
    fake = logits[1][0]
    loss = MinimaxACGANLoss()
    out_of_the_question = torch.full((2,), 800.0, dtype=torch.float64)  # real beyond doubt: costs nothing
    assert loss.generator_loss(fake).item() == pytest.approx(
        -loss.discriminator_loss(out_of_the_question, fake).item(), rel=1e-9, abs=1e-10
    )


@pytest.mark.parametrize("form", FORMS)
def test_generator_learns_to_raise_the_source_logit(form, logits):
    (fake, fake_classes) = logits[1]
    (gradient,) = torch.autograd.grad(
        form(class_weight=0.0).generator((fake, fake_classes), torch.tensor([1, 2])), fake
    )
    assert (gradient < 0).all()  # descent moves against it: up


@pytest.mark.parametrize("form", FORMS)
def test_discriminator_learns_to_part_real_from_fake(form):
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(2, requires_grad=True)
    up, down = torch.autograd.grad(form().discriminator_loss(real, fake), (real, fake))
    assert (up < 0).all()
    assert (down > 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_generator_learns_its_classes(form, logits):
    fake, fake_classes = logits[1]
    (gradient,) = torch.autograd.grad(form().generator((fake, fake_classes), torch.tensor([1, 2])), fake_classes)
    assert torch.equal(gradient < 0, torch.tensor([[False, True, False], [False, False, True]]))


def test_saturation():
    """Where the discriminator wins, minimax leaves the generator nothing to learn from; the others do not."""
    lost = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    slopes = [torch.autograd.grad(form().generator_loss(lost), lost)[0].item() for form in FORMS]
    assert slopes == [pytest.approx(-1, abs=1e-8), pytest.approx(0, abs=1e-8), -1.0]


def test_hinge_lets_go_beyond_the_margin():
    real, fake = torch.tensor([1.5, 0.5], requires_grad=True), torch.tensor([-1.5, -0.5], requires_grad=True)
    up, down = torch.autograd.grad(HingeACGANLoss().discriminator_loss(real, fake), (real, fake))
    assert up.tolist() == [0.0, -0.5]
    assert down.tolist() == [0.0, 0.5]


@pytest.mark.parametrize("form", FORMS)
def test_no_source_weight_leaves_the_classes_alone(form, logits):
    discriminator, generator = losses(form, logits, source_weight=0.0)
    assert discriminator.item() == pytest.approx(-L_CLASS, rel=1e-9, abs=1e-10)
    assert generator.item() == pytest.approx(-log_likelihood(FAKE_CLASSES, FAKE_LABELS), rel=1e-9, abs=1e-10)
    (real, _), (fake, _) = logits
    gradients = torch.autograd.grad(discriminator + generator, (real, fake))
    assert all(torch.equal(gradient, torch.zeros(2, dtype=torch.float64)) for gradient in gradients)


@pytest.mark.parametrize("form", FORMS)
def test_classes_learned_from_real_samples_alone(form, logits):
    """The generator is still held to them."""
    discriminator, generator = losses(form, logits, classify_generated=False)
    assert discriminator.item() == pytest.approx(
        -log_likelihood(REAL_CLASSES, REAL_LABELS) + JUDGED[form], rel=1e-9, abs=1e-10
    )
    assert generator.item() == pytest.approx(losses(form, logits)[1].item(), rel=1e-9, abs=1e-10)
    gradients = torch.autograd.grad(discriminator, (logits[1][1], logits[1][0]), allow_unused=True)
    assert gradients[0] is None
    assert (gradients[1] != 0).any()


@pytest.mark.parametrize("form", FORMS)
def test_unknown_classes_count_for_the_source_alone(form, logits):
    real, fake = logits
    unknown = torch.full((2,), UNKNOWN_LABEL)
    discriminator = form().discriminator(real, fake, torch.tensor(REAL_LABELS), unknown)
    assert discriminator.item() == pytest.approx(
        -log_likelihood(REAL_CLASSES, REAL_LABELS) + JUDGED[form], rel=1e-9, abs=1e-10
    )
    assert form().generator(fake, unknown).item() == pytest.approx(DECEIVED[form], rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_sets_of_unequal_size_weigh_the_same(form, logits):
    """Means, not sums: doubling the fakes must not change the balance."""
    real, fake = logits
    labels = torch.tensor(REAL_LABELS), torch.tensor(FAKE_LABELS)
    doubled = tuple(torch.cat([part, part]) for part in fake)
    once = form().discriminator(real, fake, *labels)
    twice = form().discriminator(real, doubled, labels[0], labels[1].repeat(2))
    assert once.item() == pytest.approx(twice.item(), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_extreme_logits_stay_finite(form):
    far = torch.tensor([-200.0, 200.0])
    assert torch.isfinite(form().discriminator_loss(far, far))
    assert torch.isfinite(form().generator_loss(far))


@pytest.mark.parametrize("weights", [{"class_weight": -1.0}, {"source_weight": -0.1}])
def test_negative_weight(weights):
    with pytest.raises(ValueError, match="class_weight and source_weight must not be negative"):
        HingeACGANLoss(**weights)
