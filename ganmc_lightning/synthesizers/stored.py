"""Samples that somebody generated before: an ``.npz`` file or a folder of images."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec, decode
from ganmc_lightning.errors import InputError
from ganmc_lightning.files.arrays import (
    check_labels_known,
    check_lengths,
    image_tensor,
    label_tensor,
    list_arrays,
    read_array,
)
from ganmc_lightning.files.images import list_classes, list_images, read_image
from ganmc_lightning.synthesizers.base import Synthesizer, draw_indices, not_fitted
from ganmc_lightning.synthesizers.stored_rows import SCALED, check_scaled, read_scaled_rows


class StoredSynthesizer(Synthesizer):
    """Draws with replacement from stored samples, such as the public sets of a diffusion model.

    Args:
        path: an ``.npz`` file with ``images`` uint8 (N, H, W, C) or scaled rows (N, D), ``X_scaled`` or else ``X``,
            and ``labels`` (N,) where they are known, as ``ganmc sample`` writes it; or a folder of images, one folder
            a class, the folders in the order of the classes.

    Raises:
        InputError: on fitting, when the file is missing, damaged, or does not match the data, as rows in other units.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._stored: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Read the samples and hold them against the data."""
        samples, intended = self._read_folder(spec) if self.path.is_dir() else self._read_npz()
        shape, due = tuple(samples.shape[1:]), tuple(spec.sample_shape)
        if shape != due:
            raise InputError(f"{self.path}: its samples have shape {shape}, the data have {due}")
        if inputs is not None and len(shape) == 1:
            check_scaled(samples, inputs, str(self.path))
        known = intended[intended != UNKNOWN_LABEL]
        check_labels_known(known, spec.num_classes, f"{self.path}: labels")
        self._stored = (samples.to(labels.device), intended.to(labels.device))

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        if self._stored is None:
            raise not_fitted(self)
        samples, labels = self._stored
        chosen = draw_indices(len(labels), n, labels.device, generator)
        return decode(samples[chosen]), labels[chosen]

    def _read_npz(self) -> tuple[Tensor, Tensor]:
        held = list_arrays(self.path)
        if "images" in held:
            samples = image_tensor(read_array(self.path, "images"), f"{self.path}: images")
        elif "X" in held or SCALED in held:
            samples = read_scaled_rows(self.path, held)
        else:
            raise InputError(f"{self.path}: holds {', '.join(held) or 'nothing'}: synthetic samples need images or X")
        if "labels" not in held:
            return samples, torch.full((len(samples),), UNKNOWN_LABEL)
        labels = label_tensor(read_array(self.path, "labels"), f"{self.path}: labels")
        check_lengths(samples, labels, f"{self.path}: labels")
        return samples, labels

    def _read_folder(self, spec: DataSpec) -> tuple[Tensor, Tensor]:
        if len(spec.sample_shape) != 3 or spec.sample_shape[0] not in (1, 3):
            raise InputError(
                f"{self.path}: a folder of images cannot stand in for samples of shape {spec.sample_shape}"
            )
        channels, size, _ = spec.sample_shape
        files, labels = list_images(self.path, list_classes(self.path))
        images = [read_image(self.path / name, size, size, channels) for name in files]
        return torch.stack(images), labels
