"""Arguments and configuration file of ``ganmc forest``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt, PositiveInt
from sklearn.base import ClassifierMixin

from ganmc_lightning.cli.config_loader import limit_yaml
from ganmc_lightning.cli.imports import HELP, OPTION
from ganmc_lightning.cli.synthesizer_names import check_synthesizer_names
from ganmc_lightning.data.datasets import DatasetSource, TensorDataset
from ganmc_lightning.data.splits import check_validation_fraction, train_val_split
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.data_root import data_root
from ganmc_lightning.synthesizers import Synthesizer
from ganmc_lightning.tabular.checkpoint import load_synthesizer
from ganmc_lightning.tabular.sampling import SupportsSample
from ganmc_lightning.tabular.study import RESERVED_NAMES
from ganmc_lightning.tabular.study_config import StudyConfig, StudySplits
from ganmc_lightning.tabular.training_sets import LabeledSamples


@dataclass
class ForestData:
    """Data of the study.

    The validation split equals that of ``ganmc fit``, so that no GAN was trained on the samples that select sizes. The
    reported models are trained on all training samples, including the validation split, or on ``train_size`` samples.

    Attributes:
        dataset: the real data.
        validation_fraction: share of the training samples used to select sizes, in (0, 1); must equal the GAN's.
        train_size: number of training samples to keep after the split, stratified by class; null keeps all.
        root: folder of the cached data sets; null for ``$GANMC_DATA`` or ``./data``.
    """

    dataset: DatasetSource
    validation_fraction: float = 0.1
    train_size: int | None = None
    root: str | None = None

    def load(self) -> StudySplits:
        """Download, load and split the data.

        Raises:
            ConfigurationError: the data set is not found, contains images, or has too few samples.
        """
        check_validation_fraction(self.validation_fraction)
        root = data_root(self.root)
        self.dataset.prepare(root)
        data = self.dataset.load(root)
        kept, held_out = train_val_split(
            data.train.labels, data.num_classes, self.validation_fraction, self.train_size, self.dataset.name
        )
        splits = (data.train.subset(kept), data.train.subset(held_out), data.train, data.test)
        fit, validation, train, test = map(self._samples, splits)
        return StudySplits(fit, validation, train if self.train_size is None else fit, test, data.one_hot_blocks)

    def _samples(self, dataset: Any) -> LabeledSamples:
        if not isinstance(dataset, TensorDataset) or dataset.inputs.ndim != 2:
            raise ConfigurationError(
                f"data.dataset: {self.dataset.name} contains images, expected samples of shape (D,)"
            )
        weights = None if dataset.weights is None else dataset.weights.numpy()
        return LabeledSamples(dataset.inputs.numpy().astype(np.float64), dataset.labels.numpy(), weights)


@dataclass(frozen=True)
class ForestConfig:
    """Parsed arguments of ``ganmc forest``.

    Attributes:
        seed: random seed, at least 0.
        out: run folder.
        export: folder of the exports, or None.
        n_jobs: number of threads, or None for all processors.
        data: the data.
        study: configuration of the study.
        synthesizers: synthesizers of this package by name.
        checkpoints: checkpoints of GANs by name.
        text: the configuration as YAML, without ``out``, ``export`` and ``n_jobs``.
    """

    seed: int
    out: Path
    export: Path | None
    n_jobs: int | None
    data: ForestData
    study: StudyConfig
    synthesizers: Mapping[str, Synthesizer]
    checkpoints: Mapping[str, str]
    text: str

    def load_synthesizers(self) -> dict[str, SupportsSample]:
        """Load the generators of the checkpoints, and return all synthesizers by name, GANs first.

        Raises:
            ConfigurationError: a checkpoint is missing or invalid.
        """
        loaded: dict[str, SupportsSample] = {}
        for name, path in self.checkpoints.items():
            try:
                loaded[name] = load_synthesizer(path)
            except ConfigurationError as error:
                raise ConfigurationError(f"checkpoints.{name}: {error}") from error
        return {**loaded, **self.synthesizers}


def parse_arguments(arguments: Sequence[str]) -> ForestConfig:
    """Parse a command line and its configuration file.

    Args:
        arguments: the command line without ``ganmc forest`` and ``--import``.

    Raises:
        ArgumentError: an argument or a value of the file is invalid.
        ConfigurationError: a constructor rejects its arguments, or a name is invalid.
    """
    parser = make_parser()
    parsed = parser.parse_args(list(arguments))
    objects = parser.instantiate_classes(parsed)
    checkpoints = {name: path for name, path in objects.checkpoints.items() if path is not None}
    synthesizers = {name: synthesizer for name, synthesizer in objects.synthesizers.items() if synthesizer is not None}
    check_synthesizer_names([*checkpoints, *synthesizers], RESERVED_NAMES)
    study = StudyConfig(**{field.name: objects[field.name] for field in fields(StudyConfig)})
    settings = parsed.clone()
    for key in ("out", "export", "n_jobs"):
        settings.pop(key)
    text = parser.dump(settings, skip_validation=True)
    seed = int(objects.seed)  # jsonargparse's type would be pickled with the students
    return ForestConfig(
        seed=seed,
        out=Path(objects.out or f"runs/{objects.data.dataset.name}/forest/seed{seed}"),
        export=None if objects.export is None else Path(objects.export),
        n_jobs=None if objects.n_jobs is None else int(objects.n_jobs),
        data=objects.data,
        study=study,
        synthesizers=synthesizers,
        checkpoints=checkpoints,
        text=text,
    )


def make_parser() -> ArgumentParser:
    """Return the parser of ``ganmc forest``; as in ``ganmc fit``, every key of the file is also an option."""
    limit_yaml()
    parser = ArgumentParser("ganmc forest", exit_on_error=False, epilog=f"{OPTION} MODULE: {HELP}.")
    parser.add_argument("--config", action="config", help="YAML file of the study; later options override its keys")
    parser.add_argument(
        "--seed", type=NonNegativeInt, default=0, help="random seed of teacher, synthetic samples and students"
    )
    parser.add_argument("--out", type=str | None, help="run folder; null for runs/<data>/forest/seed<seed>")
    parser.add_argument(
        "--export", type=str | None, help="folder for the best small student and the teacher as C, ONNX and skops files"
    )
    parser.add_argument("--n-jobs", type=PositiveInt | None, help="threads that fit trees; null for all processors")
    parser.add_class_arguments(ForestData, "data")
    parser.add_class_arguments(StudyConfig, skip={"teacher"})
    parser.add_argument(
        "--teacher",
        type=ClassifierMixin | None,
        help="unfitted classifier; null for the random forest of 500 trees of GAN-MC",
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
