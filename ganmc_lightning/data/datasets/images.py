"""Image data sets of the papers, downloaded with torchvision and scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.data.datasets.cached import CachedDataset, NpzArrays
from ganmc_lightning.data.datasets.npz import IMAGE_ARRAYS
from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.data.splits import stratified_split
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.images import check_size, read_image
from ganmc_lightning.io.npz import ChunkedArray

_DIGITS = tuple("0123456789")


class Digits(CachedDataset):
    """scikit-learn's handwritten digits: 1,797 gray images of 8x8 pixels in 10 classes, half for training.

    They are included in scikit-learn, so nothing is downloaded.

    Example:
        >>> import tempfile
        >>> dataset, root = Digits(), Path(tempfile.mkdtemp())
        >>> dataset.prepare(root)
        >>> splits = dataset.load(root)
        >>> splits.train.sample_shape, len(splits.train), len(splits.test)
        ((1, 8, 8), 899, 898)
    """

    name = "digits"
    expected_arrays = IMAGE_ARRAYS
    class_names = _DIGITS

    def fetch(self, root: Path) -> NpzArrays:
        """Return the images, their 17 gray levels scaled to 0..255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        labels = digits.target.astype(np.int64)
        train, test = (indices.numpy() for indices in stratified_split(torch.from_numpy(labels), 0.5, SPLIT_SEED))
        return {
            "train_images": images[train],
            "train_labels": labels[train],
            "test_images": images[test],
            "test_labels": labels[test],
        }


class _TorchvisionDataset(CachedDataset):
    """Base class of data sets that torchvision downloads and keeps in memory.

    Attributes:
        torchvision_name: name of the class in ``torchvision.datasets``.
    """

    torchvision_name: str
    expected_arrays = IMAGE_ARRAYS

    def fetch(self, root: Path) -> NpzArrays:
        """Download with torchvision and return images and labels of both splits."""
        from torchvision import datasets

        dataset_class = getattr(datasets, self.torchvision_name)
        arrays: dict[str, NDArray[Any]] = {}
        for split in ("train", "test"):
            data = dataset_class(str(root), train=split == "train", download=True)
            images = np.asarray(data.data)
            arrays[f"{split}_images"] = images if images.ndim == 4 else images[..., None]
            arrays[f"{split}_labels"] = np.asarray(data.targets, dtype=np.int64)
        if not self.class_names:
            arrays["class_names"] = np.array(data.classes, dtype=np.str_)
        return arrays


class MNIST(_TorchvisionDataset):
    """MNIST: 60,000 + 10,000 gray images of 28x28 pixels, handwritten digits."""

    name = "mnist"
    torchvision_name = "MNIST"
    class_names = _DIGITS


class FashionMNIST(_TorchvisionDataset):
    """Fashion-MNIST: 60,000 + 10,000 gray images of 28x28 pixels, ten kinds of clothes."""

    name = "fashion_mnist"
    torchvision_name = "FashionMNIST"
    class_names = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )


class CIFAR10(_TorchvisionDataset):
    """CIFAR-10: 50,000 + 10,000 RGB images of 32x32 pixels in 10 classes."""

    name = "cifar10"
    torchvision_name = "CIFAR10"
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class CIFAR100(_TorchvisionDataset):
    """CIFAR-100: 50,000 + 10,000 RGB images of 32x32 pixels in 100 fine classes, named in the file."""

    name = "cifar100"
    torchvision_name = "CIFAR100"


class SVHN(CachedDataset):
    """SVHN, cropped: 73,257 + 26,032 RGB images of 32x32 pixels, house-number digits (without ``extra``)."""

    name = "svhn"
    expected_arrays = IMAGE_ARRAYS
    class_names = _DIGITS

    def fetch(self, root: Path) -> NpzArrays:
        """Download with torchvision, with the arguments and attributes of its SVHN class."""
        from torchvision import datasets

        arrays: dict[str, NDArray[Any]] = {}
        for split in ("train", "test"):
            data = datasets.SVHN(str(root), split=split, download=True)
            arrays[f"{split}_images"] = data.data.transpose(0, 2, 3, 1)
            arrays[f"{split}_labels"] = data.labels
        return arrays


class CelebA(CachedDataset):
    """CelebA: 162,770 + 19,962 aligned RGB faces, center-cropped to a square, with one binary attribute as label.

    The official validation split is not used: validation samples are split off the training samples, as for all data
    sets. The file name contains size and attribute, e.g. ``celeba_64_Smiling.npz``. The download needs ``gdown``.

    Args:
        image_size: side of the stored images in pixels.
        attribute: name of one of CelebA's 40 attributes.

    Example:
        >>> CelebA(image_size=32, attribute="Eyeglasses").name
        'celeba_32_Eyeglasses'
    """

    expected_arrays = IMAGE_ARRAYS

    def __init__(self, image_size: int = 64, attribute: str = "Smiling") -> None:
        self.image_size = check_size(image_size, "image_size")
        self.attribute = attribute
        self.name = f"celeba_{image_size}_{attribute}"
        self.class_names = (f"not {attribute}", attribute)

    def fetch(self, root: Path) -> NpzArrays:
        """Download with torchvision; the faces are decoded in chunks while the file is written.

        Raises:
            ConfigurationError: the attribute does not exist.
        """
        from torchvision import datasets

        arrays: dict[str, NDArray[Any] | ChunkedArray] = {}
        for split in ("train", "test"):
            faces = datasets.CelebA(str(root), split=split, download=True)
            if self.attribute not in faces.attr_names:
                names = ", ".join(filter(None, faces.attr_names))
                raise ConfigurationError(f"attribute: got {self.attribute!r}, expected one of {names}")
            folder = Path(faces.root) / faces.base_folder / "img_align_celeba"
            files = [folder / name for name in faces.filename]
            shape = (len(files), self.image_size, self.image_size, 3)
            arrays[f"{split}_images"] = ChunkedArray(shape, np.uint8, self._decode(files))
            labels = faces.attr[:, faces.attr_names.index(self.attribute)]
            arrays[f"{split}_labels"] = labels.numpy().astype(np.int64)
        return arrays

    def _decode(self, files: list[Path]) -> Iterator[NDArray[np.uint8]]:
        for file in files:
            face = read_image(file, self.image_size, shorter_side=self.image_size, channels=3)
            yield face.permute(1, 2, 0).numpy()
