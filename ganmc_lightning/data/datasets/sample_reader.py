"""Convert samples of any PyTorch dataset to uint8 images and labels in memory, with validation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.pixel_range import check_pixel_range

_CHUNK = 256  # images that are converted jointly; the range of float images is recognized by the first ones
_PAIR = "expected (image, label), a PIL image or a tensor (C, H, W) and an integer"


class SampleReader:
    """Reader of samples (image, label), which have one shape, type and range in all splits.

    Example:
        >>> reader = SampleReader()
        >>> data = reader.read([(torch.full((1, 2, 2), 0.2), 0), (torch.ones(1, 2, 2), 1)], "train")
        >>> data.inputs[:, 0, 0, 0], data.labels
        (tensor([ 51, 255], dtype=torch.uint8), tensor([0, 1]))
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None  # image whose shape and type all other images have
        self._low: int | None = None  # lower end of the range of float images, 0 or -1

    def read(self, samples: Iterable[Any], where: str) -> TensorDataset:
        """Read all samples of a split.

        Args:
            samples: pairs of a PIL image (RGB or gray) or a tensor (C, H, W), and an integer label. Tensors are uint8,
                or float in [0, 1] or [-1, 1], which are rounded to 8 bits.
            where: split, for error messages.

        Raises:
            ConfigurationError: a sample is not such a pair, images differ in shape or type, or values of float images
                are not in a known range.
        """
        chunks: list[Tensor] = []
        images: list[Tensor] = []
        labels: list[int] = []
        for index, sample in enumerate(samples):
            place = f"{where}[{index}]"
            if not isinstance(sample, tuple | list) or len(sample) != 2:
                raise ConfigurationError(f"{place}: got {type(sample).__name__}, {_PAIR}")
            images.append(self._checked(_to_tensor(sample[0], place), place))
            labels.append(_to_label(sample[1], place))
            if len(images) == _CHUNK:
                chunks.append(self._to_uint8(torch.stack(images), where))
                images.clear()
        if images:
            chunks.append(self._to_uint8(torch.stack(images), where))
        if not chunks:
            raise ConfigurationError(f"{where}: got no samples, expected at least one")
        return TensorDataset(check_pixel_range(torch.cat(chunks), where), torch.tensor(labels))

    def _checked(self, image: Tensor, place: str) -> Tensor:
        if self._first is None:
            self._first = image
        first = self._first
        if image.shape != first.shape or image.dtype != first.dtype:
            raise ConfigurationError(
                f"{place}: got an image {tuple(image.shape)} {image.dtype}, expected {tuple(first.shape)} "
                f"{first.dtype} as the first image; add transforms to the "
                "data set, e.g. Resize and CenterCrop, or convert('RGB')"
            )
        return image

    def _to_uint8(self, images: Tensor, where: str) -> Tensor:
        if images.dtype == torch.uint8:
            return images
        low, high = float(images.min()), float(images.max())
        if self._low is None:
            self._low = _range_start(low, high, where)
        if not (self._low <= low and high <= 1):  # also NaN
            raise ConfigurationError(
                f"{where}: got values in [{low:.4g}, {high:.4g}], expected [{self._low}, 1] as the first images"
            )
        scaled = images if self._low == 0 else (images + 1) / 2
        return scaled.float().mul(255).round_().to(torch.uint8)


def _range_start(low: float, high: float, where: str) -> int:
    """Return the lower end of the range of float images, 0 or -1."""
    got = f"{where}: got float images with values in [{low:.4g}, {high:.4g}]"
    if low >= 0 and 1 < high <= 255:
        raise ConfigurationError(f"{got}, expected [0, 1] or uint8; convert them with .to(torch.uint8)")
    if not (low >= -1 and high <= 1):
        raise ConfigurationError(
            f"{got}, expected [0, 1] or [-1, 1]; remove Normalize(mean, std) from the transforms, because the network "
            "normalizes its inputs"
        )
    if low == high or -0.5 < low < 0:
        raise ConfigurationError(f"{got}, which fits neither [0, 1] nor [-1, 1]; expected uint8 in [0, 255]")
    return 0 if low >= 0 else -1


def _to_tensor(image: Any, place: str) -> Tensor:
    if isinstance(image, Image.Image):
        if image.mode not in ("L", "RGB"):
            raise ConfigurationError(f"{place}: got a PIL image of mode {image.mode}, expected L or RGB; convert it")
        pixels = np.array(image)
        return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous()
    if not isinstance(image, Tensor):
        raise ConfigurationError(f"{place}: got {type(image).__name__} for the image, {_PAIR}")
    if image.dim() != 3 or not 1 <= image.shape[0] <= 4:
        raise ConfigurationError(f"{place}: got an image of shape {tuple(image.shape)}, expected (C, H, W)")
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise ConfigurationError(f"{place}: got an image of {image.dtype}, expected uint8, or float in [0, 1]")
    return image.detach().cpu()


def _to_label(label: Any, place: str) -> int:
    if isinstance(label, Tensor | np.ndarray) and label.reshape(-1).shape == (1,):
        label = label.reshape(-1)[0].item()
    if isinstance(label, bool) or not isinstance(label, int | np.integer) or label < 0:
        raise ConfigurationError(
            f"{place}: got the label {str(label)[:30]} ({type(label).__name__}), expected an integer 0..K-1"
        )
    return int(label)
