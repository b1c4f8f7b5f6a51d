"""Read checkpoints onto the CPU without running code from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.archives import check_archive
from ganmc_lightning.io.format_version import check_format_version
from ganmc_lightning.io.input_files import check_regular_file
from ganmc_lightning.networks.allowed import loaded, makes_network
from ganmc_lightning.networks.wrappers import plain_name

TRAINED_ON = "trained_on"
"""Checkpoint key of the data specification that the networks were trained on."""
HYPER_PARAMETERS = "hyper_parameters"
TRAINED_SUBMODULES = ("student", "network", "generator")
"""Names of the networks to deploy; the checkpoint of a student of a generator also has a discriminator."""
MODULES = "ganmc_lightning.modules."
"""Package of the LightningModules that accept their networks as arguments; other modules build them."""


def read_checkpoint(path: str) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, with ``weights_only=True``.

    Raises:
        ConfigurationError: the file is missing, damaged, not a checkpoint of this package, or of a newer release.
    """
    check_regular_file(path, "checkpoint not found")
    check_archive(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises arbitrary exceptions on invalid data
        raise ConfigurationError(f"{path}: cannot be read as a checkpoint: {relevant_line(error)}") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), Mapping):
        raise ConfigurationError(f"{path}: got no 'state_dict', expected a checkpoint of this package")
    if not all(isinstance(key, str) for key in checkpoint["state_dict"]):
        raise ConfigurationError(f"{path}: got keys of 'state_dict' that are not strings, expected parameter names")
    check_format_version(checkpoint, path)
    return checkpoint


def submodule_names(checkpoint: Mapping[str, Any]) -> set[str]:
    """Return the names of the submodules in the state dict of a checkpoint.

    Example:
        >>> submodule_names({"state_dict": {"student.0.weight": 0, "student.0.bias": 0}})
        {'student'}
    """
    return {plain_name(key).partition(".")[0] for key in checkpoint["state_dict"]}


def is_own_checkpoint(content: Any) -> bool:
    """Whether the contents of a file are a checkpoint of this package, which names the class of its module.

    Example:
        >>> is_own_checkpoint({"state_dict": {}, "hyper_parameters": {"_class_path": "my_project.Module"}})
        True
        >>> is_own_checkpoint({"state_dict": {}})
        False
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("state_dict"), Mapping):
        return False
    hyper_parameters = content.get(HYPER_PARAMETERS)
    return isinstance(hyper_parameters, Mapping) and "_class_path" in hyper_parameters


def trained_submodule(checkpoint: Mapping[str, Any], path: str) -> str:
    """Return the name of the network to deploy: the student, else the classifier, else the generator.

    Raises:
        ConfigurationError: the checkpoint contains none of them.

    Example:
        >>> trained_submodule({"state_dict": {"student.weight": 0, "discriminator.weight": 0}}, "demo.ckpt")
        'student'
    """
    names = submodule_names(checkpoint)
    found = next((name for name in TRAINED_SUBMODULES if name in names), None)
    if found is None:
        raise ConfigurationError(
            f"{path}: got the submodules {', '.join(sorted(names)) or 'none'}, expected one of "
            f"{', '.join(TRAINED_SUBMODULES)}; pass the name of a submodule"
        )
    return found


def generator_submodule(checkpoint: Mapping[str, Any]) -> str:
    """Return the name of the generator: ``"student"`` for a compressed generator, else ``"generator"``."""
    names = submodule_names(checkpoint)
    return "student" if "student" in names and "generator" not in names else "generator"


def submodule_weights(checkpoint: Mapping[str, Any], submodule: str, path: str) -> dict[str, Any]:
    """Return the state dict of a submodule.

    Raises:
        ConfigurationError: the checkpoint does not contain the submodule.
    """
    prefix = f"{submodule}."
    state = checkpoint["state_dict"]
    weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if not weights:  # the whole module was compiled or distributed
        plain = {plain_name(key): value for key, value in state.items()}
        weights = {key.removeprefix(prefix): value for key, value in plain.items() if key.startswith(prefix)}
    if not weights:
        names = ", ".join(sorted(submodule_names(checkpoint))) or "none"
        raise ConfigurationError(f"{path}: got the submodules {names}, expected '{submodule}'")
    return weights


def recipe_from_checkpoint(checkpoint: Mapping[str, Any], submodule: str, path: str) -> Mapping[str, Any]:
    """Return the ``class_path`` and ``init_args`` of a submodule.

    Raises:
        ConfigurationError: the checkpoint contains no recipe, because the run was started from Python.
    """
    hyper_parameters = checkpoint.get(HYPER_PARAMETERS)
    if not isinstance(hyper_parameters, Mapping):
        hyper_parameters = {}
    recipe = hyper_parameters.get(submodule)
    if isinstance(recipe, Mapping) and "class_path" in recipe:
        return recipe
    builder = hyper_parameters.get("_class_path")
    if builder is not None and not str(builder).startswith(MODULES):  # a module that builds the network itself
        arguments = {
            key: value
            for key, value in hyper_parameters.items()
            if not str(key).startswith("_") and not _describes_other_object(value)
        }
        return {"class_path": builder, "init_args": arguments, "attribute": submodule}
    raise ConfigurationError(
        f"{path}: got no recipe of '{submodule}', because the run was started from Python; "
        "pass the network: load_network(path, submodule, network)"
    )


def data_spec_of(checkpoint: Mapping[str, Any], path: str) -> DataSpec | None:
    """Return the data specification that the networks were trained on; None for a checkpoint without it.

    Raises:
        ConfigurationError: the specification is damaged.
    """
    state = checkpoint.get(TRAINED_ON)
    if state is None:
        return None
    try:
        return DataSpec.from_state_dict(state)._replace(columns=_column_names(checkpoint))
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigurationError(f"{path}: '{TRAINED_ON}' is damaged ({type(error).__name__}: {error})") from error


def _column_names(checkpoint: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the encoded columns in the state of a data module; empty for images and unnamed columns."""
    states = (value.get("schema") for value in checkpoint.values() if isinstance(value, Mapping))
    # a hyperparameter or a weight of a user's module may be named schema, too
    fields = next((state["fields"] for state in states if isinstance(state, Mapping) and "fields" in state), ())
    names: list[str] = []
    for name, values, one_hot in fields:
        names += [f"{name}={value}" for value in values] if one_hot else [name]
    return () if names == [f"x{column}" for column in range(len(names))] else tuple(names)


def relevant_line(error: BaseException) -> str:
    r"""Return the first sentence of the second line, which contains the cause in torch's messages, or of the only line.

    A message without words, such as that of a ``KeyError``, follows the type of the exception.

    Example:
        >>> relevant_line(RuntimeError("failed\nno directory. An internal error."))
        'no directory'
        >>> relevant_line(KeyError(101))
        'KeyError: 101'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[min(1, len(lines) - 1)].partition(". ")[0] if lines else ""
    return (line if " " in line else f"{type(error).__name__}: {line}".removesuffix(": "))[:200]


def _describes_other_object(value: object) -> bool:
    """Whether a value is the recipe of an object that is not a network, such as an optimizer."""
    if not (isinstance(value, Mapping) and "class_path" in value):
        return False
    target = loaded(value["class_path"])
    return target is not None and not makes_network(target)
