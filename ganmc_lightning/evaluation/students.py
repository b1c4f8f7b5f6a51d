"""The teacher and the students behind a Compression Score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.evaluation.reading import SUFFIXES, read_config
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.compression_score import EPOCHS, CompressionScoreValue, Form, compression_score
from ganmc_lightning.networks.allowed import allow_named
from ganmc_lightning.networks.loading import instantiate_network, resolve_recipe
from ganmc_lightning.networks.training_data import input_conversion
from ganmc_lightning.networks.validation import check_classifier

FORMS: tuple[Form, ...] = ("paper", "poster")


class Students:
    """Both forms of the Compression Score; the students of the real samples are trained once for all sample sets.

    Args:
        teacher: classifier trained on ``real``; rows are rescaled for it where it was trained on others.
        student: makes a fresh student.
        spec: what the data look like.
        real: what the teacher was trained on.
        held_out: real samples and labels that neither teacher nor generator was trained on.
        seeds: one student of each set a seed.
        batch_size: samples in a step of a student.
        learning_rate: of a student's Adam.

    Raises:
        ConfigurationError: teacher or student does not fit the data, or the teacher was trained on data of another
            kind.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: Callable[[], nn.Module],
        spec: DataSpec,
        real: Tensor,
        held_out: tuple[Tensor, Tensor],
        seeds: Iterable[int],
        batch_size: int,
        learning_rate: float,
    ) -> None:
        check_classifier("--teacher", teacher, spec)
        with torch.random.fork_rng(devices=[]):
            check_classifier("--student", student(), spec)
        self.real = real
        conversion = input_conversion("--teacher", teacher, spec).to(real.device)
        self._teacher = nn.Sequential(conversion, teacher)
        self._student = student
        self._held_out = held_out
        self.seeds = tuple(seeds)
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self._real_accuracies: dict[Form, Tensor] = {}

    def score(self, samples: Tensor, form: Form) -> CompressionScoreValue:
        """Train students on samples and compare them with those of the real ones."""
        value = compression_score(
            samples.to(self.real.device),
            self.real,
            self._held_out,
            self._teacher,
            self._student,
            form,
            self.seeds,
            self.batch_size,
            self.learning_rate,
            self._real_accuracies.get(form),
        )
        self._real_accuracies[form] = value.real_accuracies
        return value

    def protocol(self, form: Form, n: int) -> dict[str, str | int | float]:
        """What a score must be printed with."""
        return {
            "epochs": EPOCHS[form],
            "seeds": ", ".join(map(str, self.seeds)),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "n_generated": n,
            "n_real": len(self.real),
            "n_held_out": len(self._held_out[1]),
        }


def compression_scores(form: Form, value: CompressionScoreValue) -> dict[str, float]:
    """A Compression Score and what it rests on, by the names a table gives them."""
    name = f"compression_score_{form}"
    return {
        name: value.mean.item(),
        f"{name}_standard_error": value.standard_error.item(),
        f"{name}_accuracy": value.accuracies.mean().item(),
        f"{name}_real_accuracy": value.real_accuracies.mean().item(),
    }


def make_student_factory(text: str) -> Callable[[], nn.Module]:
    """Find out how to make a fresh student.

    Args:
        text: a class (``LeNet4``, or the class path of any network that needs no argument); or a ``.yaml`` file:
            ``class_path`` and ``init_args`` of a network, or the configuration of a training, whose ``student``, else
            ``network``, is then made. A file can name the networks that a checkpoint can name.

    Raises:
        ConfigurationError: it says nothing of the kind.
    """
    path = Path(text)
    recipe: Any = {"class_path": text}
    if path.suffix in SUFFIXES:
        config = read_config(path)
        recipe = config if "class_path" in config else _network_in(config)
        if recipe is None:
            raise ConfigurationError(f"{path}: has neither class_path nor model.init_args.student or network")
    if isinstance(recipe, str):
        recipe = {"class_path": recipe}
    if isinstance(recipe, Mapping) and "." not in str(recipe.get("class_path", ".")):
        recipe = {**recipe, "class_path": f"ganmc_lightning.networks.{recipe['class_path']}"}
    elif path.suffix not in SUFFIXES:
        allow_named(text)
    make = partial(instantiate_network, resolve_recipe(recipe), text)
    with torch.random.fork_rng(devices=[]):
        make()
    return make


def _network_in(config: Mapping[str, Any]) -> Any:
    model = config.get("model")
    arguments = model.get("init_args") if isinstance(model, Mapping) else None
    if not isinstance(arguments, Mapping):
        return None
    return arguments.get("student", arguments.get("network"))
