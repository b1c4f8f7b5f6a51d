"""Parser of the training commands."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentError, Namespace
from lightning.pytorch.cli import LightningArgumentParser

from ganmc_lightning.exceptions import ConfigurationError, one_line


class TrainingArgumentParser(LightningArgumentParser):
    """LightningArgumentParser that validates only once, with the configuration file in error messages."""

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Read a configuration file.

        Raises:
            ConfigurationError: the file is not YAML, or a key or value is invalid.
        """
        try:
            config: Namespace = super().parse_path(path, *args, **kwargs)
        except ArgumentError as error:
            raise ConfigurationError(f"{path}: {one_line(error)}") from error
        return config

    def dump(self, namespace: Namespace, *args: Any, skip_validation: bool = True, **kwargs: Any) -> str:
        """Serialize a parsed configuration.

        It is not validated again, which takes longer than all other parsing if there are several networks.
        """
        text: str = super().dump(namespace, *args, skip_validation=skip_validation, **kwargs)
        return text
