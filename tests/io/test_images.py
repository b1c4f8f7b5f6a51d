from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io import images
from ganmc_lightning.io.images import MAX_PIXELS, decode_image, read_dimensions, read_image

GREEN, MAGENTA = (0, 128, 0), (255, 0, 255)
# From the EXIF standard: which side of the stored image is the top, and which the left, of the upright one.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def refusal(call, *args, **kwargs):
    with pytest.raises(ConfigurationError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def pixels_of(path, channels=3):
    return decode_image(path, channels).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = np.zeros((32, 16, 3), np.uint8)
    stored[:16, :8], stored[:16, 8:], stored[16:, :8] = 255, 170, 85
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif, lossless=True, quality=95)
    found, expected = pixels_of(tmp_path / f"a.{suffix}"), UPRIGHT[orientation](stored)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 10  # of JPEG
    square = read_image(tmp_path / f"a.{suffix}", 16, 16, channels=3)
    rows, columns = expected.shape[0] - 16, expected.shape[1] - 16
    center = expected[rows // 2 : rows // 2 + 16, columns // 2 : columns // 2 + 16]
    assert np.abs(square.permute(1, 2, 0).numpy().astype(int) - center).max() <= 10


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_unknown_orientation_is_none(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (3, 2), GREEN).save(tmp_path / "a.png", exif=exif)
    assert pixels_of(tmp_path / "a.png").shape == (2, 3, 3)


def test_damaged_exif_does_not_spoil_the_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    content = bytearray(exif.tobytes())
    content[content.index(struct.pack(">HH", 0x011A, 5)) + 3] = 2  # a fraction that claims to be text
    Image.new("RGB", (3, 2), GREEN).save(tmp_path / "a.png", exif=bytes(content))
    assert pixels_of(tmp_path / "a.png").shape == (3, 2, 3)


def save_palette(path: Path, **keys) -> None:
    image = Image.new("P", (4, 4), 0)
    image.putpalette([*MAGENTA, *GREEN] + [0] * 254 * 3)
    image.paste(1, (1, 1, 3, 3))
    image.save(path, **keys)


def save_with_alpha(path: Path, mode: str) -> None:
    image = Image.new("RGBA", (4, 4), (*MAGENTA, 0))
    image.paste((*GREEN, 255), (1, 1, 3, 3))
    if mode == "LA":
        gray = image.convert("RGB").convert("L")
        image = Image.merge("LA", (gray, image.getchannel("A")))
    image.save(path)


def save_with_key(path: Path, mode: str) -> None:
    image = Image.new("RGB", (4, 4), MAGENTA)
    image.paste(GREEN, (1, 1, 3, 3))
    image = image.convert(mode)
    image.save(path, transparency=image.getpixel((0, 0)))


TRANSPARENT = {
    "palette index": lambda folder: save_palette(folder / "a.png", transparency=0),
    "palette alpha": lambda folder: save_palette(folder / "a.png", transparency=bytes([0, 255])),
    "gif": lambda folder: save_palette(folder / "a.gif", transparency=0),
    "RGBA": lambda folder: save_with_alpha(folder / "a.png", "RGBA"),
    "RGBA tiff": lambda folder: save_with_alpha(folder / "a.tif", "RGBA"),
    "LA": lambda folder: save_with_alpha(folder / "a.png", "LA"),
    "RGB key": lambda folder: save_with_key(folder / "a.png", "RGB"),
    "L key": lambda folder: save_with_key(folder / "a.png", "L"),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_pixels_are_white(tmp_path: Path, kind: str, channels: int) -> None:
    TRANSPARENT[kind](tmp_path)
    found = pixels_of(next(tmp_path.iterdir()), channels)
    gray = round(0.587 * 128)
    inside = GREEN if channels == 3 and kind not in ("LA", "L key") else (gray,) * channels
    expected = np.full((4, 4, channels), 255)
    expected[1:3, 1:3] = inside
    assert np.array_equal(found, expected)


def test_half_transparent_pixels_are_mixed(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (200, 100, 0, 51)).save(tmp_path / "a.png")  # a fifth opaque
    expected = [round(0.2 * color + 0.8 * 255) for color in (200, 100, 0)]
    assert np.abs(pixels_of(tmp_path / "a.png")[0, 0].astype(int) - expected).max() <= 1


def test_hidden_color_does_not_bleed_into_a_resized_image(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((255, 255, 254, 255), (0, 0, 4, 8))
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 3, 3, channels=3).min() >= 254


@pytest.mark.parametrize("color", [(255, 255, 255, 128), (0, 0, 0, 0)])
def test_image_that_vanishes_on_white_raises(tmp_path: Path, color) -> None:
    Image.new("RGBA", (4, 4), color).save(tmp_path / "icon.png")
    assert "icon.png: all opaque pixels are white" in refusal(decode_image, tmp_path / "icon.png", 3)


def test_opaque_white_is_an_image(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 255, 255, 255)).save(tmp_path / "a.png")
    assert (pixels_of(tmp_path / "a.png") == 255).all()


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in (GREEN, MAGENTA)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (pixels_of(tmp_path / "a.gif") == GREEN).all()


def png_header(width: int, height: int) -> bytes:
    """A PNG file with this number of gray pixels in its header and no data."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8192, 8193), (1, MAX_PIXELS + 1)])
def test_too_many_pixels_raise_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    for read in (lambda path: decode_image(path, 3), lambda path: read_image(path, 32, 32, channels=3)):
        message = refusal(read, tmp_path / "bomb.png")
        total = f"{size[0]}x{size[1]} = {size[0] * size[1]:,} pixels, expected at most 67,108,864"
        assert f"bomb.png: got {total}" in message


def test_beyond_the_limit_of_pillow(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(60_000, 60_000))
    assert "bomb.png: cannot be read as an image" in refusal(decode_image, tmp_path / "bomb.png", 3)


@pytest.mark.parametrize("size", [(1, 200_000), (200_000, 1)])
def test_thin_image_raises_before_resizing(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size).save(tmp_path / "thin.png", optimize=True)
    assert (tmp_path / "thin.png").stat().st_size < 500
    message = refusal(read_image, tmp_path / "thin.png", 32, 32, channels=3)
    assert "thin.png: " in message
    assert "= 204,800,000 with a shorter side of 32, expected at most 67,108,864" in message


def test_thin_image_within_the_limit_is_read(tmp_path: Path) -> None:
    Image.new("L", (2, 2000), 9).save(tmp_path / "thin.png")
    assert torch.equal(read_image(tmp_path / "thin.png", 8, 8, channels=1), torch.full((1, 8, 8), 9, dtype=torch.uint8))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", png_header(0, 5)]
)
def test_what_is_no_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert "a.png: cannot be read as an image" in refusal(decode_image, tmp_path / "a.png", 3)


def test_content_in_memory_is_read_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    expected = read_image(path, 6, 8, channels=3)
    assert read_dimensions(path) == read_dimensions(Path("row 3"), content) == (12, 9)
    assert torch.equal(read_image(Path("row 3"), 6, 8, 3, content), expected)
    message = refusal(read_image, Path("row 3"), 6, 8, 3, b"broken")
    assert message == "row 3: cannot be read as an image (not BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP, or truncated)"


def test_damaged_files_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 10_000)  # a damaged size may be any
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (9, 8, 3), dtype=np.uint8))
    outcomes = set()
    for suffix in ("png", "tif", "gif", "jpg", "bmp", "webp", "ppm"):
        path = tmp_path / f"a.{suffix}"
        image.save(path)
        whole = path.read_bytes()
        for _ in range(12):
            content = bytearray(whole)
            content[rng.integers(min(len(content), 100))] = rng.integers(256)
            path.write_bytes(content)
            try:
                outcomes.add(read_image(path, 4, 4, channels=3).shape)
            except ConfigurationError as error:
                assert str(path) in str(error)  # noqa: PT017 - either outcome is right
                outcomes.add(ConfigurationError)
    assert outcomes == {(3, 4, 4), ConfigurationError}


def test_gray_and_color_modes(tmp_path: Path) -> None:
    for mode, color, expected in (
        ("1", 1, (255, 255, 255)),
        ("L", 7, (7, 7, 7)),
        ("RGB", GREEN, GREEN),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
    ):
        Image.new(mode, (2, 2), color).save(tmp_path / "a.tif")
        assert tuple(pixels_of(tmp_path / "a.tif")[0, 0]) == expected
