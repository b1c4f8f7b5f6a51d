"""Classifiers of torchvision, timm and Hugging Face ``transformers`` by name, and their preprocessing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.network_reference import NetworkReference
from ganmc_lightning.networks.allowed import import_library

HF_CONFIG = "config"
"""Argument with the contents of ``config.json`` of a Hugging Face model, which then needs no file."""
HF_PREPROCESSOR = "preprocessor_config.json"

SCALING_NETWORKS = ("googlenet", "inception_v3")
"""Networks of torchvision that convert images with ImageNet's statistics to [-1, 1], as pretrained weights require."""


class Preprocessing(NamedTuple):
    """Inputs and classes that a library documents for a network.

    Attributes:
        mean: per-channel mean of the training images in [0, 1]; None if unknown.
        std: per-channel standard deviation; None if unknown.
        input_shape: ``(C, H, W)`` of the training images; empty if unknown.
        fixed_size: whether the network accepts only this size.
        num_classes: number of classes of the pretrained weights; 0 if unknown.
        class_names: names of these classes; empty if unknown.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    input_shape: tuple[int, ...] = ()
    fixed_size: bool = False
    num_classes: int = 0
    class_names: tuple[str, ...] = ()


def library_preprocessing(reference: NetworkReference, arguments: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing of a network of torchvision, timm or Hugging Face, without building it.

    Args:
        reference: library and name.
        arguments: arguments of the network, which may change its input size.

    Raises:
        ConfigurationError: the library is not installed or has no such network.
    """
    if reference.library == "timm":
        return _timm_preprocessing(reference, arguments)
    if reference.library == "torchvision":
        return _torchvision_preprocessing(reference, arguments)
    return _hf_preprocessing(reference, arguments)


def arguments_of_weights(reference: NetworkReference, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a network with trained weights, for which torchvision changes a default.

    Args:
        reference: library and name.
        arguments: arguments of the user, which take precedence.

    Example:
        >>> arguments_of_weights(NetworkReference("torchvision", "googlenet"), {"dropout": 0.5})
        {'transform_input': True, 'dropout': 0.5}
    """
    transforms = reference.library == "torchvision" and reference.name in SCALING_NETWORKS
    return {"transform_input": True, **arguments} if transforms else dict(arguments)


def build_from_library(
    reference: NetworkReference, num_classes: int | None, in_channels: int | None, arguments: Mapping[str, Any]
) -> nn.Module:
    """Build a network of torchvision, timm or Hugging Face with new weights; see :func:`~.building.build_network`."""
    if reference.library == "hf":
        return _build_hf(reference, num_classes, in_channels, arguments)
    named = dict(arguments) if num_classes is None else {"num_classes": num_classes, **arguments}
    if reference.library == "timm":
        _timm_config(reference)
        named = named if in_channels is None else {"in_chans": in_channels, **named}
        return _call(reference, import_library("timm", str(reference)).create_model, reference.name, **named)
    if in_channels not in (None, 3):
        raise ConfigurationError(
            f"{reference}: networks of torchvision have 3 input channels, got {in_channels}; use a network of timm"
        )
    return _call(reference, _torchvision_builder(reference), **named)


def load_from_library(reference: NetworkReference, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network with the pretrained weights of its library, which are downloaded unless they are cached.

    Raises:
        ConfigurationError: the weights cannot be read or downloaded.
    """
    try:
        if reference.library == "timm":
            _timm_config(reference)
            timm = import_library("timm", str(reference))
            network: nn.Module = timm.create_model(reference.name, pretrained=True, **arguments)
        elif reference.library == "torchvision":
            network = _torchvision_builder(reference)(weights="DEFAULT", **arguments)
        else:
            network = _load_hf(reference, arguments)
    except ConfigurationError:
        raise
    except Exception as error:  # downloads and constructors raise any type
        raise ConfigurationError(
            f"{reference}: its pretrained weights cannot be loaded ({one_line(error)[:200]}); download them and pass "
            f"{reference}:WEIGHTS_FILE"
        ) from error
    return network


def hf_config(reference: NetworkReference, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of ``config.json`` of a Hugging Face model: from the arguments, its folder or the hub.

    Raises:
        ConfigurationError: it cannot be read.
    """
    if HF_CONFIG in arguments:
        return dict(arguments[HF_CONFIG])
    transformers = import_library("transformers", str(reference))
    local = Path(reference.name).is_dir()
    if local and not Path(reference.name, "config.json").is_file():  # an empty configuration in transformers 5.0
        raise ConfigurationError(f"{reference}: contains no config.json; pass a folder with config.json")
    try:
        config = transformers.AutoConfig.from_pretrained(
            reference.name, local_files_only=local, trust_remote_code=False
        )
    except Exception as error:  # any type, for missing files and for downloads
        raise ConfigurationError(
            f"{reference}: its config.json cannot be read ({one_line(error)[:200]}); pass a folder with config.json"
        ) from error
    values: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return values


def _load_hf(reference: NetworkReference, arguments: Mapping[str, Any]) -> nn.Module:
    auto = import_library("transformers", str(reference)).AutoModelForImageClassification
    network: nn.Module
    network, report = auto.from_pretrained(
        reference.name,
        local_files_only=Path(reference.name).is_dir(),
        trust_remote_code=False,
        output_loading_info=True,
        **arguments,
    )
    missing = sorted(report["missing_keys"])
    if missing:  # transformers initializes them randomly, such as the head of a model that is no classifier
        raise ConfigurationError(
            f"{reference}: got no weights of {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}, expected "
            "the weights of a trained classifier"
        )
    return network.float()  # saved weights may be bfloat16


def _build_hf(
    reference: NetworkReference, num_classes: int | None, in_channels: int | None, arguments: Mapping[str, Any]
) -> nn.Module:
    transformers = import_library("transformers", str(reference))
    values = hf_config(reference, arguments)
    values.update((key, value) for key, value in arguments.items() if key != HF_CONFIG)
    values["use_pretrained_backbone"] = False  # it would be downloaded
    if num_classes is not None and num_classes != len(values.get("id2label") or ()):
        values.update(id2label={str(label): f"LABEL_{label}" for label in range(num_classes)}, label2id=None)
        values["label2id"] = {name: int(label) for label, name in values["id2label"].items()}
    if in_channels is not None:
        values["num_channels"] = in_channels
    values.pop("num_labels", None)
    config = _call_any(reference, transformers.AutoConfig.for_model, **values)
    build = transformers.AutoModelForImageClassification.from_config
    return _call(reference, build, config, trust_remote_code=False).float()  # the configuration may name bfloat16


def _hf_preprocessing(reference: NetworkReference, arguments: Mapping[str, Any]) -> Preprocessing:
    config = hf_config(reference, arguments)
    names = {int(label): str(name) for label, name in (config.get("id2label") or {}).items()}
    class_names = tuple(names[label] for label in sorted(names))
    if class_names == tuple(f"LABEL_{label}" for label in range(len(names))):
        class_names = ()
    channels = config.get("num_channels", 3)
    try:
        values = _hf_preprocessor(reference)
        size = config.get("image_size") or _hf_size(values)
        mean, std = _hf_statistics(values, channels)
    except ConfigurationError:
        raise
    except (ValueError, TypeError, AttributeError, OSError) as error:  # invalid JSON, or values of other types
        raise ConfigurationError(
            f"{reference}: its {HF_PREPROCESSOR} cannot be read ({type(error).__name__}: {one_line(error)[:200]}), "
            "expected the file of save_pretrained"
        ) from error
    shape = (channels, size, size) if isinstance(size, int) else ()
    return Preprocessing(mean, std, shape, False, len(names), class_names)


def _hf_preprocessor(reference: NetworkReference) -> dict[str, Any]:
    """Read ``preprocessor_config.json``; without the file, return an empty dictionary."""
    transformers = import_library("transformers", str(reference))
    file = transformers.utils.cached_file(
        reference.name,
        HF_PREPROCESSOR,
        local_files_only=Path(reference.name).is_dir(),
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    if file is None:
        return {}
    values: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    if not values.get("do_rescale", True) or abs(values.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
        raise ConfigurationError(
            f"{reference}: its {HF_PREPROCESSOR} does not rescale images to [0, 1]; pass mean and std of images in "
            "[0, 1]"
        )
    return values


def _hf_size(values: Mapping[str, Any]) -> int | None:
    """Return the side of square images after the steps of a ``preprocessor_config.json``; None if unknown."""
    cropped = values.get("do_center_crop", True) and values.get("crop_size")
    size = cropped or values.get("size")
    if isinstance(size, Mapping):
        size = size.get("shortest_edge") or (size.get("height") if size.get("height") == size.get("width") else None)
    return size if isinstance(size, int) else None


def _hf_statistics(
    values: Mapping[str, Any], channels: int
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return mean and std of a ``preprocessor_config.json``; without the file, they are unknown."""
    if values and not values.get("do_normalize", True):
        return (0.0,) * channels, (1.0,) * channels
    if "image_mean" not in values or "image_std" not in values:
        return None, None
    return tuple(map(float, values["image_mean"])), tuple(map(float, values["image_std"]))


def _timm_preprocessing(reference: NetworkReference, arguments: Mapping[str, Any]) -> Preprocessing:
    config = _timm_config(reference)
    if config is None:  # an architecture without pretrained weights
        return Preprocessing()
    channels, height, width = config.input_size
    size = arguments.get("img_size", height)
    shape = (arguments.get("in_chans", channels), size, size if "img_size" in arguments else width)
    square = isinstance(size, int) and shape[1] == shape[2]
    mean, std = (tuple(config.mean), tuple(config.std)) if shape[0] == channels else (None, None)
    return Preprocessing(
        mean,
        std,
        shape if square else (),
        square and config.fixed_input_size and not arguments.get("dynamic_img_size", False),
        config.num_classes,
        tuple(config.label_names or ()),
    )


def _timm_config(reference: NetworkReference) -> Any:
    timm = import_library("timm", str(reference))
    architecture, _, tag = reference.name.partition(".")
    if not timm.is_model(architecture) or ":" in architecture:
        raise _unknown(reference, timm.list_models())
    if tag and not timm.is_model_pretrained(reference.name):
        raise _unknown(reference, timm.list_pretrained(f"{architecture}.*"))
    return timm.get_pretrained_cfg(reference.name)


def _torchvision_builder(reference: NetworkReference) -> Any:
    models = import_library("torchvision.models", str(reference))
    known = models.list_models(module=models)
    if reference.name not in known:
        raise _unknown(reference, known)
    return models.get_model_builder(reference.name)


def _torchvision_preprocessing(reference: NetworkReference, arguments: Mapping[str, Any]) -> Preprocessing:
    _torchvision_builder(reference)
    models = import_library("torchvision.models", str(reference))
    weights = models.get_model_weights(reference.name).DEFAULT
    transform = weights.transforms()
    size = arguments.get("image_size", transform.crop_size[0])  # an argument of vision transformers
    # The names of the classes in the metadata are English words, those of ImageNet's folders are WordNet ids.
    return Preprocessing(
        tuple(transform.mean),
        tuple(transform.std),
        (3, size, size),
        reference.name.startswith("vit_"),
        len(weights.meta["categories"]),
    )


def _unknown(reference: NetworkReference, known: list[str]) -> ConfigurationError:
    close = get_close_matches(reference.name, known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return ConfigurationError(f"{reference}: {reference.library} has no network '{reference.name}'{hint}")


def _call(reference: NetworkReference, builder: Any, *arguments: Any, **named: Any) -> nn.Module:
    network: nn.Module = _call_any(reference, builder, *arguments, **named)
    return network


def _call_any(reference: NetworkReference, builder: Any, *arguments: Any, **named: Any) -> Any:
    try:
        return builder(*arguments, **named)
    except ConfigurationError:
        raise
    except Exception as error:  # constructors raise any type for invalid arguments
        raise ConfigurationError(f"{reference}: cannot be built: {one_line(error)[:300]}") from error
