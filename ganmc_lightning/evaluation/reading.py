"""Reading the configuration files that a score may be asked about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.yaml_text import load_yaml

SUFFIXES = (".yaml", ".yml")


def read_config(path: Path) -> Mapping[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        ConfigurationError: it is missing or holds anything else.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}): name another file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is no YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{path}: holds no configuration, but {type(content).__name__}")
    return content
