"""The image sets of the papers, by the downloaders of torchvision and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ganmc_lightning.data.datasets.cached import CachedDataset
from ganmc_lightning.data.datasets.npz import IMAGE_ARRAYS
from ganmc_lightning.data.datasets.split import stratified_split
from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.images import check_size, read_image
from ganmc_lightning.io.npz import ChunkedArray

_DIGITS = tuple("0123456789")


class Digits(CachedDataset):
    """scikit-learn's handwritten digits: 1,797 gray images of 8x8 pixels in 10 classes, half for training.

    They come with scikit-learn, so this source works without a network.
    """

    name = "digits"
    arrays = IMAGE_ARRAYS
    class_names = _DIGITS

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Return the images with their 17 gray levels spread over 0..255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        labels = digits.target.astype(np.int64)
        train, test = (part.numpy() for part in stratified_split(torch.from_numpy(labels), 0.5, SPLIT_SEED))
        return {
            "train_images": images[train],
            "train_labels": labels[train],
            "test_images": images[test],
            "test_labels": labels[test],
        }


class MNIST(CachedDataset):
    """MNIST: 60,000 + 10,000 gray images of 28x28 pixels, handwritten digits."""

    name = "mnist"
    arrays = IMAGE_ARRAYS
    class_names = _DIGITS

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Download with torchvision."""
        from torchvision import datasets

        return _download(datasets.MNIST, root)


class FashionMNIST(CachedDataset):
    """Fashion-MNIST: 60,000 + 10,000 gray images of 28x28 pixels, ten kinds of clothes."""

    name = "fashion_mnist"
    arrays = IMAGE_ARRAYS
    class_names = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Download with torchvision."""
        from torchvision import datasets

        return _download(datasets.FashionMNIST, root)


class CIFAR10(CachedDataset):
    """CIFAR-10: 50,000 + 10,000 RGB images of 32x32 pixels in 10 classes."""

    name = "cifar10"
    arrays = IMAGE_ARRAYS
    class_names = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Download with torchvision."""
        from torchvision import datasets

        return _download(datasets.CIFAR10, root)


class CIFAR100(CachedDataset):
    """CIFAR-100: 50,000 + 10,000 RGB images of 32x32 pixels in 100 fine classes."""

    name = "cifar100"
    arrays = IMAGE_ARRAYS

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Download with torchvision; the names of the classes are stored with the images."""
        from torchvision import datasets

        names = datasets.CIFAR100(str(root), train=False, download=True).classes
        return {**_download(datasets.CIFAR100, root), "class_names": np.array(names, dtype=np.str_)}


class SVHN(CachedDataset):
    """SVHN, cropped: 73,257 + 26,032 RGB images of 32x32 pixels, house-number digits (no ``extra`` part)."""

    name = "svhn"
    arrays = IMAGE_ARRAYS
    class_names = _DIGITS

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any]]:
        """Download with torchvision."""
        from torchvision import datasets

        arrays: dict[str, NDArray[Any]] = {}
        for part in ("train", "test"):
            numbers = datasets.SVHN(str(root), split=part, download=True)
            arrays[f"{part}_images"] = numbers.data.transpose(0, 2, 3, 1)
            arrays[f"{part}_labels"] = numbers.labels
        return arrays


class CelebA(CachedDataset):
    """CelebA: 162,770 + 19,962 aligned RGB faces, cut to a centered square, with one yes/no attribute.

    The official validation part is left out: a validation part is cut from the training part.
    The file is named after size and attribute, for instance ``celeba_64_Smiling.npz``.

    Args:
        image_size: side of the stored images.
        attribute: which of CelebA's 40 attributes is the label.
    """

    arrays = IMAGE_ARRAYS

    def __init__(self, image_size: int = 64, attribute: str = "Smiling") -> None:
        self.image_size = check_size(image_size, "image_size")
        self.attribute = attribute
        self.name = f"celeba_{image_size}_{attribute}"
        self.class_names = (f"not {attribute}", attribute)

    def fetch(self, root: Path) -> Mapping[str, NDArray[Any] | ChunkedArray]:
        """Download with torchvision; the faces are decoded in pieces while the file is written.

        Raises:
            ConfigurationError: there is no such attribute.
        """
        from torchvision import datasets

        arrays: dict[str, NDArray[Any] | ChunkedArray] = {}
        for part in ("train", "test"):
            faces = datasets.CelebA(str(root), split=part, download=True)
            if self.attribute not in faces.attr_names:
                known = ", ".join(filter(None, faces.attr_names))
                raise ConfigurationError(f"attribute: CelebA has no {self.attribute!r}; choose one of {known}")
            folder = Path(faces.root) / faces.base_folder / "img_align_celeba"
            files = [folder / name for name in faces.filename]
            shape = (len(files), self.image_size, self.image_size, 3)
            arrays[f"{part}_images"] = ChunkedArray(shape, np.uint8, self._decode(files))
            labels = faces.attr[:, faces.attr_names.index(self.attribute)]
            arrays[f"{part}_labels"] = labels.numpy().astype(np.int64)
        return arrays

    def _decode(self, files: list[Path]) -> Iterator[NDArray[np.uint8]]:
        for file in files:
            face = read_image(file, self.image_size, shorter_side=self.image_size, channels=3)
            yield face.permute(1, 2, 0).numpy()


def _download(data_set: Callable[..., Any], root: Path) -> dict[str, NDArray[Any]]:
    """Fetch both parts of a torchvision set that keeps (N, H, W[, C]) in ``data``, labels in ``targets``."""
    arrays: dict[str, NDArray[Any]] = {}
    for part in ("train", "test"):
        samples = data_set(str(root), train=part == "train", download=True)
        images = np.asarray(samples.data)
        arrays[f"{part}_images"] = images if images.ndim == 4 else images[..., None]
        arrays[f"{part}_labels"] = np.asarray(samples.targets, dtype=np.int64)
    return arrays
