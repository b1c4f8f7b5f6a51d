"""Take one trained network out of a checkpoint, given nothing but its path.

A checkpoint holds the recipe of each network (``class_path`` and ``init_args``, as in the configuration), its
weights, and what it was trained on. Files are opened with ``weights_only=True``, and a recipe can only name the
networks listed in :mod:`ganmc_lightning.networks.allowed`, so that a file from others runs no code of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.allowed import check_arguments, find_network, loaded, makes_network
from ganmc_lightning.networks.base import ClassConditionalDiscriminator, Discriminator, Generator
from ganmc_lightning.networks.training_data import note_training_data
from ganmc_lightning.networks.wrappers import plain_name, renamed

HYPER_PARAMETERS = "hyper_parameters"
TRAINED_ON = "trained_on"
PROCEDURES = "ganmc_lightning.modules."
"""Where the training procedures are defined that are given their networks and build none."""
MAX_DEPTH = 32
"""Networks, lists and mappings within one another in a recipe."""
MAX_VALUES = 100_000
"""Values in a recipe, each counted as often as it is used; a checkpoint that a recipe points at counts as 1000."""

_reading: ContextVar[_Reading | None] = ContextVar("reading", default=None)


def load_network(path: str, submodule: str, network: nn.Module | None = None) -> nn.Module:
    """Rebuild one network of a training run with its trained weights, on the CPU, in evaluation mode.

    What the network was trained on (class names, statistics of the samples) is attached to it, and compared with the
    data that it is used on. Weights of a compiled or distributed network fit the plain one, and the reverse.

    Args:
        path: a checkpoint written by one of the modules.
        submodule: its name in the module: ``"network"`` of a classifier, ``"student"`` of a distillation,
            ``"generator"`` or ``"discriminator"`` of a GAN.
        network: a network of the right shape to load the weights into; needed only where the run was
            started from Python with live objects, whose recipe nobody wrote down.

    Raises:
        ConfigurationError: the file is missing, damaged or of another kind, or its weights do not fit.
    """
    return _network_of(read_checkpoint(path), submodule, path, network)


def load_generator(path: str, submodule: str | None = None) -> Generator:
    """:func:`load_network` for a generator.

    Args:
        path: a checkpoint of a GAN, or of a compressed one.
        submodule: name of the generator in the module; when left out ``"generator"``, or ``"student"`` where a
            generator was compressed.

    Raises:
        ConfigurationError: as :func:`load_network`, and when the submodule is not a generator.
    """
    checkpoint = read_checkpoint(path)
    submodule = submodule or generator_submodule(checkpoint)
    network = _network_of(checkpoint, submodule, path)
    if not isinstance(network, Generator):
        raise ConfigurationError(f"'{submodule}' in {path} is a {type(network).__name__}, not a generator")
    return network


def load_acgan_discriminator(path: str, submodule: str = "discriminator") -> ClassConditionalDiscriminator:
    """:func:`load_network` for the discriminator of an AC-GAN, to train a GAN further.

    Args:
        path: a checkpoint of an AC-GAN.
        submodule: name of the discriminator in the module.

    Raises:
        ConfigurationError: as :func:`load_network`, and when the submodule is not such a discriminator.
    """
    network = load_network(path, submodule)
    if not isinstance(network, ClassConditionalDiscriminator):
        raise ConfigurationError(
            f"'{submodule}' in {path} is a {type(network).__name__}, not a discriminator of an AC-GAN"
        )
    return network


def load_discriminator(path: str, submodule: str = "discriminator") -> Discriminator:
    """:func:`load_network` for the discriminator of a GAN without classes, to go on from what it knows.

    Args:
        path: a checkpoint of a GAN.
        submodule: name of the discriminator in the module.

    Raises:
        ConfigurationError: as :func:`load_network`, and when the submodule is not such a discriminator.
    """
    network = load_network(path, submodule)
    if not isinstance(network, Discriminator):
        name = type(network).__name__
        raise ConfigurationError(f"'{submodule}' in {path} is a {name}, not a discriminator of a GAN without classes")
    return network


def generator_submodule(checkpoint: Mapping[str, Any]) -> str:
    """Name of the submodule that makes samples: ``"generator"``, or ``"student"`` where there is no such submodule."""
    parts = parts_of(checkpoint)
    return "student" if "student" in parts and "generator" not in parts else "generator"


def parts_of(checkpoint: Mapping[str, Any]) -> set[str]:
    """Names of the networks whose weights a checkpoint holds."""
    return {plain_name(key).partition(".")[0] for key in checkpoint["state_dict"]}


def training_data_in(checkpoint: Mapping[str, Any], path: str) -> DataSpec | None:
    """What the networks in a checkpoint were trained on; None in a checkpoint that does not tell.

    Raises:
        ConfigurationError: the record is damaged.
    """
    record = checkpoint.get(TRAINED_ON)
    if record is None:
        return None
    try:
        return DataSpec.of_state(record)
    except (TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{path}: '{TRAINED_ON}' is damaged ({type(error).__name__}: {error}): name another checkpoint"
        ) from error


def read_checkpoint(path: str) -> dict[str, Any]:
    """Read a checkpoint onto the CPU without running code from it.

    Raises:
        ConfigurationError: the file is missing, damaged, or not a checkpoint of this package.
    """
    if not Path(path).is_file():
        raise ConfigurationError(f"no checkpoint at {path}: train it first, or name another file")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no checkpoint the unpickler raises whatever it stumbles over
        raise ConfigurationError(
            f"{path} cannot be read as a checkpoint (truncated or foreign): {_first(error)}"
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), Mapping):
        raise ConfigurationError(f"{path} is not a checkpoint of this package: it has no 'state_dict'")
    if not all(isinstance(key, str) for key in checkpoint["state_dict"]):
        raise ConfigurationError(
            f"{path} is not a checkpoint of this package: its 'state_dict' has keys that are not text"
        )
    return checkpoint


def recipe_from_checkpoint(checkpoint: Mapping[str, Any], submodule: str, path: str) -> Mapping[str, Any]:
    """The ``class_path`` and ``init_args`` that ``submodule`` was built from.

    Raises:
        ConfigurationError: the run was started from Python, so that the checkpoint holds no recipe.
    """
    hyper_parameters = checkpoint.get(HYPER_PARAMETERS)
    if not isinstance(hyper_parameters, Mapping):
        hyper_parameters = {}
    recipe = hyper_parameters.get(submodule)
    if isinstance(recipe, Mapping) and "class_path" in recipe:
        return recipe
    builder = hyper_parameters.get("_class_path")
    if builder is not None and not str(builder).startswith(PROCEDURES):  # it builds the network itself
        arguments = {
            key: value
            for key, value in hyper_parameters.items()
            if not str(key).startswith("_") and not _describes_no_network(value)
        }
        return {"class_path": builder, "init_args": arguments, "attribute": submodule}
    raise ConfigurationError(
        f"{path} does not say how to build '{submodule}', for the run was started from Python: "
        "give the network to load_network(path, submodule, network)"
    )


def instantiate_network(recipe: Mapping[str, Any], path: str) -> nn.Module:
    """Build the network a recipe describes, with fresh weights.

    Raises:
        ConfigurationError: the recipe names something that is not a network, or cannot be built.
    """
    with _open_file(path) as reading:
        network = reading.build(recipe, path)
    if isinstance(recipe.get("attribute"), str):
        network = getattr(network, recipe["attribute"], None)
    if not isinstance(network, nn.Module):
        raise ConfigurationError(f"{path} describes a {type(network).__name__} where a network is due")
    return network


def resolve_recipe(value: Any) -> Any:
    """Replace a recipe that points into a checkpoint by the recipe it points at; pass on anything else.

    A network that starts from an earlier run's weights is then described by its own layers, and can be
    rebuilt when the earlier file is gone.
    """
    if not (isinstance(value, Mapping) and _is_pointer(value.get("class_path"))):
        return value
    arguments = value["init_args"]
    if arguments.get("network") is not None:  # the earlier run had no recipe, so this one gave it
        return arguments["network"]
    checkpoint = read_checkpoint(arguments["path"])
    return recipe_from_checkpoint(
        checkpoint, arguments["submodule"] or generator_submodule(checkpoint), arguments["path"]
    )


def _network_of(
    checkpoint: Mapping[str, Any], submodule: str, path: str, network: nn.Module | None = None
) -> nn.Module:
    weights = _weights_of(checkpoint, submodule, path)
    if network is None:
        network = instantiate_network(recipe_from_checkpoint(checkpoint, submodule, path), path)
    try:
        network.load_state_dict(renamed(weights, network.state_dict()))
    except RuntimeError as error:
        raise ConfigurationError(
            f"the weights of '{submodule}' in {path} do not fit its network: {_first(error)}"
        ) from error
    trained_on = training_data_in(checkpoint, path)
    if trained_on is not None:
        note_training_data(network, trained_on)
    return network.eval()


class _Reading:
    """What the rebuilding of one network has read so far: files, and values of their recipes."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self._values = 0

    def count(self, values: int, path: str) -> None:
        """Raise :class:`ConfigurationError` once too much is read: references in a recipe multiply small files."""
        self._values += values
        if self._values > MAX_VALUES:
            raise ConfigurationError(f"{path} has a recipe of more than {MAX_VALUES} values: it is not a network's")

    def build(self, value: object, path: str, depth: int = 0) -> Any:
        """Build the networks that a value of a recipe describes; any other value stays what it is."""
        self.count(1, path)
        if depth > MAX_DEPTH:
            raise ConfigurationError(f"{path} has a recipe nested more than {MAX_DEPTH} deep: it is not a network's")
        if isinstance(value, Mapping) and "class_path" in value:
            return self._network(value, path, depth)
        if isinstance(value, list):
            return [self.build(item, path, depth + 1) for item in value]
        return value

    def _network(self, recipe: Mapping[str, Any], path: str, depth: int) -> Any:
        class_path, arguments = recipe["class_path"], recipe.get("init_args") or {}
        if not isinstance(arguments, Mapping):
            raise ConfigurationError(f"{path} has init_args of type {type(arguments).__name__}, expected a mapping")
        named = _POINTERS[class_path] if _is_pointer(class_path) else find_network(class_path, path)
        check_arguments(class_path, named, arguments, path)
        arguments = {key: self.build(item, path, depth + 1) for key, item in arguments.items()}
        try:
            return named(**arguments)
        except ConfigurationError:
            raise
        except Exception as error:  # whatever a constructor raises on arguments that it was not made for
            raise ConfigurationError(
                f"{path} does not hold what it takes to build {class_path} ({_first(error)}): "
                "give the network to load_network(path, submodule, network)"
            ) from error


@contextmanager
def _open_file(path: str) -> Iterator[_Reading]:
    """The reading that a file belongs to: that of the file which points at it, or a new one.

    Raises:
        ConfigurationError: the file is being read already, for its recipe points back at it.
    """
    outer = _reading.get()
    reading = outer or _Reading()
    file = os.path.realpath(path)
    if file in reading.files:
        raise ConfigurationError(
            f"{path} has a recipe that points back at the same file: give it the network's own recipe"
        )
    token = _reading.set(reading)
    reading.files.append(file)
    try:
        if outer is not None:
            reading.count(1000, path)
        yield reading
    finally:
        reading.files.pop()
        _reading.reset(token)


_POINTERS = {
    f"{home}.{pointer.__name__}": pointer
    for home in ("ganmc_lightning", "ganmc_lightning.networks", __name__)
    for pointer in (load_network, load_generator, load_acgan_discriminator, load_discriminator)
}
"""The functions that take a network out of another checkpoint, by the names they are public under."""


def _is_pointer(class_path: object) -> bool:
    return isinstance(class_path, str) and class_path in _POINTERS


def _describes_no_network(value: object) -> bool:
    """Whether it is the recipe of something else, an optimizer say, which the shape of a network does not need."""
    if not (isinstance(value, Mapping) and "class_path" in value):
        return False
    named = loaded(value["class_path"])
    return named is not None and not makes_network(named)


def _weights_of(checkpoint: Mapping[str, Any], submodule: str, path: str) -> dict[str, Any]:
    prefix = f"{submodule}."
    state = checkpoint["state_dict"]
    weights = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if not weights:  # the whole module was compiled or distributed
        plain = {plain_name(key): value for key, value in state.items()}
        weights = {key.removeprefix(prefix): value for key, value in plain.items() if key.startswith(prefix)}
    if not weights:
        parts = sorted(parts_of(checkpoint))
        raise ConfigurationError(f"{path} holds no '{submodule}': it holds {', '.join(parts) or 'nothing'}")
    return weights


def _first(error: BaseException) -> str:
    """The submodule of a long message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[min(1, len(lines) - 1)] if lines else type(error).__name__)[:200]
