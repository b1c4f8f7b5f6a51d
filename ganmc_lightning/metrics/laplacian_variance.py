"""Variance of the Laplacian as a measure of sharpness (GAN-KD, section 4.3)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.base import MetricSettings, SampleMetric
from ganmc_lightning.metrics.inputs import check_samples

RGB_WEIGHTS = (9798, 19235, 3735)
"""BT.601 weights times 32768: the integers with which OpenCV computes gray levels."""


def laplacian_variance(images: Tensor) -> Tensor:
    r"""Variance of the Laplacian of each image, a measure of sharpness (Pech-Pacheco et al. 2000).

    .. math::
        \mathrm{LV} = \mathrm{Var}_{x,y}\left[(I * K)(x, y)\right], \quad
        K = \begin{pmatrix} 0 & 1 & 0 \\ 1 & -4 & 1 \\ 0 & 1 & 0 \end{pmatrix}

    where :math:`I` is the gray image (BT.601) in [0, 255]. Equal to OpenCV's ``cv2.Laplacian(gray, cv2.CV_64F).var()``;
    borders are reflected without repeating the edge.

    Args:
        images: uint8 or float images in [-1, 1] (N, C, H, W) with 1 or 3 channels.

    Returns:
        float64 (N,).

    Raises:
        ConfigurationError: the number of channels is not 1 or 3, a side has one pixel, or values are out of range.

    Example:
        >>> dot = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
        >>> dot[0, 0, 1, 1] = 2
        >>> laplacian_variance(dot)  # -8 in the center, 4 at the sides because borders are reflected, 0 in the corners
        tensor([13.4321], dtype=torch.float64)
    """
    samples = check_samples(images)
    if samples.ndim != 4 or samples.shape[1] not in (1, 3) or min(samples.shape[2:]) < 2:
        raise ConfigurationError(
            f"laplacian_variance: got shape {tuple(images.shape)}, expected images (N, 1 or 3, H, W) with H, W >= 2"
        )
    if len(samples) == 0:
        return torch.zeros(0, dtype=torch.float64, device=samples.device)
    values = samples.to(torch.int32)
    if samples.shape[1] == 3:
        red, green, blue = (weight * values[:, k] for k, weight in enumerate(RGB_WEIGHTS))
        gray = (red + green + blue + (1 << 14)) >> 15
    else:
        gray = values[:, 0]
    # float32 is exact: the kernel and its sums are integers below 2**24
    padded = F.pad(gray.float().unsqueeze(1), (1, 1, 1, 1), mode="reflect").squeeze(1)
    sides = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return (sides - 4 * gray).double().flatten(1).var(dim=1, correction=0)


class LaplacianVariance(SampleMetric):
    r"""Mean Laplacian variance, and its ratio to a reference (GAN-KD, figure 10). See :func:`laplacian_variance`.

    .. math::
        \mathrm{ratio} = \frac{\mathrm{mean}_i\, \mathrm{LV}(g_i)}{\mathrm{mean}_j\, \mathrm{LV}(r_j)}

    where :math:`g_i` are generated images and :math:`r_j` reference images, real or from a teacher generator.

    As input to ``update`` the metric accepts

    - ``images``: uint8 or float images in [-1, 1] (N, C, H, W) with 1 or 3 channels
    - ``real``: bool, False by default, whether the images are reference images

    As output of ``compute`` the metric returns a dictionary of float64 scalars: ``laplacian_variance`` and, if there
    were reference images, ``laplacian_variance_ratio`` (NaN if the reference has no edges).

    Raises:
        ConfigurationError: in ``update``, the images are invalid; in ``compute``, there are no generated images.

    Example:
        >>> metric = LaplacianVariance()
        >>> dot = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
        >>> dot[0, 0, 1, 1] = 2
        >>> metric.update(dot, real=True)
        >>> metric.update(2 * dot)
        >>> round(metric.compute()["laplacian_variance_ratio"].item(), 2)
        4.0
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    real_states: ClassVar[tuple[str, ...]] = ("reference_sharpness", "reference_images")

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
        """Add images (N, C, H, W); reference images with ``real=True``."""
        total = laplacian_variance(images).sum().to(self.device)
        if real:
            self.reference_sharpness += total
            self.reference_images += len(images)
        else:
            self.sharpness += total
            self.images += len(images)

    def compute(self) -> dict[str, Tensor]:
        """Return ``laplacian_variance`` and, with reference images, ``laplacian_variance_ratio``; float64 scalars."""
        self.counts = {"generated": int(self.images), "reference": int(self.reference_images)}
        if self.images == 0:
            raise ConfigurationError("LaplacianVariance: got 0 generated images, expected at least 1")
        mean = self.sharpness / self.images
        self.warnings = ("images without edges",) if mean == 0 else ()
        values = {"laplacian_variance": mean}
        if self.reference_images > 0:
            reference = self.reference_sharpness / self.reference_images
            if reference == 0:
                self.warnings += ("reference without edges",)
            values["laplacian_variance_ratio"] = mean / reference.where(reference > 0, torch.nan)
        return values

    def settings(self) -> MetricSettings:
        """Return the settings with kernel and resize."""
        return {**super().settings(), "kernel": "OpenCV's, center -4, gray levels 0..255", "resize": "none"}
