"""The real samples that others are compared with, split and scaled as in training."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.data import GANAugmentedDataModule, datasets
from ganmc_lightning.data.datasets.cached import CachedDataset
from ganmc_lightning.evaluation.reading import SUFFIXES, read_config
from ganmc_lightning.exceptions import ConfigurationError

PARTS = ("train", "val", "test")
KEYS = ("dataset", "validation_fraction", "train_size", "quantile_transform", "root")
"""Those keys of a configuration's ``data`` that decide which sample is in which split, and how rows are scaled."""
STATISTICS = "statistics"


@dataclass(frozen=True)
class RealData:
    """A data set in memory, cut into training, validation and test part.

    Attributes:
        name: of the dataset.
        module: the data module, loaded.
    """

    name: str
    module: GANAugmentedDataModule

    @property
    def spec(self) -> DataSpec:
        """Shape of one sample and number of classes."""
        return self.module.spec

    @property
    def is_images(self) -> bool:
        """Whether the samples are images (C, H, W) and not rows."""
        return len(self.spec.sample_shape) == 3

    def samples(self, part: str) -> tuple[Tensor, Tensor]:
        """Samples, uint8 images or z-scored rows, and labels of ``"train"``, ``"val"`` or ``"test"``."""
        return self.module.samples(part)

    def cache(self) -> Path | None:
        """Folder for statistics of the samples, below the data root; None where it cannot be written to."""
        folder = self.module.root / STATISTICS
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return None
        return folder if os.access(folder, os.W_OK | os.X_OK) else None


def load_datamodule(text: str) -> RealData:
    """Load the data set that a text names.

    Args:
        text: a built-in dataset (``digits``, ``FashionMNIST``, ...), a data set's ``.npz`` file, the class path of a
            dataset, or a configuration (``.yaml``) of a training, whose dataset, split, size and scaling then hold.

    Raises:
        ConfigurationError: there is no such data set, or it cannot be loaded into memory.
    """
    section = _section(text)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(GANAugmentedDataModule, "data")
    try:
        module = parser.instantiate(parser.parse_object({"data": section})).data
    except ConfigurationError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        reason = " ".join(str(getattr(error, "message", None) or error).split())[:300]
        raise ConfigurationError(f"--data {text}: {reason}") from error
    assert isinstance(module, GANAugmentedDataModule)
    module.prepare_data()
    module.setup("test")
    if module.spec.weighted:
        raise ConfigurationError(
            f"--data {text}: gives its rows weights, and scores count every row once: leave the weights out"
        )
    for part in PARTS:
        module.samples(part)  # complains of a dataset that never holds them all
    return RealData(module.dataset.name, module)


def _section(text: str) -> Mapping[str, Any]:
    path = Path(text)
    if path.suffix in SUFFIXES:
        section = read_config(path).get("data")
        if not isinstance(section, Mapping) or "dataset" not in section:
            raise ConfigurationError(
                f"{path}: has no data.dataset: give the configuration of a training, or a data set's name"
            )
        return {key: section[key] for key in KEYS if section.get(key) is not None}
    if path.suffix == ".npz":
        return {"dataset": {"class_path": f"{datasets.__name__}.NpzFile", "init_args": {"path": text}}}
    if "." in text:
        return {"dataset": text}
    known = _built_in()
    if text not in known:
        names = ", ".join(name for name in known if name.islower())
        raise ConfigurationError(
            f"--data: there is no data set '{text}': name one of {names}, an .npz file, or the .yaml configuration "
            "of a training"
        )
    return {"dataset": known[text]}


def _built_in() -> dict[str, str]:
    """Class paths of the sources that need no argument, by their own names and by those of their classes."""
    found = {}
    for name in datasets.__all__:
        kind = getattr(datasets, name)
        if inspect.isclass(kind) and issubclass(kind, CachedDataset) and not inspect.isabstract(kind):
            found[kind().name] = found[name] = f"{datasets.__name__}.{name}"
    return found
