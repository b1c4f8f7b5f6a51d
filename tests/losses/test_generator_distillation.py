"""Equations (3) and (4) of GAN-KD by hand; distances by their properties."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import (
    GeneratorDistillationLoss,
    NonSaturatingGANLoss,
    PerceptualLoss,
    PixelMSELoss,
    WeightedSumLoss,
)


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(2, 3, 4, 6), torch.rand(2, 3, 4, 6)


def test_equation_3(images):
    student, teacher = images
    by_hand = sum((s - t) ** 2 for s, t in zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True))
    assert PixelMSELoss(sum_pixels=True)(student, teacher).item() == pytest.approx(by_hand / 2, rel=1e-5, abs=1e-6)
    assert PixelMSELoss()(student, teacher).item() == pytest.approx(by_hand / 2 / 72, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.0001, 0.3, 1.0])
def test_equation_4(images, alpha):
    loss = GeneratorDistillationLoss(alpha)
    fake_logits = torch.tensor([0.3, -2.0])
    distance = PixelMSELoss()(*images)
    log_one_less = sum(math.log(1 - 1 / (1 + math.exp(-x))) for x in (0.3, -2.0)) / 2
    expected = alpha * log_one_less + (1 - alpha) * distance.item()
    parts = loss(*images, fake_logits)
    assert parts.total.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert parts.distance == distance
    assert parts.adversarial.item() == pytest.approx(log_one_less, rel=1e-5, abs=1e-6)


def test_without_a_discriminator_the_distance_is_the_loss(images):
    parts = GeneratorDistillationLoss()(*images)
    assert parts.total == parts.distance == PixelMSELoss()(*images)
    assert parts.adversarial is None


def test_non_saturating_adversarial_loss(images):
    loss = GeneratorDistillationLoss(0.5, adversarial_loss=NonSaturatingGANLoss())
    fake_logits = torch.tensor([0.3, -2.0])
    expected = 0.5 * -F.logsigmoid(fake_logits).mean() + 0.5 * F.mse_loss(*images)
    torch.testing.assert_close(loss(*images, fake_logits).total, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_alpha_out_of_range(alpha):
    with pytest.raises(ConfigurationError, match=r"alpha: got .*, expected a value in \[0, 1\]"):
        GeneratorDistillationLoss(alpha)


def test_feature_distance_equals_that_of_the_features_and_keeps_the_network(images):
    student, teacher = images
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    reference = copy.deepcopy(network).eval()
    distance = PerceptualLoss(network)
    distance.train()
    student.requires_grad_()
    value = distance(student, teacher)
    assert value.item() == pytest.approx(
        (reference(student) - reference(teacher)).square().mean().item(), rel=1e-5, abs=1e-6
    )
    value.backward()
    assert student.grad.any()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(network[1].running_mean, reference[1].running_mean)


def test_sums(images):
    features = PerceptualLoss(nn.Flatten())
    both = WeightedSumLoss([PixelMSELoss(sum_pixels=True), features], [2.0, 0.5])
    expected = 2 * PixelMSELoss(sum_pixels=True)(*images) + 0.5 * features(*images)
    torch.testing.assert_close(both(*images), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigurationError, match="2 distances and 1 weights"):
        WeightedSumLoss([PixelMSELoss(), PixelMSELoss()], [1.0])


@pytest.mark.parametrize("distance", [PixelMSELoss(), PerceptualLoss(nn.Flatten())])
def test_equal_images_have_no_distance(images, distance):
    assert distance(images[0], images[0].clone()).item() == pytest.approx(0, abs=1e-6)
    assert distance(*images) > 0


def test_bfloat16_images_are_compared_in_float32():
    student, teacher = (torch.rand(1, 1, 4, 4).bfloat16() for _ in range(2))
    for distance in (PixelMSELoss(), PerceptualLoss(nn.Flatten())):
        assert distance(student, teacher).dtype == torch.float32


def test_feature_distance_of_a_network_that_returns_more_than_features(images):
    class Pair(nn.Module):
        def forward(self, inputs):
            return inputs, inputs

    with pytest.raises(
        ConfigurationError, match=r"PerceptualLoss\.network \(Pair\) returned a tuple, expected one tensor"
    ):
        PerceptualLoss(Pair())(*images)
