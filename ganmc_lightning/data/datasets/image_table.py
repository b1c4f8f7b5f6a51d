"""Data set of image files that a table lists with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor

from ganmc_lightning.data.datasets.base import DatasetSource, DatasetSplits, ImageFileDataset
from ganmc_lightning.data.datasets.image_splits import common_image_size, identify_splits, load_images, make_splits
from ganmc_lightning.data.datasets.table_columns import encode_labels, is_text_column
from ganmc_lightning.data.datasets.table_reader import pandas, read_table
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.folders import IMAGE_SUFFIXES
from ganmc_lightning.io.images import check_channels, check_size

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
"""Suffixes of tables, in lower case."""
LABEL_NAMES = ("label", "labels", "class", "target", "category")
"""Names of a label column, in lower case; the first that occurs is used."""
_SPLIT_COLUMN = "split"


class ImageTable(DatasetSource):
    r"""Image files that a table lists with their labels: CSV, TSV (with a header) or parquet (pandas).

    Paths are absolute, or relative to the folder of the table. Labels of any type are numbered in sorted order. Images
    are read, split and stored as by :class:`~ganmc_lightning.data.datasets.ImageFolder`.

    Args:
        path: path of the table, relative to the working directory.
        image_column: column of paths; None for the only column of names of image files.
        label_column: column of labels; None for a column named ``label``, ``class``, ``target`` or ``category``, or the
            only other column.
        split_column: column of the splits, ``train``, ``val`` and ``test`` (also ``training``, ``valid``,
            ``validation`` and ``testing``); None for a column named ``split``, or no splits.
        image_size: side of the images in pixels; None if all images are squares of one size, which is used.
        channels: 3 for RGB (default), 1 for gray; files with other channels are converted.

    Raises:
        ConfigurationError: ``image_size`` is not positive, or ``channels`` is not 1 or 3.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for k in range(10):
        ...     Image.new("L", (8, 8), 20 * k).save(folder / f"{k}.png")
        >>> rows = "".join(f"{k}.png,{('cat', 'dog')[k % 2]}\n" for k in range(10))
        >>> _ = (folder / "pets.csv").write_text("file,animal\n" + rows)
        >>> splits = ImageTable(folder / "pets.csv", channels=1).load(Path())
        >>> splits.class_names, splits.train.inputs.shape, len(splits.test)
        (('cat', 'dog'), torch.Size([8, 1, 8, 8]), 2)
    """

    def __init__(
        self,
        path: str | Path,
        image_column: str | None = None,
        label_column: str | None = None,
        split_column: str | None = None,
        image_size: int | None = None,
        channels: int = 3,
    ) -> None:
        self.path = Path(path).expanduser()
        self.image_column = image_column
        self.label_column = label_column
        self.split_column = split_column
        self.image_size = None if image_size is None else check_size(image_size, "image_size")
        self.channels = check_channels(channels, "channels")
        self.name = self.path.stem

    def prepare(self, root: Path) -> None:
        """Check that the table exists.

        Raises:
            ConfigurationError: the file does not exist, or pandas is not installed.
        """
        pandas()
        if not self.path.is_file():
            raise ConfigurationError(f"{self.path}: file not found")

    def load(self, root: Path) -> DatasetSplits:
        """Read the table, and decode the images if they fit into memory.

        Raises:
            ConfigurationError: the table is invalid, a column does not exist, a file is missing or not an image, labels
                are continuous, or a class has no training image.
        """
        self.prepare(root)
        table = read_table(self.path, text_columns=None)
        for key in ("image_column", "label_column", "split_column"):
            name = getattr(self, key)
            if name is not None and name not in table.columns:
                columns = ", ".join(map(str, table.columns))
                raise ConfigurationError(f"{key}: {self.path}: got {name!r}, expected one of {columns}")
        image_column, split_column = self._find_image_column(table), self._find_split_column(table)
        label_column = self._find_label_column(table, {image_column, split_column})
        labels, classes = encode_labels(table[label_column], f"{self.path}: column {label_column!r}")
        files = self._files(table[image_column], image_column)
        size = self.image_size
        if size is None:
            size = common_image_size(((self.path.parent / file, None) for file in files), str(self.path))
        images = ImageFileDataset(
            self.path.parent, files, torch.from_numpy(labels), size, shorter_side=size, channels=self.channels
        )
        splits = {name: images.subset(rows) for name, rows in self._split_rows(table, split_column).items()}
        return make_splits(load_images(splits), unless_numbered(classes), len(classes), str(self.path))

    def _find_image_column(self, table: Any) -> str:
        if self.image_column is not None:
            return self.image_column
        named = [name for name in table.columns if is_text_column(table[name]) and _is_image_name(table[name].iloc[0])]
        if len(named) != 1:
            columns = ", ".join(map(str, named or table.columns))
            kind = "columns of image files" if named else "no column of image files in the columns"
            raise ConfigurationError(
                f"{self.path}: got {kind} {columns}, expected image_column; a table of numbers is a TableFile"
            )
        return str(named[0])

    def _find_label_column(self, table: Any, taken: set[str | None]) -> str:
        if self.label_column is not None:
            return self.label_column
        others = [str(name) for name in table.columns if name not in taken]
        for wanted in LABEL_NAMES:
            for name in others:
                if name.casefold() == wanted:
                    return name
        if len(others) != 1:
            raise ConfigurationError(
                f"{self.path}: got the columns {', '.join(map(str, table.columns))}, expected label_column"
            )
        return others[0]

    def _find_split_column(self, table: Any) -> str | None:
        if self.split_column is None and _SPLIT_COLUMN in table.columns:
            return _SPLIT_COLUMN
        return self.split_column

    def _files(self, column: Any, name: str) -> list[str]:
        """Return the paths after checking that the files exist."""
        where = f"{self.path}: column {name!r}"
        if not is_text_column(column) or column.isna().any():
            raise ConfigurationError(f"{where}: got {column.dtype} or missing values, expected paths of images")
        files = [str(file).strip() for file in column]
        missing = [file for file in files if not (self.path.parent / file).is_file()]
        if missing:
            raise ConfigurationError(
                f"{where}: got {len(missing)} of {len(files)} files that do not exist, the first is {missing[0]!r}, "
                f"expected paths relative to {self.path.parent}"
            )
        return files

    def _split_rows(self, table: Any, column: str | None) -> dict[str, Tensor]:
        """Return the row indices of each split; of all rows as ``"train"`` without a split column."""
        if column is None:
            return {"train": torch.arange(len(table))}
        values = table[column].astype(str).str.strip()
        names = identify_splits(values.unique(), f"{self.path}: column {column!r}")
        unknown = sorted({*values} - {*names.values()})
        if unknown or "train" not in names:
            raise ConfigurationError(
                f"{self.path}: column {column!r}: got {(unknown or sorted({*values}))[0]!r}, expected train, val "
                "or test; rename the column if it does not name splits"
            )
        return {name: torch.from_numpy((values == value).to_numpy().nonzero()[0]) for name, value in names.items()}


def unless_numbered(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the class names; none if they are the numbers 0..K-1, which do not name the classes.

    Example:
        >>> unless_numbered(["0", "1"]), unless_numbered(["cat", "dog"])
        ((), ('cat', 'dog'))
    """
    return () if list(classes) == [str(k) for k in range(len(classes))] else tuple(classes)


def _is_image_name(value: object) -> bool:
    return PurePath(str(value).strip()).suffix.lower() in IMAGE_SUFFIXES
