from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from ganmc_lightning.data.augment import (
    RandomCropFlip,
    RandomResizedCropFlip,
    random_crop,
    random_flip,
    random_resized_crop,
)
from ganmc_lightning.exceptions import ConfigurationError


def images(n: int, channels: int = 3) -> Tensor:
    return torch.rand(n, channels, 6, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1


def shifted(image: Tensor, down: int, right: int) -> Tensor:
    """One image (C, H, W) moved over black, pixel by pixel."""
    result = torch.full_like(image, -1.0)
    _, height, width = image.shape
    for row, column in product(range(height), range(width)):
        if 0 <= row - down < height and 0 <= column - right < width:
            result[:, row, column] = image[:, row - down, column - right]
    return result


def shift_of(before: Tensor, after: Tensor, padding: int) -> tuple[int, int]:
    """Return the shift that maps the image to ``after``."""
    moves = product(range(-padding, padding + 1), repeat=2)
    found = [move for move in moves if torch.equal(shifted(before, *move), after)]
    assert len(found) == 1
    return found[0]


def test_crop_is_a_shift_of_each_image() -> None:
    before = images(40)
    untouched = before.clone()
    after = random_crop(before, 2)
    shifts = {shift_of(one, other, 2) for one, other in zip(before, after, strict=True)}
    assert len(shifts) > 10  # every image is shifted independently, all channels equally
    assert torch.equal(before, untouched)


def test_every_shift_is_as_likely_as_another() -> None:
    image = images(1)
    after = random_crop(image.expand(1800, -1, -1, -1), 1)
    possible = torch.stack([shifted(image[0], *move) for move in product((-1, 0, 1), repeat=2)])
    counts = (after[:, None] == possible).flatten(2).all(dim=2).sum(dim=0)
    assert counts.sum() == 1800
    assert ((counts - 200).abs() < 4 * (200 * 8 / 9) ** 0.5).all()


def test_flip_mirrors_half_of_the_images() -> None:
    before = images(1000)
    after = random_flip(before)
    kept = (after == before).flatten(1).all(dim=1)
    mirrored = (after == before.flip(3)).flatten(1).all(dim=1)
    assert torch.equal(kept, ~mirrored)
    assert abs(mirrored.sum().item() - 500) < 4 * 250**0.5


def test_range_shape_and_type_are_kept() -> None:
    before = images(50, channels=1)
    after = RandomCropFlip(padding=3)(before, torch.Generator())
    assert after.shape == before.shape
    assert after.dtype == before.dtype
    assert after.min() >= -1
    assert after.max() <= 1


def test_generator_decides_and_nothing_else() -> None:
    augment, before = RandomCropFlip(padding=2), images(20)
    torch.manual_seed(1)
    one = augment(before, torch.Generator().manual_seed(5))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(augment(before, torch.Generator().manual_seed(5)), one)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(augment(before, torch.Generator().manual_seed(6)), one)


def test_parts_can_be_left_out() -> None:
    before = images(100)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(RandomCropFlip(padding=0, flip=False)(before, generator), before)
    for one, other in zip(before[:20], RandomCropFlip(padding=1, flip=False)(before[:20], generator), strict=True):
        shift_of(one, other, 1)


def test_bad_input() -> None:
    with pytest.raises(ConfigurationError, match="padding"):
        RandomCropFlip(padding=-1)
    with pytest.raises(ConfigurationError, match=r"data\.augment"):
        RandomCropFlip()(torch.zeros(4, 3), torch.Generator())


def test_resized_crops_are_parts_of_the_image() -> None:
    """An image whose values are its coordinates shows which rectangle was cropped."""
    side = torch.linspace(-1, 1, 64)
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij")).expand(200, 2, 64, 64)
    after = random_resized_crop(grid, 0.25, 4 / 3, torch.Generator().manual_seed(0))
    spans = after.amax(dim=(2, 3)) - after.amin(dim=(2, 3))  # (N, 2), of 2
    areas = spans.prod(dim=1) / 4
    ratios = spans[:, 0] / spans[:, 1]
    assert after.abs().max() <= 1 + 1e-5
    assert (areas.min() - 0.25).abs() < 0.03
    assert areas.max() > 0.9
    assert ((ratios > 0.72) & (ratios < 1.4)).all()
    assert ratios.min() < 0.8
    assert ratios.max() > 1.25


def test_positions_of_resized_crops_are_uniform() -> None:
    """On an image of its coordinates, the middle of a crop is its mean: uniform over the positions that fit."""
    side = (torch.arange(64) + 0.5) / 32 - 1
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij")).expand(1000, 2, 64, 64)
    after = random_resized_crop(grid, 0.25, 4 / 3, torch.Generator().manual_seed(0))
    room = 1 - (after.amax(dim=(2, 3)) - after.amin(dim=(2, 3))) / 2 * 64 / 63  # of the middle, on each side of 0
    position = (after.mean(dim=(2, 3)) / room)[(room > 0.2).all(dim=1)]
    n = len(position)
    assert n > 400
    assert position.abs().max() < 1.05
    assert (position.mean(dim=0).abs() < 4 * (1 / 3 / n) ** 0.5).all()
    assert ((position.var(dim=0) - 1 / 3).abs() < 4 * (4 / 45 / n) ** 0.5).all()
    assert abs(torch.corrcoef(position.T)[0, 1]) < 4 / n**0.5


@pytest.mark.parametrize("smallest", [0.5, 0.8, 1.0])
def test_least_share_of_large_crops(smallest: float) -> None:
    """Both sides fit into the image, so that no share is reduced."""
    side = torch.linspace(-1, 1, 64)
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij")).expand(500, 2, 64, 64)
    after = random_resized_crop(grid, smallest, 4 / 3, torch.Generator().manual_seed(0))
    areas = (after.amax(dim=(2, 3)) - after.amin(dim=(2, 3))).prod(dim=1) / 4
    assert areas.min() > smallest - 0.02
    assert (areas.mean() - (1 + smallest) / 2).abs() < 0.02


def test_resized_crops_are_flipped_unless_left_out() -> None:
    """Crops of the whole image show whether it is mirrored."""
    before, random = images(400), torch.Generator().manual_seed(0)
    after = RandomResizedCropFlip(smallest=1.0)(before, random)
    kept = torch.isclose(after, before, atol=1e-5).flatten(1).all(dim=1)
    mirrored = torch.isclose(after, before.flip(3), atol=1e-5).flatten(1).all(dim=1)
    assert torch.equal(kept, ~mirrored)
    assert abs(mirrored.sum().item() - 200) < 4 * 100**0.5
    torch.testing.assert_close(RandomResizedCropFlip(smallest=1.0, flip=False)(before, random), before)


def test_resized_crop_and_flip_are_reproducible() -> None:
    augment, before = RandomResizedCropFlip(), images(20)
    one = augment(before, torch.Generator().manual_seed(5))
    assert one.shape == before.shape
    assert torch.equal(augment(before, torch.Generator().manual_seed(5)), one)
    assert not torch.equal(augment(before, torch.Generator().manual_seed(6)), one)
    with pytest.raises(ConfigurationError, match="smallest"):
        RandomResizedCropFlip(smallest=0)
    with pytest.raises(ConfigurationError, match=r"data\.augment"):
        augment(torch.zeros(4, 3), torch.Generator())


def test_autocast_does_not_round_the_coordinates() -> None:
    augment, before = RandomResizedCropFlip(), images(20)
    with torch.autocast("cpu", torch.bfloat16):
        inside = augment(before, torch.Generator().manual_seed(5))
    assert torch.equal(inside, augment(before, torch.Generator().manual_seed(5)))
