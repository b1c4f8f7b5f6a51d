"""Students of the Compression Score from a class name or a configuration file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import load_yaml_mapping
from ganmc_lightning.networks.allowed import allow_named
from ganmc_lightning.networks.recipes import instantiate_network
from ganmc_lightning.networks.resolving import resolve_recipe


def make_student_factory(text: str) -> Callable[[], nn.Module]:
    """Return a function that makes new students.

    Args:
        text: a class (``LeNet4``, or the class path of a network without required arguments); or a ``.yaml`` file
            with ``class_path`` and ``init_args`` of a network; or the config of a training run, of which ``student``,
            else ``network``, is used. Files and checkpoints may refer to the same networks.

    Raises:
        ConfigurationError: the network does not exist, or cannot be instantiated.

    Example:
        >>> make_student = make_student_factory("LeNet4")
        >>> sum(weight.numel() for weight in make_student().parameters())
        33770
    """
    is_file = Path(text).suffix in (".yaml", ".yml")
    recipe = _read_recipe(Path(text)) if is_file else {"class_path": text}
    if isinstance(recipe, Mapping) and "." not in str(recipe.get("class_path", ".")):
        recipe = {**recipe, "class_path": f"ganmc_lightning.networks.{recipe['class_path']}"}
    student = partial(instantiate_network, resolve_recipe(recipe), text)
    if not is_file and "." in text:
        allow_named(text)
    with torch.random.fork_rng(devices=[]):
        student()  # raises if the recipe cannot be instantiated
    return student


def _read_recipe(path: Path) -> Any:
    """Return the network that a file describes, or the student or network of a training run's config."""
    config = load_yaml_mapping(path)
    if "class_path" in config:
        return config
    model = config.get("model")
    arguments = model.get("init_args") if isinstance(model, Mapping) else None
    recipe = arguments.get("student", arguments.get("network")) if isinstance(arguments, Mapping) else None
    if recipe is None:
        raise ConfigurationError(f"{path}: expected class_path, model.init_args.student or model.init_args.network")
    return {"class_path": recipe} if isinstance(recipe, str) else recipe
