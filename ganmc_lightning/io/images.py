"""One image file as a tensor: upright, without transparency, in 8 bits, within a limit of memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError

MAX_PIXELS = 2**26
"""Most pixels (8192 x 8192) of an image file, and of the image that resizing its shorter side would give."""
BACKGROUND = (255, 255, 255)
"""Color behind transparent pixels: white, as web pages and image viewers show them."""
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = {1: "L", 3: "RGB"}
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def check_size(size: int, key: str) -> int:
    """Return ``size``, a number of pixels.

    Raises:
        ConfigurationError: it is not positive; the message names ``key``.
    """
    if size < 1:
        raise ConfigurationError(f"{key}: {size} is not a positive number of pixels")
    return size


def read_image(path: Path, image_size: int, shorter_side: int, channels: int) -> Tensor:
    """Decode one image, resize its shorter side and cut a square from the center.

    The resize is bilinear with antialiasing and rounds as torchvision's ``Resize`` and ``CenterCrop`` do,
    so that published ImageNet weights see the pixels they were scored on. Orientation and transparency are
    handled as by :func:`decode_image`.

    Args:
        path: the image file.
        image_size: side of the square.
        shorter_side: length of the shorter side before the cut, at least ``image_size``.
        channels: 1 for gray, 3 for RGB.

    Returns:
        uint8 (channels, image_size, image_size).

    Raises:
        ConfigurationError: the file is no readable 8-bit image, or it or the resized image has more than
            :data:`MAX_PIXELS` pixels.
    """
    image = _decode(path, channels)
    image = _resize(image, shorter_side, path)
    left, top = (round((side - image_size) / 2) for side in image.size)
    return _tensor(image.crop((left, top, left + image_size, top + image_size)))


def decode_image(path: Path, channels: int) -> Tensor:
    """Decode one image at its own size.

    The image is turned upright as its EXIF tag says. Transparent pixels are composited on :data:`BACKGROUND`,
    whatever color is stored below them. Of an animation the first frame is taken.

    Args:
        path: the image file.
        channels: 1 for gray, 3 for RGB.

    Returns:
        uint8 (channels, H, W).

    Raises:
        ConfigurationError: the file is no readable 8-bit image, it has more than :data:`MAX_PIXELS` pixels, or all of
            it that is not transparent has the color of the background.
    """
    return _tensor(_decode(path, channels))


def _decode(path: Path, channels: int) -> Image.Image:
    try:
        with Image.open(path, formats=_FORMATS) as file:
            _check_header(file, path)
            file.load()
            # After load(): Pillow turns TIFF files upright itself and then removes the tag.
            turn = _UPRIGHT.get(file.getexif().get(_ORIENTATION_TAG, 1))
            shown = _on_background(file, path) if file.has_transparency_data else file
            image = shown.convert(_MODES[channels])
            return image if turn is None else image.transpose(turn)
    except ConfigurationError:
        raise
    except Exception as error:  # the decoders raise errors of many types for damaged files
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigurationError(f"{path}: cannot be read as an image ({reason}): replace it or remove it") from error


def _check_header(file: Image.Image, path: Path) -> None:
    """Refuse what must not be decoded, from the header alone."""
    # Pillow clips deeper gray levels at 255, which would turn most of the picture white.
    if file.mode.startswith(("I", "F")):
        raise ConfigurationError(f"{path}: {file.mode} pixels have more than 8 bits: convert it to an 8-bit image")
    width, height = file.size
    if width * height > MAX_PIXELS:
        raise ConfigurationError(
            f"{path}: has {width}x{height} = {width * height:,} pixels, the limit is {MAX_PIXELS:,}: "
            "make it smaller or remove it"
        )


def _on_background(image: Image.Image, path: Path) -> Image.Image:
    pixels = image.convert("RGBA")
    shown = Image.new("RGB", image.size, BACKGROUND)
    shown.paste(pixels, mask=pixels)
    opaque = pixels.getchannel("A").getextrema() == (255, 255)
    if not opaque and shown.getextrema() == tuple((level, level) for level in BACKGROUND):
        raise ConfigurationError(
            f"{path}: shows nothing on the white background that transparent pixels get: save it on a background "
            "of another color or remove it"
        )
    return shown


def _resize(image: Image.Image, shorter_side: int, path: Path) -> Image.Image:
    width, height = image.size
    short = min(width, height)
    if short == shorter_side:
        return image
    size = (shorter_side * width // short, shorter_side * height // short)
    # An image of 1 x 200,000 pixels is a file of 467 bytes, and 32 x 6,400,000 pixels once it is enlarged.
    if size[0] * size[1] > MAX_PIXELS:
        raise ConfigurationError(
            f"{path}: {width}x{height} pixels, resized to a shorter side of {shorter_side}, become "
            f"{size[0]}x{size[1]} = {size[0] * size[1]:,}, the limit is {MAX_PIXELS:,}: cut it to a less narrow "
            "image or remove it"
        )
    return image.resize(size, Image.Resampling.BILINEAR)


def _tensor(image: Image.Image) -> Tensor:
    pixels = np.array(image, dtype=np.uint8)
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()
