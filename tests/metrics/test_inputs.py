from __future__ import annotations

import numpy as np
import pytest
import torch

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.inputs import check_samples

UNIT = torch.linspace(0, 1, 32).view(2, 1, 4, 4)


def test_bytes_and_rows_pass_as_they_are():
    images = torch.randint(256, (3, 1, 4, 4), dtype=torch.uint8)
    rows = torch.randn(3, 5) * 100
    assert check_samples(images) is images
    assert check_samples(rows) is rows


def test_float_images_are_rounded_to_stored_levels():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(check_samples(to_float_images(levels)), levels)
    nearly = to_float_images(levels) + 0.4 / 127.5  # less than half a level away
    assert torch.equal(check_samples(nearly.clamp(-1, 1)), levels)


def test_a_hair_outside_is_clipped():
    image = torch.tensor([-1.0005, 1.0005]).view(1, 1, 1, 2)
    assert check_samples(image).flatten().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.full((2, 1, 4, 4), 1.01), r"float images: got the range \[1.01, 1.01\], expected \[-1, 1\]"),
        (torch.full((2, 1, 4, 4), -1.01), r"float images: got the range \[-1.01, -1.01\]"),
        (torch.full((2, 1, 4, 4), 200.0), r"convert others to uint8"),
        (UNIT, r"float images: got the range \[0, 1\], expected \[-1, 1\]: convert images in \[0, 1\] by 2 \* images"),
        (UNIT / 2 + 0.25, r"float images: got the range \[0.25, 0.75\], expected \[-1, 1\]"),
        (UNIT - 0.0005, r"float images: got the range \[-0.0005, 0.9995\]"),  # rounding of a resize
        (UNIT.half(), r"float images: got the range \[0, 1\]"),
        (torch.zeros(2, 1, 4, 4).index_fill(3, torch.tensor(2), torch.nan), "NaN or infinity"),
        (torch.tensor([[0.0, np.nan]]), "NaN or infinity"),
        (torch.tensor([[0.0, np.inf]]), "NaN or infinity"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.int64), "dtype torch.int64, expected uint8"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.bool), "dtype torch.bool"),
        (torch.zeros(1, 4, 4), r"shape \(1, 4, 4\)"),
        (torch.zeros(4), r"shape \(4,\)"),
    ],
)
def test_refused(samples, message):
    with pytest.raises(ConfigurationError, match=message):
        check_samples(samples)


@pytest.mark.parametrize("level", [-1.0, 0.0, 0.5, 1.0])
def test_images_all_alike_tell_no_range(level):
    assert check_samples(torch.full((2, 1, 4, 4), level)).unique().tolist() == [round((level + 1) * 127.5 + 1e-6)]


def test_one_dark_pixel_determines_the_range():
    images = UNIT.clone()
    images[0, 0, 0, 0] = -0.1
    assert check_samples(images).dtype == torch.uint8


def test_dark_bytes_pass():
    for levels in ((0, 0), (0, 2), (1, 2)):
        images = torch.tensor(levels, dtype=torch.uint8).view(1, 1, 1, 2)
        assert check_samples(images) is images


def test_nearly_black_bytes_warn():
    """Images of a collapsed generator are valid, but may also be images in [0, 1]."""
    images = torch.tensor([0, 1], dtype=torch.uint8).view(1, 1, 1, 2)
    with pytest.warns(UserWarning, match=r"images: got uint8 pixels in \[0, 1\], which are nearly black"):
        assert check_samples(images) is images


def test_rows_may_be_zeros_and_ones():
    for rows in (torch.tensor([[0.0, 1.0]]), torch.tensor([[0, 1]], dtype=torch.uint8)):
        assert check_samples(rows) is rows


def test_rows_may_hold_any_number():
    check_samples(torch.tensor([[-1e6, 1e6]]))


def test_nothing_is_fine():
    assert len(check_samples(torch.zeros(0, 1, 4, 4))) == 0
