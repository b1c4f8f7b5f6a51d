from __future__ import annotations

import copy

import pytest
import torch

from ganmc_lightning import losses
from ganmc_lightning.losses import (
    L1Regularizer,
    L2Regularizer,
    decoupled_divergences,
    fsp_loss,
    hard_cross_entropy,
    hint_loss,
    l2_logits_loss,
    soft_cross_entropy,
    squared_distance,
    standardize_logits,
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

    def decoupled(student, teacher):
        return sum(decoupled_divergences(student, teacher, labels, 4.0)).sum()

    for found, expected in (
        (l2_logits_loss(student, teacher), l2_logits_loss(student.float(), teacher.float())),
        (soft_cross_entropy(student, teacher, 4.0), soft_cross_entropy(student.float(), teacher.float(), 4.0)),
        (decoupled(student, teacher), decoupled(student.float(), teacher.float())),
        (standardize_logits(student).sum(), standardize_logits(student.float()).sum()),
        (hard_cross_entropy(student, labels), hard_cross_entropy(student.float(), labels)),
        (hint_loss(student, teacher), hint_loss(student.float(), teacher.float())),
        (squared_distance(student, teacher), squared_distance(student.float(), teacher.float())),
        (fsp_loss(*maps), fsp_loss(*wide)),
        (L1Regularizer(1.0)(layer, student), L1Regularizer(1.0)(copy.deepcopy(layer).float(), student)),
        (L2Regularizer(1.0)(layer, student), L2Regularizer(1.0)(copy.deepcopy(layer).float(), student)),
    ):
        assert found.dtype == torch.float32
        assert found.isfinite()
        assert torch.equal(found, expected)


STUDENT, TEACHER = torch.randn(2, 8, 10, generator=torch.Generator().manual_seed(0))
MAPS = torch.randn(2, 2, 8, 3, 4, 4, generator=torch.Generator().manual_seed(1))
LABELS, SYNTHETIC = torch.arange(8), torch.zeros(8, dtype=torch.bool)
LINEAR = torch.nn.Linear(10, 1)
BATCH = (STUDENT, TEACHER, LABELS, SYNTHETIC)


def critic(samples):
    return LINEAR(samples).flatten()


def both(loss):
    """Sum of the losses of discriminator and generator."""
    return loss.discriminator_loss(TEACHER[:, 0], STUDENT[:, 0]) + loss.generator_loss(STUDENT[:, 0])


def acgan_loss():
    loss = losses.ACGANLoss(r1_weight=1.0, r1_interval=1)
    real, fake = ((samples[:, 0], samples) for samples in (TEACHER, STUDENT))
    total = loss.discriminator_loss(real, fake, LABELS, LABELS).total + loss.generator_loss(fake, LABELS).total
    return total + loss.penalty(lambda samples: (critic(samples), samples), TEACHER, STUDENT, 1)


def hints():
    loss = losses.HintLoss([("a", "a")])
    loss.build([(10,)], [(10,)])
    return loss.feature_loss([STUDENT], [TEACHER])


def feature_maps():
    return losses.FSPLoss([("a", "a"), ("b", "b")]).feature_loss(list(MAPS[0]), list(MAPS[1]))


LOSSES = {
    "ACGANLoss": acgan_loss,
    "DecoupledKnowledgeDistillationLoss": lambda: losses.DecoupledKnowledgeDistillationLoss()(*BATCH).total,
    "FSPLoss": feature_maps,
    "GeneratorDistillationLoss": lambda: losses.GeneratorDistillationLoss(0.5)(*MAPS[0], STUDENT[:, 0]).total,
    "HingeGANLoss": lambda: both(losses.HingeGANLoss()),
    "HintLoss": hints,
    "InvertedLabelRegularizer": lambda: losses.InvertedLabelRegularizer()(LINEAR, STUDENT[:, 0]),
    "KnowledgeDistillationLoss": lambda: losses.KnowledgeDistillationLoss()(*BATCH).total,
    "L1Regularizer": lambda: losses.L1Regularizer()(LINEAR, STUDENT[:, 0]),
    "L2LogitsLoss": lambda: losses.L2LogitsLoss()(*BATCH).total,
    "L2Regularizer": lambda: losses.L2Regularizer()(LINEAR, STUDENT[:, 0]),
    "MinimaxGANLoss": lambda: both(losses.MinimaxGANLoss()),
    "NoRegularizer": lambda: losses.NoRegularizer()(LINEAR, STUDENT[:, 0]),
    "NonSaturatingGANLoss": lambda: both(losses.NonSaturatingGANLoss()),
    "PerceptualLoss": lambda: losses.PerceptualLoss(torch.nn.Identity())(*MAPS[0]),
    "PixelMSELoss": lambda: losses.PixelMSELoss()(*MAPS[0]),
    "WassersteinGANLoss": lambda: both(losses.WassersteinGANLoss()),
    "WassersteinGPLoss": lambda: losses.WassersteinGPLoss().penalty(critic, TEACHER, STUDENT),
    "WeightedSumLoss": lambda: losses.WeightedSumLoss([losses.PixelMSELoss()], [0.3])(*MAPS[0]),
    "anc_discriminator_objective": lambda: losses.anc_discriminator_objective(TEACHER[:, 0], STUDENT[:, 0]),
    "anc_student_loss": lambda: losses.anc_student_loss(STUDENT[:, 0]),
    "decoupled_divergences": lambda: losses.decoupled_divergences(STUDENT, TEACHER, LABELS, 4.0)[0].sum(),
    "fsp_loss": lambda: losses.fsp_loss(list(MAPS[0]), list(MAPS[1])),
    "fsp_matrix": lambda: losses.fsp_matrix(*MAPS[0]).sum(),
    "gradient_penalty": lambda: losses.gradient_penalty(critic, TEACHER, STUDENT),
    "hard_cross_entropy": lambda: losses.hard_cross_entropy(STUDENT, LABELS),
    "hint_loss": lambda: losses.hint_loss(STUDENT, TEACHER),
    "l2_logits_loss": lambda: losses.l2_logits_loss(STUDENT, TEACHER),
    "r1_penalty": lambda: losses.r1_penalty(critic, TEACHER),
    "soft_cross_entropy": lambda: losses.soft_cross_entropy(STUDENT, TEACHER, 4.0),
    "squared_distance": lambda: losses.squared_distance(*MAPS[0]),
    "standardize_logits": lambda: losses.standardize_logits(STUDENT).square().sum(),
    "wasserstein": lambda: losses.wasserstein(TEACHER[:, 0], STUDENT[:, 0]),
}
ABSTRACT_OR_NO_LOSS = {
    "ACGANParts",
    "DecoupledDistillationParts",
    "DiscriminatorRegularizer",
    "DistillationLoss",
    "FeatureLoss",
    "GANLoss",
    "GeneratorDistillationParts",
    "ImageLoss",
    "KnowledgeDistillationParts",
    "LossParts",
    "TotalLoss",
    "loss_columns",
    "make_regressor",
}


def test_every_loss_is_tested():
    assert LOSSES.keys() | ABSTRACT_OR_NO_LOSS == set(losses.__all__)


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_under_autocast(name):
    """A loss of float32 logits is float32 arithmetic in mixed precision."""
    found = {}
    for enabled in (True, False):
        torch.manual_seed(0)  # of regressors and interpolations
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found[enabled] = LOSSES[name]()
    assert found[True].dtype == torch.float32
    assert torch.equal(found[True], found[False])
