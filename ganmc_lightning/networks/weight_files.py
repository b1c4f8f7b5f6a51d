"""Read files with weights of networks: state dicts of PyTorch, plain or nested, and safetensors."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.archives import check_archive, is_archive
from ganmc_lightning.io.format_version import check_format_version
from ganmc_lightning.io.input_files import check_regular_file
from ganmc_lightning.networks.checkpoints import is_own_checkpoint, relevant_line

STATE_KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "state_dict_ema", "ema")
"""Usual keys of a state dict in a training checkpoint; the first that exists is used."""

FileFormat = Literal["safetensors", "exported", "torchscript", "torch"]


def file_format(path: str) -> FileFormat:
    """Return the format of a file by its contents, whatever its suffix.

    Returns:
        ``"safetensors"``, ``"exported"`` (``torch.export``), ``"torchscript"``, or ``"torch"`` for any other file.

    Raises:
        ConfigurationError: the file does not exist.
    """
    check_regular_file(path, "checkpoint not found")
    if is_archive(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except Exception:  # zipfile raises many types on a damaged directory, which check_archive reports
            return "torch"
        if any(name.endswith("archive_format") or name.endswith("serialized_exported_program.json") for name in names):
            return "exported"
        return "torchscript" if any(name.endswith("/constants.pkl") for name in names) else "torch"
    with Path(path).open("rb") as file:
        header = file.read(9)
    # The header of safetensors: its length in 8 bytes, then a JSON object.
    return "safetensors" if header[8:] == b"{" and int.from_bytes(header[:8], "little") < 100_000_000 else "torch"


def read_weights(path: str, trust: bool = False) -> Any:
    """Read a file of PyTorch or safetensors onto the CPU.

    Args:
        path: the file.
        trust: whether pickled objects may be loaded, which runs code from the file (default: False).

    Returns:
        The contents: a mapping of names to tensors, a checkpoint that contains one, or with ``trust`` any object.

    Raises:
        ConfigurationError: the file is missing, damaged, a checkpoint of a newer release of this package, or contains
            pickled objects and is not trusted.
    """
    kind = file_format(path)
    if kind == "safetensors":
        try:
            return load_file(path)
        except Exception as error:  # SafetensorError is a plain Exception
            raise ConfigurationError(f"{path}: cannot be read as safetensors: {relevant_line(error)}") from error
    if kind == "torchscript":
        raise ConfigurationError(
            f"{path}: contains a TorchScript network, expected a state_dict, .safetensors or .pt2; save it with "
            "torch.export.save"
        )
    check_archive(path)
    try:
        with Path(path).open("rb") as file:  # a path named .safetensors would be read as such
            content = torch.load(file, map_location="cpu", weights_only=not trust)
    except Exception as error:  # the unpickler raises arbitrary exceptions on invalid data
        if not trust and "Unsupported global" in str(error):
            name = str(error).partition("GLOBAL ")[2].split(" ", 1)[0]
            raise ConfigurationError(
                f"{path}: contains a pickled object ({name or 'unknown'}), which runs code when it is loaded; save "
                "only the weights, torch.save(network.state_dict(), path), or if you trust the file, set trust: true "
                "(ganmc compress: --trust)"
            ) from error
        raise ConfigurationError(f"{path}: cannot be read as a checkpoint: {relevant_line(error)}") from error
    if is_own_checkpoint(content):
        check_format_version(content, path)
    return content


def read_metadata(path: str) -> dict[str, str]:
    """Return the metadata of a safetensors file, text by name; empty for files of other formats.

    Raises:
        ConfigurationError: the file is missing or damaged.
    """
    if file_format(path) != "safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except Exception as error:  # SafetensorError is a plain Exception
        raise ConfigurationError(f"{path}: cannot be read as safetensors: {relevant_line(error)}") from error


def find_state_dict(content: Any, path: str) -> dict[str, Tensor]:
    """Return the state dict in the contents of a file.

    Args:
        content: mapping of names to tensors, or a mapping that contains one under one of :data:`STATE_KEYS`.
        path: the file, for error messages.

    Raises:
        ConfigurationError: there is no state dict.

    Example:
        >>> find_state_dict({"epoch": 3, "model_state_dict": {"weight": torch.ones(1)}}, "demo.pt")
        {'weight': tensor([1.])}
    """
    if isinstance(content, nn.Module):
        return dict(content.state_dict())
    nested = [content[key] for key in STATE_KEYS if isinstance(content, Mapping) and key in content]
    for found in [content, *nested]:
        if isinstance(found, nn.Module):
            return dict(found.state_dict())
        if isinstance(found, Mapping) and found and all(_is_entry(*item) for item in found.items()):
            return {name: value for name, value in found.items() if isinstance(value, Tensor)}
    keys = f" with the keys {', '.join(map(str, list(content)[:8]))}" if isinstance(content, Mapping) else ""
    raise ConfigurationError(
        f"{path}: got a {type(content).__name__}{keys}, expected a state_dict, or a mapping that contains one as "
        f"{', '.join(STATE_KEYS[:-1])} or {STATE_KEYS[-1]}"
    )


def _is_entry(name: object, value: object) -> bool:
    return isinstance(name, str) and (isinstance(value, Tensor) or name.endswith("_extra_state"))
