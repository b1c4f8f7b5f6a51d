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
from ganmc_lightning.networks.recipes import instantiate_network, resolve_recipe


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
    path = Path(text)
    is_file = path.suffix in (".yaml", ".yml")
    recipe: Any = {"class_path": text}
    if is_file:
        config = load_yaml_mapping(path)
        recipe = config if "class_path" in config else _find_network(config)
        if recipe is None:
            raise ConfigurationError(f"{path}: expected class_path, model.init_args.student or model.init_args.network")
    if isinstance(recipe, str):
        recipe = {"class_path": recipe}
    if isinstance(recipe, Mapping) and "." not in str(recipe.get("class_path", ".")):
        recipe = {**recipe, "class_path": f"ganmc_lightning.networks.{recipe['class_path']}"}
    elif not is_file:
        allow_named(text)
    student = partial(instantiate_network, resolve_recipe(recipe), text)
    with torch.random.fork_rng(devices=[]):
        student()  # raises if the recipe cannot be instantiated
    return student


def _find_network(config: Mapping[str, Any]) -> Any:
    model = config.get("model")
    arguments = model.get("init_args") if isinstance(model, Mapping) else None
    if not isinstance(arguments, Mapping):
        return None
    return arguments.get("student", arguments.get("network"))
