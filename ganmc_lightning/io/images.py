"""Read image files as 8-bit tensors, with EXIF rotation, without transparency, and with limited size."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.input_files import check_regular_file

MAX_PIXELS = 2**26
"""Maximum number of pixels (8192 x 8192) of an image file, before and after resizing its shorter side."""
BACKGROUND = (255, 255, 255)
"""Color for transparent pixels: white, as in web browsers and image viewers."""
PLOT_CHANNELS = (1, 3, 4)
"""Numbers of channels that a figure can show: gray, color, and color with transparency."""
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = {1: "L", 3: "RGB"}
_ORIENTATION_TAG = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def check_size(size: int, key: str) -> int:
    """Return ``size`` in pixels after checking that it is positive.

    Raises:
        ConfigurationError: the size is not positive; the message starts with ``key``.
    """
    if size < 1:
        raise ConfigurationError(f"{key}: got {size}, expected a positive number of pixels")
    return size


def check_channels(channels: int, key: str) -> int:
    """Return the number of channels after checking that images can be converted to it.

    Raises:
        ConfigurationError: the number is not 1 or 3; the message starts with ``key``.
    """
    if channels not in _MODES:
        raise ConfigurationError(f"{key}: got {channels}, expected 3 for RGB or 1 for gray")
    return channels


def read_image(path: Path, image_size: int, shorter_side: int, channels: int, content: bytes | None = None) -> Tensor:
    """Decode an image, resize its shorter side and crop the center square.

    Resizing is bilinear with antialiasing and rounds like torchvision's ``Resize`` and ``CenterCrop``, so that pixels
    equal those on which published ImageNet weights were evaluated. Orientation and transparency are handled as in
    :func:`decode_image`.

    Args:
        path: the image file; only for error messages if ``content`` is given.
        image_size: side of the square in pixels.
        shorter_side: length of the shorter side before the crop, at least ``image_size``.
        channels: 1 for gray, 3 for RGB.
        content: bytes of the image file, e.g. of a column of images; None reads the file.

    Returns:
        uint8 (channels, image_size, image_size).

    Raises:
        ConfigurationError: the file is not a readable 8-bit image, or the original or resized image has more than
            :data:`MAX_PIXELS` pixels.
    """
    image = _decode(path, channels, content)
    image = _resize(image, shorter_side, path)
    left, top = (round((side - image_size) / 2) for side in image.size)
    return _tensor(image.crop((left, top, left + image_size, top + image_size)))


def decode_image(path: Path, channels: int) -> Tensor:
    """Decode an image at its original size.

    The image is rotated by its EXIF tag. Transparent pixels are composited on :data:`BACKGROUND`. The first frame
    of an animation is returned.

    Args:
        path: the image file.
        channels: 1 for gray, 3 for RGB.

    Returns:
        uint8 (channels, H, W).

    Raises:
        ConfigurationError: the file is not a readable 8-bit image, has more than :data:`MAX_PIXELS` pixels, or all
            opaque pixels have the color of the background.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "demo.png"
        >>> Image.new("RGBA", (2, 1), (255, 0, 0, 128)).save(path)
        >>> decode_image(path, channels=3)[:, 0, 0]
        tensor([255, 127, 127], dtype=torch.uint8)
    """
    return _tensor(_decode(path, channels))


def read_dimensions(path: Path, content: bytes | None = None) -> tuple[int, int]:
    """Return width and height of an image, from the header of the file; the EXIF orientation is not applied.

    Args:
        path: the image file; only for error messages if ``content`` is given.
        content: bytes of the image file; None reads the file.

    Raises:
        ConfigurationError: the file is not a readable image.
    """
    with _open(path, content) as file:
        return file.size


@contextmanager
def _open(path: Path, content: bytes | None) -> Iterator[Image.Image]:
    if content is None:
        check_regular_file(path)
    try:
        with Image.open(path if content is None else io.BytesIO(content), formats=_FORMATS) as file:
            yield file
    except ConfigurationError:
        raise
    except Exception as error:  # the decoders raise many types for damaged files
        reason = str(error).partition("\n")[0] or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # its message contains the address of an image in memory
            reason = f"not {', '.join(_FORMATS)}, or truncated"
        raise ConfigurationError(f"{path}: cannot be read as an image ({reason})") from error


def _decode(path: Path, channels: int, content: bytes | None = None) -> Image.Image:
    with _open(path, content) as file:
        _check_header(file, path)
        file.load()
        # After load(), in which Pillow rotates TIFF files and removes the tag.
        transpose = _TRANSPOSE.get(file.getexif().get(_ORIENTATION_TAG, 1))
        opaque = _on_background(file, path) if file.has_transparency_data else file
        image = opaque.convert(_MODES[channels])
        return image if transpose is None else image.transpose(transpose)


def _check_header(file: Image.Image, path: Path) -> None:
    """Reject files that are too large or have more than 8 bits, by their header."""
    # Pillow clips 16-bit gray levels at 255, so most of the image would be white.
    if file.mode.startswith(("I", "F")):
        raise ConfigurationError(f"{path}: got {file.mode} pixels of more than 8 bits, expected an 8-bit image")
    width, height = file.size
    if width * height > MAX_PIXELS:
        raise ConfigurationError(
            f"{path}: got {width}x{height} = {width * height:,} pixels, expected at most {MAX_PIXELS:,}"
        )


def _on_background(image: Image.Image, path: Path) -> Image.Image:
    pixels = image.convert("RGBA")
    shown = Image.new("RGB", image.size, BACKGROUND)
    shown.paste(pixels, mask=pixels)
    opaque = pixels.getchannel("A").getextrema() == (255, 255)
    if not opaque and shown.getextrema() == tuple((level, level) for level in BACKGROUND):
        raise ConfigurationError(
            f"{path}: all opaque pixels are white, the color for transparent pixels; save the image on a background of "
            "another color"
        )
    return shown


def _resize(image: Image.Image, shorter_side: int, path: Path) -> Image.Image:
    width, height = image.size
    short = min(width, height)
    if short == shorter_side:
        return image
    size = (shorter_side * width // short, shorter_side * height // short)
    # A file of 467 bytes may contain 1 x 200,000 pixels, which become 32 x 6,400,000 pixels by resizing.
    if size[0] * size[1] > MAX_PIXELS:
        raise ConfigurationError(
            f"{path}: got {width}x{height} pixels, which become {size[0]}x{size[1]} = {size[0] * size[1]:,} with a "
            f"shorter side of {shorter_side}, expected at most {MAX_PIXELS:,}; crop it to a less narrow image"
        )
    return image.resize(size, Image.Resampling.BILINEAR)


def _tensor(image: Image.Image) -> Tensor:
    pixels = np.array(image, dtype=np.uint8)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()
