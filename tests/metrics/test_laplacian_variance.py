"""Against scipy's convolution with OpenCV's kernel and border, and numbers computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import LaplacianVariance, laplacian_variance

KERNEL = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


def by_scipy(gray):
    return ndimage.convolve(gray.astype(np.float64), KERNEL, mode="mirror").var()


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (28, 28)])
def test_as_scipy(size):
    images = torch.randint(256, (4, 1, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = [by_scipy(image) for image in images[:, 0].numpy()]
    assert laplacian_variance(images).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_colors_are_converted_to_gray_by_bt601():
    images = torch.randint(256, (4, 3, 9, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    exact = np.tensordot(images.numpy().astype(np.float64), [0.299, 0.587, 0.114], axes=(1, 0))
    expected = [by_scipy(np.round(gray)) for gray in exact]  # OpenCV rounds to whole levels
    assert laplacian_variance(images).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_gray_rgb_image_equals_gray_image():
    gray = torch.arange(64, dtype=torch.uint8).mul(4).view(1, 1, 8, 8)
    torch.testing.assert_close(
        laplacian_variance(gray.expand(-1, 3, -1, -1)), laplacian_variance(gray), rtol=1e-9, atol=1e-9
    )


def test_chessboard_by_hand():
    """Every neighbor has the other color: -4 * 255 on white, 4 * 255 on black, also at the mirrored border."""
    board = (torch.arange(4).view(4, 1) + torch.arange(4)).remainder(2).mul(255).to(torch.uint8)
    assert laplacian_variance(board.view(1, 1, 4, 4)).item() == (4 * 255) ** 2


def test_a_ramp_bends_only_at_its_mirrored_ends():
    ramp = torch.arange(5, dtype=torch.uint8).expand(1, 1, 5, 5)  # Laplacian +2 left, -2 right, 0 between
    assert laplacian_variance(ramp).item() == pytest.approx(2 / 5 * 4, rel=1e-9, abs=1e-10)


def test_floats_are_the_bytes_they_stand_for():
    images = torch.randint(256, (3, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(laplacian_variance(to_float_images(images)), laplacian_variance(images))


def test_blur_lowers_it():
    images = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(images, 3, stride=1)
    assert (laplacian_variance(blurred) < 0.3 * laplacian_variance(images)).all()


@pytest.mark.parametrize("shape", [(2, 2, 8, 8), (2, 4, 8, 8), (2, 1, 1, 8), (2, 64)])
def test_refused(shape):
    with pytest.raises(ConfigurationError, match="expected images"):
        laplacian_variance(torch.zeros(shape, dtype=torch.uint8))


class TestMetric:
    def test_mean_and_ratio_of_means(self, make_images):
        sharp, soft = make_images(40, 0), make_images(30, 1, top=100)
        metric = LaplacianVariance()
        for part in soft.split(11):
            metric.update(part, real=False)
        for part in sharp.split(7):
            metric.update(part, real=True)
        values = metric.compute()
        mean, reference = laplacian_variance(soft).mean().item(), laplacian_variance(sharp).mean().item()
        assert values["laplacian_variance"].item() == pytest.approx(mean, rel=1e-9, abs=1e-10)
        assert values["laplacian_variance_ratio"].item() == pytest.approx(mean / reference, rel=1e-9, abs=1e-10)
        assert values["laplacian_variance"].dtype == torch.float64
        assert metric.warnings == ()
        assert metric.counts == {"generated": 30, "reference": 40}

    def test_without_a_reference(self, make_images):
        metric = LaplacianVariance()
        metric.update(make_images(10, 0))
        assert set(metric.compute()) == {"laplacian_variance"}

    def test_constant_images_are_flagged(self, make_images):
        metric = LaplacianVariance()
        metric.update(torch.full((5, 1, 8, 8), 7, dtype=torch.uint8))
        metric.update(make_images(5, 0), real=True)
        assert metric.compute()["laplacian_variance_ratio"].item() == 0
        assert metric.warnings == ("images without edges",)

    def test_a_constant_reference_gives_no_ratio(self, make_images):
        metric = LaplacianVariance()
        metric.update(make_images(5, 0))
        metric.update(torch.zeros(5, 1, 8, 8), real=True)
        assert metric.compute()["laplacian_variance_ratio"].isnan()
        assert metric.warnings == ("reference without edges",)

    def test_nothing_to_judge(self, make_images):
        metric = LaplacianVariance()
        metric.update(make_images(5, 0), real=True)
        with pytest.raises(ConfigurationError, match="got 0 generated images"):
            metric.compute()


def test_reset_generated_keeps_the_reference():
    images = torch.randint(256, (3, 4, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    metric, expected = LaplacianVariance(), LaplacianVariance()
    metric.update(images[0], real=True)
    metric.update(images[1])
    metric.compute()
    metric.reset_generated()
    metric.update(images[2])
    expected.update(images[0], real=True)
    expected.update(images[2])
    assert metric.compute() == expected.compute()
    assert metric.settings() == expected.settings()
