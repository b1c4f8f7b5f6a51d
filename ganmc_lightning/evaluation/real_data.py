"""Load the data module of the real data, with splits and scaling as in training."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from ganmc_lightning.data import GANAugmentedDataModule, datasets
from ganmc_lightning.data.datasets.cached import CachedDataset
from ganmc_lightning.evaluation.samples import SPLITS
from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.structured import load_yaml_mapping

DATA_KEYS = ("dataset", "validation_fraction", "train_size", "quantile_transform", "root")
"""Keys of a config's ``data`` that determine the splits and the scaling of rows."""


def load_datamodule(name: str, in_memory: bool = True) -> GANAugmentedDataModule:
    """Load a data set into a data module that is set up for evaluation.

    Args:
        name: a built-in data set (``digits``, ``FashionMNIST``, ...), an ``.npz`` file, a folder of images of one size,
            the class path of a dataset, or the config (``.yaml``) of a training run, to use its data set, splits and
            scaling.
        in_memory: whether to raise an error for a data set that is read from files (default: True).

    Raises:
        ConfigurationError: the data set is not found, or is not loaded into memory.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(GANAugmentedDataModule, "data")
    try:
        data = parser.instantiate(parser.parse_object({"data": _data_config(name)})).data
    except ConfigurationError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise ConfigurationError(f"--data {name}: {one_line(error)}") from error
    assert isinstance(data, GANAugmentedDataModule)
    data.prepare_data()
    data.setup("test")
    for split in SPLITS if in_memory else ():
        if split != "val" or data.validation_split == "val":
            data.samples(split)  # raises if the data set is not loaded into memory
    return data


def _data_config(name: str) -> Mapping[str, Any]:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        config = load_yaml_mapping(path).get("data")
        if not isinstance(config, Mapping) or "dataset" not in config:
            raise ConfigurationError(f"{path}: data.dataset not found: expected the config of a training run")
        return {key: config[key] for key in DATA_KEYS if config.get(key) is not None}
    if path.suffix == ".npz" or path.is_dir():
        reader = "NpzFile" if path.suffix == ".npz" else "ImageFolder"
        return {"dataset": {"class_path": f"{datasets.__name__}.{reader}", "init_args": {"path": name}}}
    if "." in name:
        return {"dataset": name}
    class_paths = _built_in_datasets()
    if name not in class_paths:
        names = ", ".join(each for each in class_paths if each.islower())
        raise ConfigurationError(
            f"--data: got '{name}', expected {names}, an .npz file, a folder of images, or the .yaml config of a "
            "training run"
        )
    return {"dataset": class_paths[name]}


def _built_in_datasets() -> dict[str, str]:
    """Return the class paths of the data sets without required arguments, by their names and class names."""
    class_paths = {}
    for name in datasets.__all__:
        kind = getattr(datasets, name)
        if not inspect.isclass(kind) or not issubclass(kind, CachedDataset) or inspect.isabstract(kind):
            continue
        if all(each.default is not each.empty for each in inspect.signature(kind).parameters.values()):
            class_paths[kind().name] = class_paths[name] = f"{datasets.__name__}.{name}"
    return class_paths
