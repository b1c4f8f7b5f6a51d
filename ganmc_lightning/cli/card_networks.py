"""Networks of ``ganmc card``: those of runs, and the teacher of a run or of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import ArgumentError, ArgumentParser
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.network_reference import is_reference
from ganmc_lightning.io.structured import load_yaml_mapping
from ganmc_lightning.metrics.extractors import load_classifier
from ganmc_lightning.networks.loading import load_network
from ganmc_lightning.runs.folder import RunFolder


class RunTeacher(NamedTuple):
    """A teacher and its name on the page."""

    name: str
    network: nn.Module


def load_run_network(folder: Path) -> nn.Module:
    """Load the classifier that a run trained, from its best checkpoint.

    Raises:
        ConfigurationError: the checkpoint has no classifier.
    """
    return load_classifier(str(RunFolder(folder).best_checkpoint))


def load_run_teacher(run: Path, reference: str | None, num_classes: int) -> RunTeacher | None:
    """Load the teacher of a run.

    Args:
        run: the run folder.
        reference: run folder, file or reference of the teacher, see :func:`~ganmc_lightning.networks.load_network`;
            None for the teacher in ``config.yaml``.
        num_classes: number of classes of the data, for a reference.

    Returns:
        The teacher; None for a run without one.

    Raises:
        ConfigurationError: the teacher cannot be loaded.
    """
    if reference is not None:
        path = Path(reference)
        if RunFolder(path).best_checkpoint.is_file():
            return RunTeacher(path.as_posix(), load_run_network(path))
        return RunTeacher(
            reference, load_network(reference, num_classes=num_classes if is_reference(reference) else None)
        )
    config = RunFolder(run).config
    model = load_yaml_mapping(config).get("model")
    arguments = model.get("init_args") if isinstance(model, Mapping) else None
    recipe = arguments.get("teacher") if isinstance(arguments, Mapping) else None
    if recipe is None:
        return None
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--teacher", type=nn.Module)
    try:
        network = parser.instantiate(parser.parse_object({"teacher": recipe})).teacher
    except (ConfigurationError, ArgumentError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{config}: model.teacher: {one_line(error)}; set --teacher") from error
    return RunTeacher(_name(recipe), network)


def _name(recipe: Any) -> str:
    """Return the run folder or file of a loaded teacher, else the name of its class."""
    if not isinstance(recipe, Mapping):
        return str(recipe).rpartition(".")[2]
    path = (recipe.get("init_args") or {}).get("path")
    if path is None:
        return str(recipe.get("class_path", "teacher")).rpartition(".")[2]
    run = Path(path).parent.parent
    return run.as_posix() if RunFolder(run).checkpoints == Path(path).parent else str(path)
