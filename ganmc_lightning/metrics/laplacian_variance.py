"""Variance of Laplacian: how sharp images are (GAN-KD, section 4.3)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.inputs import check_samples
from ganmc_lightning.metrics.reported import GenerativeMetric, Protocol

RGB_WEIGHTS = (9798, 19235, 3735)
"""BT.601 in 32768ths, the integers OpenCV computes gray with."""


def laplacian_variance(images: Tensor) -> Tensor:
    """Variance of the Laplacian of each image: the more edges, the higher (Pech-Pacheco et al. 2000).

    Equals OpenCV's ``cv2.Laplacian(gray, cv2.CV_64F).var()``: kernel of four ones around -4, borders mirrored
    without repeating the edge, colors turned gray by BT.601.

    Args:
        images: uint8 or float in [-1, 1] (N, C, H, W) with one channel or three; they are measured in 0..255.

    Returns:
        float64 (N,).

    Raises:
        ConfigurationError: another number of channels, a side of one pixel, or images out of range.

    Example:
        >>> dot = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
        >>> dot[0, 0, 1, 1] = 2
        >>> laplacian_variance(dot)  # -8 in the center, 4 on the sides because borders mirror, 0 in the corners
        tensor([13.4321], dtype=torch.float64)
    """
    samples = check_samples(images)
    if samples.ndim != 4 or samples.shape[1] not in (1, 3) or min(samples.shape[2:]) < 2:
        raise ConfigurationError(
            f"variance of Laplacian needs images (N, 1 or 3, H, W) of at least 2x2 pixels, not {tuple(images.shape)}"
        )
    if len(samples) == 0:
        return torch.zeros(0, dtype=torch.float64, device=samples.device)
    values = samples.to(torch.int32)
    if samples.shape[1] == 3:
        red, green, blue = (weight * values[:, k] for k, weight in enumerate(RGB_WEIGHTS))
        gray = (red + green + blue + (1 << 14)) >> 15
    else:
        gray = values[:, 0]
    # The kernel holds whole numbers, and so do its sums: float32 is exact here.
    padded = F.pad(gray.float().unsqueeze(1), (1, 1, 1, 1), mode="reflect").squeeze(1)
    sides = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return (sides - 4 * gray).double().flatten(1).var(dim=1, correction=0)


class LaplacianVariance(GenerativeMetric):
    """Mean :func:`laplacian_variance` of images, and its ratio to that of a reference, both averaged first.

    GAN-KD (figure 10) gives a student generator's sharpness as a share of its teacher's: update with the teacher's
    images as ``real=True``. With real images there, the ratio says how sharp a generator is beside them.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    sharpness: Tensor
    images: Tensor
    reference_sharpness: Tensor
    reference_images: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__({}, **kwargs)
        for kind in ("", "reference_"):
            self.add_state(f"{kind}sharpness", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{kind}images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, images: Tensor, real: bool = False) -> None:
        """Add images.

        Args:
            images: uint8 or float in [-1, 1] (N, C, H, W) with one channel or three.
            real: whether they are the reference, real images or a teacher's, or the images to judge.

        Raises:
            ConfigurationError: no such images.
        """
        total = laplacian_variance(images).sum().to(self.device)
        if real:
            self.reference_sharpness += total
            self.reference_images += len(images)
        else:
            self.sharpness += total
            self.images += len(images)

    def compute(self) -> dict[str, Tensor]:
        """Return ``laplacian_variance`` and, where there was a reference, ``laplacian_variance_ratio``.

        Both are float64 scalars; the ratio is nan beside a reference without any edge, which is flagged.

        Raises:
            ConfigurationError: there was no image to judge.
        """
        self.counts = {"generated": int(self.images), "reference": int(self.reference_images)}
        if self.images == 0:
            raise ConfigurationError("the variance of Laplacian needs at least one image to judge, got none")
        mean = self.sharpness / self.images
        self.flags = ("images without edges",) if mean == 0 else ()
        values = {"laplacian_variance": mean}
        if self.reference_images > 0:
            reference = self.reference_sharpness / self.reference_images
            if reference == 0:
                self.flags += ("reference without edges",)
            values["laplacian_variance_ratio"] = mean / reference.where(reference > 0, torch.nan)
        return values

    def settings(self) -> Protocol:
        """Kernel, units and resize."""
        return {"kernel": "OpenCV's, centre -4, gray levels 0..255", "resize": "none"}
