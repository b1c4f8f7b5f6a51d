from __future__ import annotations

import numpy as np
import pytest
import torch

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.pixel_range import check_pixel_range, pixel_range_error


@pytest.mark.parametrize("levels", [(0, 0), (0, 2), (0, 255), (1, 2), (255, 255), ()])
def test_bytes_pass_as_they_are(levels) -> None:
    images = torch.tensor(levels, dtype=torch.uint8)
    assert check_pixel_range(images, "a") is images


@pytest.mark.parametrize("levels", [(0, 1), (1, 1), (1, 0, 0, 0)])
def test_zeros_and_ones_raise(levels) -> None:
    with pytest.raises(ConfigurationError, match=r"^a: got uint8 pixels in \[0, 1\], expected \[0, 255\]; multiply"):
        check_pixel_range(torch.tensor(levels, dtype=torch.uint8), "a")


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (np.array([0.0, 0.25, 1.0], np.float32), "in [0, 1]"),
        (np.array([-1.0, 0.0, 1.0]), "in [-1, 1]"),
        (np.array([0.0, 3.0, 255.0]), "in [0, 255]"),
        (np.array([0, 3, 255]), "in [0, 255]"),
        (np.array([False, True]), "in [0, 1]"),
    ],
)
def test_the_advised_conversion_fills_the_range(images: np.ndarray, names: str) -> None:
    message = str(pixel_range_error(images, "a"))
    assert (
        f"a: got dtype {images.dtype} and values {names}, expected uint8 pixels in [0, 255]; convert them with "
        in message
    )
    converted = eval(message.rpartition("convert them with ")[2], {"images": images, "numpy": np})
    assert converted.dtype == np.uint8
    assert (converted.min(), converted.max()) == (0, 255)


def test_other_ranges_and_types_have_no_recipe() -> None:
    assert "values in [-40, 300], expected uint8 pixels in [0, 255]; scale and" in str(
        pixel_range_error(np.array([-40, 300]), "a")
    )
    assert str(pixel_range_error(np.array(["x"]), "a")) == "a: got dtype <U1, expected uint8 pixels in [0, 255]"
