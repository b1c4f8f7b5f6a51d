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
    LaplacianPyramidLoss,
    NonSaturatingGANLoss,
    PerceptualLoss,
    PixelMSELoss,
    WeightedSumLoss,
    laplacian_pyramid,
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
    assert GeneratorDistillationLoss().distance(student, teacher) == PixelMSELoss()(student, teacher)


@pytest.mark.parametrize("alpha", [0.0, 0.0001, 0.3, 1.0])
def test_equation_4(images, alpha):
    loss = GeneratorDistillationLoss(alpha)
    verdict = torch.tensor([0.3, -2.0])
    distance = loss.distance(*images)
    log_one_less = sum(math.log(1 - 1 / (1 + math.exp(-x))) for x in (0.3, -2.0)) / 2
    expected = alpha * log_one_less + (1 - alpha) * distance.item()
    assert loss.student(distance, verdict).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_other_form_of_the_game(images):
    loss = GeneratorDistillationLoss(0.5, game=NonSaturatingGANLoss())
    verdict = torch.tensor([0.3, -2.0])
    distance = loss.distance(*images)
    expected = 0.5 * -F.logsigmoid(verdict).mean() + 0.5 * distance
    torch.testing.assert_close(loss.student(distance, verdict), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_alpha_out_of_range(alpha):
    with pytest.raises(ConfigurationError, match=r"alpha must lie in \[0, 1\], got"):
        GeneratorDistillationLoss(alpha)


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (28, 28)])
def test_a_pyramid_holds_all_of_its_image(size):
    torch.manual_seed(0)
    image = torch.randn(2, 1, *size)
    *bands, rest = laplacian_pyramid(image, 3)
    for band in reversed(bands):
        rest = band + F.interpolate(rest, size=band.shape[-2:], mode="bilinear", align_corners=False)
    torch.testing.assert_close(rest, image, rtol=1e-5, atol=1e-5)
    assert [band.shape[-1] for band in bands] == [size[1], math.ceil(size[1] / 2), math.ceil(size[1] / 4)]


def test_pyramid_distance_by_hand():
    """A constant difference lives in the last band alone: 4^-2 times its size."""
    student = torch.full((1, 1, 8, 8), 0.5)
    assert LaplacianPyramidLoss(2)(student, torch.zeros(1, 1, 8, 8)).item() == pytest.approx(
        0.5 / 16, rel=1e-5, abs=1e-6
    )


def test_pyramid_distance_minds_blur_more_than_brightness():
    torch.manual_seed(0)
    teacher = torch.rand(4, 1, 16, 16)
    blurred = F.avg_pool2d(teacher, 3, 1, 1, count_include_pad=False)
    offset = teacher + (blurred - teacher).square().mean().sqrt()  # as far away in squared pixels
    distance = LaplacianPyramidLoss()
    assert PixelMSELoss()(blurred, teacher) == pytest.approx(PixelMSELoss()(offset, teacher).item(), rel=1e-4, abs=1e-6)
    assert distance(blurred, teacher) > 5 * distance(offset, teacher)


def test_feature_distance_is_that_of_the_features_and_leaves_the_network_alone(images):
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
    both = WeightedSumLoss([PixelMSELoss(), LaplacianPyramidLoss()], [2.0, 0.5])
    expected = 2 * PixelMSELoss()(*images) + 0.5 * LaplacianPyramidLoss()(*images)
    torch.testing.assert_close(both(*images), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ConfigurationError, match="2 distances and 1 weights"):
        WeightedSumLoss([PixelMSELoss(), PixelMSELoss()], [1.0])


@pytest.mark.parametrize("distance", [PixelMSELoss(), LaplacianPyramidLoss()])
def test_equal_images_have_no_distance(images, distance):
    assert distance(images[0], images[0].clone()).item() == pytest.approx(0, abs=1e-6)
    assert distance(*images) > 0


def test_bfloat16_images_are_compared_in_float32():
    student, teacher = (torch.rand(1, 1, 4, 4).bfloat16() for _ in range(2))
    for distance in (PixelMSELoss(), LaplacianPyramidLoss()):
        assert distance(student, teacher).dtype == torch.float32


def test_levels():
    with pytest.raises(ConfigurationError, match="levels"):
        LaplacianPyramidLoss(0)


def test_feature_distance_of_a_network_that_returns_more_than_features(images):
    class Pair(nn.Module):
        def forward(self, inputs):
            return inputs, inputs

    with pytest.raises(ConfigurationError, match=r"PerceptualLoss\.network \(Pair\) returns a tuple where one tensor"):
        PerceptualLoss(Pair())(*images)
