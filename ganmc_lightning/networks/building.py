"""Build untrained networks of torchvision, timm, Hugging Face and own code by reference."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from typing import Any

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.network_reference import LIBRARIES, NetworkReference, parse_reference
from ganmc_lightning.networks.allowed import READING_ARGUMENTS, allow_import, check_arguments, find_network
from ganmc_lightning.networks.libraries import HF_CONFIG, build_from_library
from ganmc_lightning.networks.pretrained import PretrainedClassifier
from ganmc_lightning.networks.recipes import in_recipe, recipe_loader

_READING = READING_ARGUMENTS | {"backbone", "use_pretrained_backbone", "auto_map"}
"""Arguments of networks and configurations that read files; the last three are those of transformers."""
_ATTENTION = frozenset({"attn_implementation", "_attn_implementation", "_attn_implementation_internal"})
"""Keys of transformers; values other than ``"eager"`` and ``"sdpa"`` may download compiled code."""
_CLASS_NAMES = frozenset({"id2label", "label2id"})
"""Keys of transformers whose mappings contain names of classes, which may be those of arguments."""


@recipe_loader
def build_network(
    reference: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a network by reference, with new weights, for images in [-1, 1].

    Hugging Face models, which return a ``ModelOutput``, are wrapped by
    :class:`~ganmc_lightning.networks.PretrainedClassifier`.

    Args:
        reference: ``torchvision:NAME``, ``timm:NAME``, ``hf:ORG/NAME``, ``hf:FOLDER`` (with ``config.json``) or
            ``MODULE:FACTORY``, a function or class of own code.
        num_classes: K, number of logits (default: that of the library). Own code receives it if it has an argument of
            this name.
        in_channels: number of channels of the images (default: that of the library, 3). Own code receives it if it has
            an argument ``in_channels`` or ``in_chans``.
        arguments: further keyword arguments of the network's function or class; for Hugging Face, keys of its
            configuration, or ``config`` with the contents of ``config.json``.

    Raises:
        ConfigurationError: the library is not installed, has no such network, or does not accept the arguments.

    Example:
        >>> network = build_network("torch.nn:Linear", arguments={"in_features": 2, "out_features": 3})
        >>> network
        Linear(in_features=2, out_features=3, bias=True)
    """
    parsed = parse_reference(reference)
    if parsed.weights is not None:
        raise ConfigurationError(
            f"{reference}: got a weights file, expected the reference of an untrained network; load trained weights "
            "with load_network"
        )
    given = dict(arguments or {})
    if in_recipe():
        check_reads_nothing(parsed, given)
    if parsed.library not in LIBRARIES:
        return _build_own(parsed, num_classes, in_channels, given)
    network = build_from_library(parsed, num_classes, in_channels, given)
    return PretrainedClassifier(network) if parsed.library == "hf" else network


def check_reads_nothing(reference: NetworkReference, arguments: Mapping[str, Any]) -> None:
    """Check that :func:`build_network` reads no other file and downloads nothing, as in a recipe from a file.

    Args:
        reference: the network.
        arguments: further arguments of its function or class, or of its configuration.

    Raises:
        ConfigurationError: an argument, also one in a nested configuration, names a file or a network of the hub.
    """
    values = dict(arguments)
    if reference.library == "hf":
        config = values.pop(HF_CONFIG, None)
        if not isinstance(config, Mapping):
            raise ConfigurationError(
                f"{reference}: got a recipe without the argument '{HF_CONFIG}', which would read another file; pass "
                "the network: load_network(path, submodule, network)"
            )
        values = {**config, **values, "auto_map": None, "use_pretrained_backbone": None}  # not used by build_network
        if values.get("model_type") == "timm_wrapper":
            name = str(values.get("architecture"))[:80]
            raise ConfigurationError(
                f"{reference}: got a recipe with the network {name!r} of timm in a configuration of transformers, "
                "which could be downloaded; expected the reference timm:NAME"
            )
    reading = _reading_argument(values)
    if reading:
        raise ConfigurationError(
            f"{reference}: got the argument {reading} in a recipe, which reads another file; pass the network: "
            "load_network(path, submodule, network)"
        )


def _reading_argument(value: object) -> str:
    """Return the first argument, also in nested lists and mappings, that reads or downloads a file; "" without one."""
    if isinstance(value, Mapping):
        value = {str(key): item for key, item in value.items() if key not in _CLASS_NAMES}
        for name, item in value.items():
            nested_timm = name == "model_type" and str(item).startswith("timm_")
            kernel = name in _ATTENTION and item not in (None, "eager", "sdpa")
            if (name in _READING and item is not None and item is not False) or nested_timm or kernel:
                return name
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next(filter(None, map(_reading_argument, items)), "")


def _build_own(
    reference: NetworkReference, num_classes: int | None, in_channels: int | None, arguments: dict[str, Any]
) -> nn.Module:
    factory = _find_factory(reference)
    if in_recipe():
        check_arguments(f"{reference.library}.{reference.name}", factory, arguments, str(reference))
    accepted = inspect.signature(factory).parameters
    for value, names in ((num_classes, ("num_classes",)), (in_channels, ("in_channels", "in_chans"))):
        name = next((name for name in names if name in accepted), None)
        if value is not None and name is not None:
            arguments = {name: value, **arguments}
    try:
        network = factory(**arguments)
    except ConfigurationError:
        raise
    except Exception as error:  # own code raises any type
        raise ConfigurationError(f"{reference}: cannot be built: {one_line(error)[:300]}") from error
    if not isinstance(network, nn.Module):
        raise ConfigurationError(f"{reference}: returned a {type(network).__name__}, expected an nn.Module")
    return network


def _find_factory(reference: NetworkReference) -> Any:
    name = f"{reference.library}.{reference.name}"
    if in_recipe():
        return find_network(name, str(reference))
    try:
        allow_import(reference.library)
    except ConfigurationError as error:
        close = get_close_matches(reference.library, LIBRARIES, n=1)
        hint = f"; did you mean '{close[0]}:'?" if close else ""
        raise ConfigurationError(f"{error}{hint}") from error
    try:
        factory = reduce(getattr, reference.name.split("."), import_module(reference.library))
    except AttributeError as error:
        raise ConfigurationError(f"{reference}: {error}; expected a function or class that builds a network") from error
    if not callable(factory):
        raise ConfigurationError(
            f"{reference}: got a {type(factory).__name__}, expected a function or class that builds a network"
        )
    return factory
