"""Stored synthetic samples: a ``.npz`` file or a folder of images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL, DataSpec, to_float_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.arrays import (
    check_label_range,
    check_same_length,
    list_arrays,
    read_array,
    read_class_names,
    to_label_tensor,
)
from ganmc_lightning.io.class_names import labels_from_names
from ganmc_lightning.io.file_hash import hash_images
from ganmc_lightning.io.folders import contains_images, find_images, list_classes, list_folders, list_images
from ganmc_lightning.io.samples import check_image_shape, check_shape, read_resized_samples, sample_digests
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error
from ganmc_lightning.synthesizers.rescaled import read_rescaled_samples

_UNLABELED = "samples"
"""Folder that ``ganmc sample`` writes for an unconditional generator."""


class StoredSynthesizer(Synthesizer):
    """Sample with replacement from stored samples, e.g. a published data set of a diffusion model.

    Classes are matched by name, not by position: folders of images, and ``class_names`` of a ``.npz`` file, must be
    class names of the data set. Folders may also be named by class numbers, as written by ``ganmc sample``, which is
    required for unnamed classes. Images directly in the folder have unknown labels.

    Unlabeled images of the teacher's domain extend the training set: losses on logits use them, losses on labels ignore
    them.

    Args:
        path: a ``.npz`` file with ``images`` uint8 (N, H, W, C) or scaled rows ``X_scaled`` (else ``X``) (N, D), and
            optional ``labels`` (N,), as written by ``ganmc sample``, whose rows are rescaled to the data; or a folder
            that contains one folder of images per class, or images. Image files are rotated by EXIF, composited on
            white, resized by their shorter side and center-cropped. For color data, the channel of gray images is
            repeated.
        labeled: whether folders and ``labels`` are the classes of the samples (default); if False, all labels are
            unknown, and the images may be in any folders below ``path``.

    Raises:
        ConfigurationError: in ``fit``: the file is missing, damaged, or does not match the data.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "rows.npz"
        >>> np.savez(path, X=np.array([[0.5, -0.5]]), labels=np.array([1]))
        >>> synthesizer = StoredSynthesizer(str(path))
        >>> synthesizer.fit(torch.randn(8, 2), torch.zeros(8), DataSpec((2,), 2))
        >>> synthesizer.sample(2)
        (tensor([[ 0.5000, -0.5000],
                [ 0.5000, -0.5000]]), tensor([1, 1]))
    """

    def __init__(self, path: str, labeled: bool = True) -> None:
        self.path = Path(path).expanduser()
        self.labeled = labeled
        self._stored: tuple[Tensor, Tensor] | None = None
        self._excluded: frozenset[bytes] = frozenset()
        self._num_excluded = 0

    @property
    def num_excluded(self) -> int:
        """Number of samples that :meth:`fit` omitted because of :meth:`exclude`."""
        return self._num_excluded

    def exclude(self, images: Iterable[Tensor]) -> None:
        """Omit samples that are identical to some images, such as those of the validation and test split, in ``fit``.

        Args:
            images: uint8 (C, H, W), of the size of the data.
        """
        self._excluded = frozenset(sample_digests(images))

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Read the samples and validate their shape, scale and classes against the data."""
        samples, targets = self._read_folder(spec) if self.path.is_dir() else self._read_npz(inputs, spec)
        check_shape(samples, spec.sample_shape, str(self.path))
        if self._excluded:
            kept = torch.tensor([digest not in self._excluded for digest in sample_digests(samples)])
            self._num_excluded = int((~kept).sum())
            if not kept.any():
                raise ConfigurationError(
                    f"{self.path}: got only images of the validation and test split, expected other images"
                )
            samples, targets = samples[kept], targets[kept]
        known = targets[targets != UNKNOWN_LABEL]
        check_label_range(known, spec.num_classes, f"{self.path}: labels")
        self._stored = (samples.to(labels.device), targets.to(labels.device))

    def hash_state(self) -> object:
        """Return the settings and the hash of the contents, so that a shared pool is of the present file."""
        excluded = [b"".join(sorted(self._excluded))] if self._excluded else []
        return [self.labeled, hash_images(self.path), *excluded]

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` stored samples; see :meth:`Synthesizer.sample`."""
        if self._stored is None:
            raise not_fitted_error(self)
        samples, labels = self._stored
        chosen = torch.randint(len(labels), (n,), device=labels.device, generator=generator)
        return to_float_images(samples[chosen]), labels[chosen]

    def _read_npz(self, inputs: Tensor | None, spec: DataSpec) -> tuple[Tensor, Tensor]:
        samples, arrays = read_rescaled_samples(self.path, spec, inputs), list_arrays(self.path)
        if "labels" not in arrays or not self.labeled:
            return samples, torch.full((len(samples),), UNKNOWN_LABEL)
        labels = to_label_tensor(read_array(self.path, "labels"), f"{self.path}: labels")
        check_same_length(samples, labels, f"{self.path}: labels")
        if "class_names" in arrays and spec.class_names:
            labels = self._labels_by_name(labels, spec)
        return samples, labels

    def _labels_by_name(self, labels: Tensor, spec: DataSpec) -> Tensor:
        """Convert labels that index the ``class_names`` of the file to labels of the data set."""
        names = read_class_names(self.path, read_array(self.path, "class_names").size)
        check_label_range(labels, len(names), f"{self.path}: labels")
        present, positions = labels.unique(return_inverse=True)
        used = [names[label] for label in present.tolist()]  # the file may contain names of classes without samples
        return torch.tensor(labels_from_names(used, spec.class_names, spec.num_classes, f"{self.path}: class_names"))[
            positions
        ]

    def _read_folder(self, spec: DataSpec) -> tuple[Tensor, Tensor]:
        check_image_shape(self.path, spec.sample_shape)
        if not self.labeled or (contains_images(self.path) and not list_folders(self.path)):
            unlabeled = [str(file.relative_to(self.path)) for file in find_images(self.path)]
            images = read_resized_samples(self.path, unlabeled, spec.sample_shape)
            return images, torch.full((len(images),), UNKNOWN_LABEL)
        names = list_classes(self.path)
        if names == (_UNLABELED,) and _UNLABELED not in spec.class_names:
            labels: tuple[int, ...] = (UNKNOWN_LABEL,)
        else:
            labels = labels_from_names(names, spec.class_names, spec.num_classes, str(self.path))
        files, positions = list_images(self.path, names)
        images = read_resized_samples(self.path, files, spec.sample_shape)
        return images, torch.tensor(labels)[positions]
