"""Data sets of images of the Hugging Face library ``datasets``, in a folder or by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, TensorDataset
from ganmc_lightning.data.datasets.image_splits import common_image_size, identify_splits, make_splits
from ganmc_lightning.data.datasets.image_table import LABEL_NAMES, unless_numbered
from ganmc_lightning.data.datasets.table_columns import encode_labels
from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.images import check_channels, check_size, read_image
from ganmc_lightning.io.pixel_range import check_pixel_range

_UNLABELED = -1  # label of a class label column for samples without a label, e.g. of public test splits


class HuggingFaceDataset(DatasetSource):
    """A data set of images of the Hugging Face library ``datasets``, loaded into memory.

    The splits ``train``, ``validation`` (also ``val``, ``valid``) and ``test`` are used as by
    :class:`~ganmc_lightning.data.datasets.ImageFolder`; other splits, and test splits without labels (-1), are ignored.
    Images are decoded as by :class:`~ganmc_lightning.data.datasets.ImageFolder`.

    Args:
        path: folder of ``save_to_disk``, folder that ``datasets.load_dataset`` reads (images or parquet files), or name
            on the Hugging Face Hub.
        image_column: column of images; None for the only one.
        label_column: column of labels; None for the only column of class labels, or a column named ``label``,
            ``class``, ``target`` or ``category``.
        image_size: side of the images in pixels; None if all images are squares of one size, which is used.
        channels: 3 for RGB (default), 1 for gray; images with other channels are converted.

    Raises:
        ConfigurationError: ``image_size`` is not positive, or ``channels`` is not 1 or 3.

    Example:
        >>> import datasets, tempfile
        >>> from PIL import Image
        >>> features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"]))
        >>> images = [Image.new("L", (8, 8), 20 * k) for k in range(10)]
        >>> saved = datasets.Dataset.from_dict({"image": images, "label": [0, 1] * 5}, features=features)
        >>> path = tempfile.mkdtemp()
        >>> saved.save_to_disk(path)
        >>> splits = HuggingFaceDataset(path, channels=1).load(Path())
        >>> splits.class_names, splits.train.inputs.shape, len(splits.test)
        (('cat', 'dog'), torch.Size([8, 1, 8, 8]), 2)
    """

    def __init__(
        self,
        path: str | Path,
        image_column: str | None = None,
        label_column: str | None = None,
        image_size: int | None = None,
        channels: int = 3,
    ) -> None:
        self.path = str(path)
        self.image_column = image_column
        self.label_column = label_column
        self.image_size = None if image_size is None else check_size(image_size, "image_size")
        self.channels = check_channels(channels, "channels")
        self.name = Path(path).name

    def prepare(self, root: Path) -> None:
        """Download the data set, or read the folder.

        Raises:
            ConfigurationError: the data set cannot be read, or ``datasets`` is not installed.
        """
        self._read()

    def load(self, root: Path) -> DatasetSplits:
        """Decode the images of all splits.

        Raises:
            ConfigurationError: the data set cannot be read, a column is missing or of another type, an image cannot be
                decoded, or images have several sizes and ``image_size`` is None.
        """
        tables = self._read()
        features = tables["train"].features
        image_column, label_column = self._find_image_column(features), self._find_label_column(features)
        labels, classes, num_classes = self._labels(tables, label_column)
        columns = {
            split: tables[split].cast_column(image_column, _datasets().Image(decode=False))[image_column]
            for split in labels
        }
        size = self.image_size
        if size is None:
            images = (image for split, column in columns.items() for image in self._contents(column, split))
            size = common_image_size(images, self.path)
        splits = {split: TensorDataset(self._decode(columns[split], split, size), labels[split]) for split in labels}
        return make_splits(splits, classes, num_classes, self.path)

    def _read(self) -> dict[str, Any]:
        """Return the tables by split; a data set without splits as ``"train"``."""
        datasets = _datasets()
        folder = Path(self.path).expanduser()
        try:
            if is_saved_to_disk(folder):
                data = datasets.load_from_disk(str(folder))
            else:
                data = datasets.load_dataset(str(folder) if folder.is_dir() else self.path)
        # Errors of the network, the Hub, file systems and parsers, most without a common class.
        except Exception as error:
            raise ConfigurationError(
                f"{self.path}: cannot be read by datasets ({one_line(error)}), expected a folder of save_to_disk, a "
                "folder of images or parquet files, or a name on the Hugging Face Hub"
            ) from error
        if not isinstance(data, datasets.DatasetDict):
            return {"train": data}
        names = identify_splits(data, self.path)
        if "train" not in names:
            raise ConfigurationError(f"{self.path}: got the splits {', '.join(data)}, expected train, and test")
        return {split: data[name] for split, name in names.items()}

    def _find_image_column(self, features: Mapping[str, Any]) -> str:
        images = [name for name, kind in features.items() if isinstance(kind, _datasets().Image)]
        if self.image_column is not None:
            if self.image_column not in images:
                raise ConfigurationError(
                    f"image_column: {self.path}: got {self.image_column!r}, expected a column of type Image: "
                    f"{', '.join(images) or 'none, cast one with cast_column(name, datasets.Image())'}"
                )
            return self.image_column
        if len(images) != 1:
            raise ConfigurationError(
                f"{self.path}: got {len(images)} columns of type Image ({', '.join(images or features)}), expected "
                "image_column, the name of one; cast paths with cast_column(name, datasets.Image())"
            )
        return images[0]

    def _find_label_column(self, features: Mapping[str, Any]) -> str:
        if self.label_column is not None:
            if self.label_column not in features:
                raise ConfigurationError(
                    f"label_column: {self.path}: got {self.label_column!r}, expected one of {', '.join(features)}"
                )
            return self.label_column
        class_labels = [name for name, kind in features.items() if isinstance(kind, _datasets().ClassLabel)]
        if len(class_labels) == 1:
            return class_labels[0]
        named = {name.casefold(): name for name in (class_labels or features)}
        found = [named[name] for name in LABEL_NAMES if name in named]
        if not found:
            raise ConfigurationError(
                f"{self.path}: got the columns {', '.join(features)} without a label column, expected label_column"
            )
        return found[0]

    def _labels(self, tables: dict[str, Any], column: str) -> tuple[dict[str, Tensor], tuple[str, ...], int]:
        """Return the labels of each split that has labels, the class names, and the number of classes."""
        where = f"{self.path}: column {column!r}"
        kind = tables["train"].features[column]
        if not isinstance(kind, _datasets().ClassLabel):
            values = {split: table.select_columns([column]).to_pandas()[column] for split, table in tables.items()}
            import pandas as pd  # a requirement of datasets

            codes, names = encode_labels(pd.concat(list(values.values()), ignore_index=True), where)
            chunks = torch.from_numpy(codes).split([len(each) for each in values.values()])
            return dict(zip(values, chunks, strict=True)), unless_numbered(names), len(names)
        labels = {}
        for split, table in tables.items():
            found = table[column]
            if split == "test" and all(label in (None, _UNLABELED) for label in found):
                continue
            missing = sum(label in (None, _UNLABELED) for label in found)
            if missing:
                raise ConfigurationError(
                    f"{where}: got {missing} of {len(found)} {split} samples without label, expected none"
                )
            labels[split] = torch.tensor(found)
        return labels, unless_numbered(kind.names), kind.num_classes

    def _contents(self, column: Any, split: str) -> Iterator[tuple[Path, bytes | None]]:
        """Yield path and bytes of each image; images without bytes are read from their paths."""
        for index, image in enumerate(column):
            place = f"{self.path}[{split!r}][{index}]"
            if image is None:
                raise ConfigurationError(f"{place}: got no image, expected one; remove the row")
            content = image["bytes"]
            yield Path(image["path"] if content is None else place), content

    def _decode(self, column: Any, split: str, size: int) -> Tensor:
        images = torch.empty(len(column), self.channels, size, size, dtype=torch.uint8)
        for image, (path, content) in zip(images, self._contents(column, split), strict=True):
            image.copy_(read_image(path, size, size, self.channels, content))
        return check_pixel_range(images, f"{self.path}[{split!r}]")


def is_saved_to_disk(folder: Path) -> bool:
    """Return whether a folder was written by ``save_to_disk`` of ``datasets``."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigurationError(
            'Hugging Face data sets require datasets, which is not installed: pip install "ganmc-lightning[hub]"'
        ) from error
    return datasets
