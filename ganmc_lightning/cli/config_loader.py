"""YAML loader of the command-line parser, for configuration files and values."""

from __future__ import annotations

from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

from ganmc_lightning.cli.factories import expand_factories
from ganmc_lightning.io.yaml_text import LimitError, check_yaml

_load = get_loader("yaml")


def limit_yaml() -> None:
    """Configure jsonargparse to reject documents that exceed the limits of :func:`~.yaml_text.check_yaml`."""
    set_loader("yaml", _load_limited, (yaml.YAMLError,))


def _load_limited(text: str) -> Any:
    check_yaml(text)
    try:
        value = _load(text)
    except yaml.YAMLError:
        raise
    except Exception as error:  # a value that PyYAML cannot convert, such as an integer of 5000 digits
        raise LimitError(f"a value cannot be read: {error}") from error
    return expand_factories(value)
