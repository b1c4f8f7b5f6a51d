from __future__ import annotations

import numpy as np
import pytest
import torch

from ganmc_lightning.batch import UNKNOWN_LABEL, Batch, DataSpec, SupportsDataSpec, to_float_images, to_uint8_images

LEVELS = torch.arange(256, dtype=torch.uint8)


def test_every_level_is_decoded():
    expected = np.arange(256) / 127.5 - 1
    decoded = to_float_images(LEVELS)
    assert decoded.dtype == torch.float32
    np.testing.assert_allclose(decoded.numpy(), expected, rtol=0, atol=1e-6)
    assert decoded.min() == -1
    assert decoded.max() == 1


def test_to_float_images_keeps_its_argument():
    images = LEVELS.view(1, 1, 16, 16).clone()
    assert to_float_images(images).shape == (1, 1, 16, 16)
    assert torch.equal(images.flatten(), LEVELS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_pass_through(dtype):
    rows = torch.tensor([[-7.5, 300.0]], dtype=dtype)
    assert to_float_images(rows) is rows


def test_encode_undoes_decode():
    assert torch.equal(to_uint8_images(to_float_images(LEVELS)), LEVELS)


def test_encode_rounds_to_the_nearest_level_and_clamps():
    # One level is 2 / 255 wide: a shift of 0.45 of it must change nothing, one of 0.55 must.
    images = to_float_images(LEVELS)[1:-1]
    for shift, step in ((0.45, 0), (-0.45, 0), (0.55, 1), (-0.55, -1)):
        assert torch.equal(to_uint8_images(images + shift * 2 / 255).int(), LEVELS[1:-1].int() + step)
    assert to_uint8_images(torch.tensor([-1.5, 1.5, -100.0, 100.0])).tolist() == [0, 255, 0, 255]


def test_to_uint8_images_keeps_its_argument():
    images = torch.tensor([-0.3, 0.7])
    to_uint8_images(images)
    assert torch.equal(images, torch.tensor([-0.3, 0.7]))


def test_unknown_is_no_class():
    assert UNKNOWN_LABEL == -1


def test_batch_travels_as_a_tuple():
    """Lightning moves named tuples to the device field by field and keeps their type."""
    from lightning.fabric.utilities import move_data_to_device

    batch = Batch(
        torch.zeros(2, 3),
        torch.zeros(2, dtype=torch.int64),
        torch.ones(2, dtype=torch.bool),
        torch.zeros(2, 5),
        torch.ones(2),
    )
    moved = move_data_to_device(batch, torch.device("meta"))
    assert type(moved) is Batch
    assert [field.device.type for field in moved] == ["meta"] * 5


def test_describing_data_is_a_matter_of_methods():
    class Described:
        spec = DataSpec((4,), 2)

        def samples(self, part):
            return torch.zeros(0, 4), torch.zeros(0)

    assert isinstance(Described(), SupportsDataSpec)
    assert not isinstance(object(), SupportsDataSpec)
