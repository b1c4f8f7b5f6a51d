"""Validation of configuration files before PyTorch is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.input_files import read_text
from ganmc_lightning.io.yaml_text import check_yaml


def check_config_files(arguments: Sequence[str]) -> None:
    """Validate that the files of ``--config`` exist and are YAML.

    The parser of the command validates their keys and values; its import takes seconds.

    Args:
        arguments: command line without ``ganmc`` and the subcommand.

    Raises:
        ConfigurationError: a file does not exist, is not readable or is not YAML.
    """
    for path in config_paths(arguments):
        _check_file(path)


def config_paths(arguments: Sequence[str]) -> list[Path]:
    """Return the values of ``--config``, which are files, or YAML instead of a path.

    Args:
        arguments: command line without ``ganmc`` and the subcommand.
    """
    parser = argparse.ArgumentParser("ganmc", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--config", action="append", default=[], type=Path)
    try:
        parsed, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:  # no value: the parser of the command reports it
        return []
    paths: list[Path] = parsed.config
    return paths


def _check_file(path: Path) -> None:
    text = str(path)
    try:
        check_yaml(read_text(path))
    except ConfigurationError as error:
        if _exists(path) or not any(character in text for character in "{:"):  # else YAML instead of a path
            raise ConfigurationError(f"--config {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{text}: {one_line(error)}") from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # YAML that is too long for a file name
        return False
