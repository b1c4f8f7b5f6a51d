"""Read YAML configuration files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.yaml_text import load_yaml

SUFFIXES = (".yaml", ".yml")


def load_yaml_mapping(path: Path) -> Mapping[str, Any]:
    """Read a YAML file that contains a mapping.

    Raises:
        ConfigurationError: the file is missing or contains something else.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot read file ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: invalid YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{path}: got {type(content).__name__}, expected a configuration (mapping)")
    return content
