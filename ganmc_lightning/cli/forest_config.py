"""What ``ganmc forest --config`` may hold, and the objects it describes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from sklearn.base import ClassifierMixin

from ganmc_lightning.cli.config_loader import limit_yaml
from ganmc_lightning.data.datasets import DatasetSource, TensorDataset, stratified_split
from ganmc_lightning.data.seeds import SPLIT_SEED
from ganmc_lightning.data.splitting import Part as Dataset
from ganmc_lightning.data.splitting import stratified_subset
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import Synthesizer
from ganmc_lightning.tabular.checkpoint import load_synthesizer
from ganmc_lightning.tabular.sampling import SupportsSample
from ganmc_lightning.tabular.study_config import StudyConfig, Table
from ganmc_lightning.tabular.training_sets import Part

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass
class ForestData:
    """Where the rows come from.

    The validation part is the one that ``ganmc fit`` cuts, so that no GAN has seen the rows its students are chosen on.
    With all training rows the reported models learn from the validation rows too, once everything is chosen; with
    ``train_size`` they learn from that many and no more.

    Attributes:
        dataset: the real data.
        validation_fraction: share of the training rows kept for choices, in (0, 1); that of the GAN.
        train_size: use only so many training rows (after the cut), a stratified choice.
        root: folder of the cached data sets; ``$GANMC_DATA`` or ``./data`` when left out.
    """

    dataset: DatasetSource
    validation_fraction: float = 0.1
    train_size: int | None = None
    root: str | None = None

    def load(self) -> Table:
        """Fetch, read and cut the data.

        Raises:
            ConfigurationError: they are not there, hold no rows, or are too few.
        """
        if not 0 < self.validation_fraction < 1:
            raise ConfigurationError(f"data.validation_fraction must lie in (0, 1), got {self.validation_fraction}")
        root = Path(self.root or os.environ.get("GANMC_DATA") or "data")
        self.dataset.prepare(root)
        splits = self.dataset.load(root)
        labels = splits.train.labels
        kept, held_out = stratified_split(labels, self.validation_fraction, SPLIT_SEED)
        test = self._part(splits.test)
        whole = self._part(splits.train)
        validation = self._part(splits.train.subset(held_out))
        if self.train_size is not None:
            if not splits.num_classes <= self.train_size <= len(kept):
                raise ConfigurationError(
                    f"data.train_size must lie in [{splits.num_classes}, {len(kept)}] for {self.dataset.name}, "
                    f"got {self.train_size}"
                )
            kept = stratified_subset(labels, kept, self.train_size, SPLIT_SEED)
        fit = self._part(splits.train.subset(kept))
        return Table(fit, validation, whole if self.train_size is None else fit, test, splits.categories)

    def _part(self, dataset: Dataset) -> Part:
        if not isinstance(dataset, TensorDataset) or dataset.inputs.ndim != 2:
            raise ConfigurationError(f"data.dataset: {self.dataset.name} holds images: trees learn rows of numbers")
        weights = None if dataset.weights is None else dataset.weights.numpy()
        return Part(dataset.inputs.numpy().astype(np.float64), dataset.labels.numpy(), weights)


@dataclass(frozen=True)
class ForestConfig:
    """A configuration turned into objects.

    Attributes:
        data: where the rows come from.
        settings: what the study does.
        synthesizers: of this package, by name.
        checkpoints: paths of GANs, by name.
        text: the whole configuration as YAML.
    """

    data: ForestData
    settings: StudyConfig
    synthesizers: Mapping[str, Synthesizer]
    checkpoints: Mapping[str, str]
    text: str

    def load_synthesizers(self) -> dict[str, SupportsSample]:
        """All synthesizers by name, the GANs first, with as many rows of each class, as their authors draw them.

        Raises:
            ConfigurationError: a checkpoint cannot be used.
        """
        made: dict[str, SupportsSample] = {}
        for name, path in self.checkpoints.items():
            try:
                made[name] = load_synthesizer(path)
            except ConfigurationError as error:
                raise ConfigurationError(f"checkpoints.{name}: {error}") from error
        return {**made, **self.synthesizers}


def read_config(file: Path, overrides: Sequence[str], checkpoints: Sequence[str]) -> ForestConfig:
    """Read a configuration.

    Args:
        file: the YAML file.
        overrides: ``KEY=VALUE``, on top of it.
        checkpoints: ``NAME=PATH``, on top of its ``checkpoints``; an empty path takes one away.

    Raises:
        ConfigurationError: something in it cannot be used.
    """
    if not file.is_file():
        raise ConfigurationError(f"--config {file}: no such file")
    wrong = [word for word in (*overrides, *checkpoints) if "=" not in word]
    if wrong:
        raise ConfigurationError(f"{wrong[0]!r} must have the form NAME=VALUE")
    parser = _parser()
    try:
        config = parser.parse_args([f"--config={file}", *(f"--{word}" for word in overrides)])
        objects = parser.instantiate_classes(config)
    except ConfigurationError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{file}: {_complaint(error)}") from error
    paths = dict(objects.checkpoints)
    for word in checkpoints:
        name, _, path = word.partition("=")
        paths[name] = path
    paths = {name: path for name, path in paths.items() if path}
    names = [*paths, *objects.synthesizers]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise ConfigurationError(
                f"{file}: synthesizers and checkpoints need different names of letters, digits and '_', found {name!r}"
            )
    settings = StudyConfig(**{field.name: objects[field.name] for field in fields(StudyConfig)})
    return ForestConfig(objects.data, settings, objects.synthesizers, paths, _dump(parser, config, paths))


def _parser() -> ArgumentParser:
    limit_yaml()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(ForestData, "data")
    parser.add_class_arguments(StudyConfig, skip={"teacher"})
    parser.add_argument("--teacher", type=ClassifierMixin | None, default=None)
    parser.add_argument("--synthesizers", type=dict[str, Synthesizer], default={})
    parser.add_argument("--checkpoints", type=dict[str, str], default={})
    return parser


def _dump(parser: ArgumentParser, config: Namespace, checkpoints: dict[str, str]) -> str:
    config = config.clone()
    config.checkpoints = checkpoints
    text: str = parser.dump(config)
    return text


def _complaint(error: BaseException) -> str:
    """What the user can fix, in one line: the parser wraps what a constructor complains of."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ConfigurationError):
            return str(link)
        link = link.__cause__ or link.__context__
    text: Any = getattr(error, "message", None) or str(error)
    return " ".join(line.strip(" -") for line in str(text).splitlines() if line.strip())[:600]
