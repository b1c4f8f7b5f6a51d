"""Replace references to files in recipes by the recipes of the networks that the files contain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.network_reference import is_reference, parse_reference
from ganmc_lightning.networks.building import build_network, check_reads_nothing
from ganmc_lightning.networks.checkpoints import (
    generator_submodule,
    is_own_checkpoint,
    read_checkpoint,
    recipe_from_checkpoint,
    trained_submodule,
)
from ganmc_lightning.networks.external import (
    ClassifierOptions,
    read_external,
    reference_preprocessing,
    wrapper_arguments,
)
from ganmc_lightning.networks.libraries import HF_CONFIG, Preprocessing, arguments_of_weights, hf_config
from ganmc_lightning.networks.loading import load_network, needs_wrapper
from ganmc_lightning.networks.recipe_metadata import decode_recipe
from ganmc_lightning.networks.recipes import BUILDER, arguments_of_recipe, is_loader, loader_of
from ganmc_lightning.networks.weight_files import file_format, read_metadata

LOADER = "ganmc_lightning.networks.load_network"
WRAPPER = "ganmc_lightning.networks.PretrainedClassifier"


def resolve_recipe(value: Any) -> Any:
    """Replace a recipe that refers to a file by the recipe of its network; return other values unchanged.

    A network that is initialized with the weights of an earlier run or of a library can then be rebuilt after the file
    is deleted. A network without a recipe, such as an exported one, is left as it is.

    Args:
        value: a recipe (``class_path`` and ``init_args``), or any other argument of a module.

    Raises:
        ConfigurationError: the file cannot be read, or the recipe refers to none.
    """
    if not (isinstance(value, Mapping) and is_loader(value.get("class_path"))):
        return value
    arguments = arguments_of_recipe(value)
    required = "reference" if loader_of(value["class_path"]) is build_network else "path"
    if not (isinstance(arguments, Mapping) and isinstance(arguments.get(required), str)):
        raise ConfigurationError(f"{value['class_path']}: got no {required}, expected init_args with {required}: TEXT")
    if loader_of(value["class_path"]) is not load_network:
        return _resolve_other(value, arguments)
    options = ClassifierOptions(**{key: arguments[key] for key in ClassifierOptions._fields if key in arguments})
    path, network = arguments["path"], arguments.get("network")
    if is_reference(path):
        return _resolve_reference(path, options)
    submodule = arguments.get("submodule")
    if submodule is not None and network is not None:  # passed because the earlier run has no recipe
        return _wrapped(network, Preprocessing(), options, path) if needs_wrapper(options) else network
    if submodule is None and network is None and file_format(path) == "safetensors":
        recipe = decode_recipe(read_metadata(path), path)[0]  # of the header, without reading the weights
        if recipe is None:
            return value
    else:
        content = read_checkpoint(path) if submodule is not None else read_external(path, options.trust)
        if submodule is None and not is_own_checkpoint(content):
            return value if network is None else _wrapped(network, Preprocessing(), options, path)
        recipe = network or recipe_from_checkpoint(content, submodule or trained_submodule(content, path), path)
    return _wrapped(recipe, Preprocessing(), options, path) if needs_wrapper(options) else recipe


def find_recipe(path: str, submodule: str | None = None) -> Mapping[str, Any] | None:
    """Return the recipe of the network that :func:`~ganmc_lightning.networks.load_network` loads; None if unknown.

    Args:
        path: file or reference.
        submodule: name of the network in a checkpoint (default: the trained one).

    Raises:
        ConfigurationError: the file is missing or damaged.
    """
    loader = {"class_path": LOADER, "init_args": {"path": path, "submodule": submodule}}
    recipe: Mapping[str, Any] = resolve_recipe(loader)
    return None if recipe is loader else recipe


def _resolve_other(recipe: Mapping[str, Any], arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Resolve the recipe of :func:`build_network` or of a loader of generators and discriminators."""
    if loader_of(recipe["class_path"]) is build_network:
        return _untrained(arguments["reference"], arguments.get("num_classes"), arguments)
    path, submodule = arguments["path"], arguments.get("submodule")
    if submodule is None and file_format(path) == "safetensors":
        return decode_recipe(read_metadata(path), path)[0] or recipe
    checkpoint = read_checkpoint(path)
    return recipe_from_checkpoint(checkpoint, submodule or generator_submodule(checkpoint), path)


def _resolve_reference(path: str, options: ClassifierOptions) -> Mapping[str, Any]:
    reference = parse_reference(path)
    known = reference_preprocessing(reference, options)
    arguments = arguments_of_weights(reference, options.arguments or {})
    recipe = _untrained(str(reference._replace(weights=None)), options.num_classes, {"arguments": arguments})
    return _wrapped(recipe, known, options, path)


def _untrained(text: str, num_classes: int | None, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the recipe of :func:`build_network`; that of a Hugging Face model contains its configuration."""
    reference, arguments = parse_reference(text), dict(given.get("arguments") or {})
    if reference.library == "hf":
        arguments = {**arguments, HF_CONFIG: hf_config(reference, arguments)}
        check_reads_nothing(reference, arguments)  # before training: the checkpoint could not be loaded
    named = {"reference": text, "num_classes": num_classes, "in_channels": given.get("in_channels")}
    return {"class_path": BUILDER, "init_args": {**named, "arguments": arguments}}


def _wrapped(
    network: Mapping[str, Any], known: Preprocessing, options: ClassifierOptions, path: str
) -> Mapping[str, Any]:
    return {"class_path": WRAPPER, "init_args": {"network": network, **wrapper_arguments(known, options, path)}}
