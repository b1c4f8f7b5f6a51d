from __future__ import annotations

import numpy as np
import pytest
import torch

from ganmc_lightning.batch import decode
from ganmc_lightning.errors import InputError
from ganmc_lightning.metrics.samples import check_samples


def test_bytes_and_rows_pass_as_they_are():
    images = torch.randint(256, (3, 1, 4, 4), dtype=torch.uint8)
    rows = torch.randn(3, 5) * 100
    assert check_samples(images) is images
    assert check_samples(rows) is rows


def test_float_images_are_what_a_file_of_them_would_hold():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(check_samples(decode(levels)), levels)
    nearly = decode(levels) + 0.4 / 127.5  # less than half a level away
    assert torch.equal(check_samples(nearly.clamp(-1, 1)), levels)


def test_a_hair_outside_is_clipped():
    image = torch.tensor([-1.0005, 1.0005]).view(1, 1, 1, 2)
    assert check_samples(image).flatten().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.full((2, 1, 4, 4), 1.01), r"images lie in \[1.01, 1.01\]: float images must lie in \[-1, 1\]"),
        (torch.full((2, 1, 4, 4), -1.01), r"images lie in \[-1.01, -1.01\]"),
        (torch.full((2, 1, 4, 4), 200.0), r"others be uint8"),
        (torch.zeros(2, 1, 4, 4).index_fill(3, torch.tensor(2), torch.nan), "NaN or infinity"),
        (torch.tensor([[0.0, np.nan]]), "NaN or infinity"),
        (torch.tensor([[0.0, np.inf]]), "NaN or infinity"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.int64), "dtype torch.int64: give uint8"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.bool), "dtype torch.bool"),
        (torch.zeros(1, 4, 4), r"shape \(1, 4, 4\)"),
        (torch.zeros(4), r"shape \(4,\)"),
    ],
)
def test_refused(samples, message):
    with pytest.raises(InputError, match=message):
        check_samples(samples)


def test_rows_may_hold_any_number():
    check_samples(torch.tensor([[-1e6, 1e6]]))


def test_nothing_is_fine():
    assert len(check_samples(torch.zeros(0, 1, 4, 4))) == 0
