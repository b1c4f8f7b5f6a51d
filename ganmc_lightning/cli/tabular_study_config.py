"""Arguments and configuration file of ``ganmc tabular-study``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt
from sklearn.base import ClassifierMixin

from ganmc_lightning.cli.config_loader import limit_yaml
from ganmc_lightning.cli.imports import HELP, OPTION
from ganmc_lightning.cli.synthesizer_names import check_synthesizer_names
from ganmc_lightning.data.datasets import DatasetSource, TensorDataset
from ganmc_lightning.data.splits import check_validation_fraction, stratified_subset, train_val_split
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.data_root import data_root
from ganmc_lightning.synthesizers import Synthesizer
from ganmc_lightning.tabular.checkpoint import load_synthesizer
from ganmc_lightning.tabular.sampling import SupportsSample
from ganmc_lightning.tabular.student_study import RESERVED_NAMES, StudentStudyConfig
from ganmc_lightning.tabular.study_config import StudySplits
from ganmc_lightning.tabular.training_sets import LabeledSamples


@dataclass
class StudentStudyData:
    """Data of the study.

    The rows are split into training and validation rows as in ``ganmc fit``. Of each split, a stratified subset is
    used, drawn with the seed of the run. Images in memory are flattened to rows.

    Attributes:
        dataset: the real data.
        validation_fraction: share of the training rows that select students, in (0, 1).
        train_size: largest number of training rows, at least one per class.
        validation_size: largest number of validation rows, at least one per class.
        root: folder of the cached data sets; null for ``$GANMC_DATA`` or ``./data``.
    """

    dataset: DatasetSource
    validation_fraction: float = 0.25
    train_size: int = 2000
    validation_size: int = 1000
    root: str | None = None

    def load(self, seed: int) -> StudySplits:
        """Download, load and split the data.

        Raises:
            ConfigurationError: the data set is not found, is not in memory, or has too few rows; or a size is less than
                the number of classes.
        """
        check_validation_fraction(self.validation_fraction)
        root = data_root(self.root)
        self.dataset.prepare(root)
        data = self.dataset.load(root)
        for name in ("train_size", "validation_size"):
            if getattr(self, name) < data.num_classes:
                raise ConfigurationError(
                    f"data.{name}: got {getattr(self, name)}, expected at least {data.num_classes}, the number of "
                    f"classes of {self.dataset.name}"
                )
        labels = data.train.labels
        split = train_val_split(labels, data.num_classes, self.validation_fraction, None, self.dataset.name)
        fit, validation = (
            self._samples(data.train.subset(stratified_subset(labels, index, min(size, len(index)), seed)))
            for index, size in zip(split, (self.train_size, self.validation_size), strict=True)
        )
        return StudySplits(fit, validation, fit, self._samples(data.test), data.one_hot_blocks)

    def _samples(self, dataset: Any) -> LabeledSamples:
        if not isinstance(dataset, TensorDataset):
            raise ConfigurationError(f"data.dataset: {self.dataset.name} is read from files, expected rows in memory")
        weights = None if dataset.weights is None else dataset.weights.numpy()
        rows = dataset.inputs.numpy().reshape(len(dataset), -1).astype(np.float64)
        return LabeledSamples(rows, dataset.labels.numpy(), weights)


@dataclass(frozen=True)
class TabularStudyArguments:
    """Parsed arguments of ``ganmc tabular-study``.

    Attributes:
        seed: random seed, at least 0.
        out: run folder.
        data: the data.
        study: configuration of the study.
        synthesizers: synthesizers by name, those of checkpoints last.
        text: the configuration as YAML, without ``out``.
    """

    seed: int
    out: Path
    data: StudentStudyData
    study: StudentStudyConfig
    synthesizers: Mapping[str, SupportsSample]
    text: str


def parse_study_arguments(arguments: Sequence[str]) -> TabularStudyArguments:
    """Parse a command line and its configuration file.

    Args:
        arguments: the command line without ``ganmc tabular-study`` and ``--import``.

    Raises:
        ArgumentError: an argument or a value of the file is invalid.
        ConfigurationError: a constructor rejects its arguments, a name is invalid, or a checkpoint is missing or
            invalid.
    """
    parser = make_study_parser()
    parsed = parser.parse_args(list(arguments))
    objects = parser.instantiate_classes(parsed)
    synthesizers = {name: synthesizer for name, synthesizer in objects.synthesizers.items() if synthesizer is not None}
    checkpoints = {name: path for name, path in objects.checkpoints.items() if path is not None}
    check_synthesizer_names([*synthesizers, *checkpoints], RESERVED_NAMES)
    generators = {name: load_synthesizer(path) for name, path in checkpoints.items()}
    settings = parsed.clone()
    settings.pop("out")
    return TabularStudyArguments(
        seed=int(objects.seed),
        out=Path(objects.out or f"runs/{objects.data.dataset.name}/tabular_study/seed{objects.seed}"),
        data=objects.data,
        study=StudentStudyConfig(**{field.name: objects[field.name] for field in fields(StudentStudyConfig)}),
        synthesizers={**synthesizers, **generators},
        text=parser.dump(settings, skip_validation=True),
    )


def make_study_parser() -> ArgumentParser:
    """Return the parser of ``ganmc tabular-study``; every key of the file is also an option."""
    limit_yaml()
    parser = ArgumentParser("ganmc tabular-study", exit_on_error=False, epilog=f"{OPTION} MODULE: {HELP}.")
    parser.add_argument("--config", action="config", help="YAML file of the study; later options override its keys")
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="random seed of rows, teacher and students")
    parser.add_argument("--out", type=str | None, help="run folder; null for runs/<data>/tabular_study/seed<seed>")
    parser.add_class_arguments(StudentStudyData, "data")
    parser.add_class_arguments(StudentStudyConfig, skip={"teacher"})
    parser.add_argument(
        "--teacher",
        type=ClassifierMixin | None,
        help="unfitted bootstrap forest; null for the random forest of 500 trees of GAN-MC",
    )
    parser.add_argument(
        "--synthesizers",
        type=dict[str, Synthesizer | None],
        default={},
        help="synthesizers by name (letters, digits, _, - and .); null removes one",
    )
    parser.add_argument(
        "--checkpoints", type=dict[str, str | None], default={}, help="checkpoints of GANs by name; null removes one"
    )
    return parser
