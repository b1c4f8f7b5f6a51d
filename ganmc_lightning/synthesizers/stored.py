"""Samples that somebody generated before: an ``.npz`` file or a folder of images."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec, decode
from ganmc_lightning.io.arrays import (
    check_label_range,
    check_same_length,
    list_arrays,
    read_array,
    read_class_names,
    to_label_tensor,
)
from ganmc_lightning.io.class_names import labels_of_names
from ganmc_lightning.io.folders import list_classes, list_images
from ganmc_lightning.io.samples import (
    check_image_shape,
    check_scaled,
    check_shape,
    read_npz_samples,
    read_resized_samples,
)
from ganmc_lightning.synthesizers.base import Synthesizer, draw_indices, not_fitted

_UNLABELED = "samples"
"""The folder that ``ganmc sample`` writes for a generator without classes."""


class StoredSynthesizer(Synthesizer):
    """Draws with replacement from stored samples, such as the public sets of a diffusion model.

    Classes are found by name, never by position: those of a folder of images, and those of an ``.npz`` file with
    ``class_names``, must be names of the data set's classes. Folders may also be named by the numbers of the classes,
    as ``ganmc sample`` names them; where the data set has no class names they must be.

    Args:
        path: an ``.npz`` file with ``images`` uint8 (N, H, W, C) or scaled rows (N, D), ``X_scaled`` or else ``X``,
            and ``labels`` (N,) where they are known, as ``ganmc sample`` writes it; or a folder of images, one folder a
            class. Images in files are turned upright, composited on white where they are transparent, resized by
            their shorter side and cut to a centered square.

    Raises:
        ConfigurationError: on fitting, when the file is missing, damaged, or does not match the data, as rows in
            other units.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._stored: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Read the samples and compare their shape, scale and classes with the data's."""
        samples, intended = self._read_folder(spec) if self.path.is_dir() else self._read_npz(spec)
        check_shape(samples, spec.sample_shape, str(self.path))
        if inputs is not None and samples.dim() == 2:
            check_scaled(samples, inputs, str(self.path))
        known = intended[intended != UNKNOWN_LABEL]
        check_label_range(known, spec.num_classes, f"{self.path}: labels")
        self._stored = (samples.to(labels.device), intended.to(labels.device))

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        if self._stored is None:
            raise not_fitted(self)
        samples, labels = self._stored
        chosen = draw_indices(len(labels), n, labels.device, generator)
        return decode(samples[chosen]), labels[chosen]

    def _read_npz(self, spec: DataSpec) -> tuple[Tensor, Tensor]:
        samples, arrays = read_npz_samples(self.path), list_arrays(self.path)
        if "labels" not in arrays:
            return samples, torch.full((len(samples),), UNKNOWN_LABEL)
        labels = to_label_tensor(read_array(self.path, "labels"), f"{self.path}: labels")
        check_same_length(samples, labels, f"{self.path}: labels")
        if "class_names" in arrays and spec.class_names:
            labels = self._labels_by_name(labels, spec)
        return samples, labels

    def _labels_by_name(self, labels: Tensor, spec: DataSpec) -> Tensor:
        """The data set's labels for labels that count the file's own ``class_names``."""
        names = read_class_names(self.path, read_array(self.path, "class_names").size)
        check_label_range(labels, len(names), f"{self.path}: labels")
        present, positions = labels.unique(return_inverse=True)
        used = [names[label] for label in present.tolist()]  # the file may name classes that it has no sample of
        where = f"{self.path}: class_names"
        return torch.tensor(labels_of_names(used, spec.class_names, spec.num_classes, where))[positions]

    def _read_folder(self, spec: DataSpec) -> tuple[Tensor, Tensor]:
        check_image_shape(self.path, spec.sample_shape)
        names = list_classes(self.path)
        if names == (_UNLABELED,) and _UNLABELED not in spec.class_names:
            found: tuple[int, ...] = (UNKNOWN_LABEL,)
        else:
            found = labels_of_names(names, spec.class_names, spec.num_classes, str(self.path))
        files, positions = list_images(self.path, names)
        images = read_resized_samples(self.path, files, spec.sample_shape)
        return images, torch.tensor(found)[positions]
