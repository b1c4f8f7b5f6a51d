"""``--import MODULE``: trusted modules and files with networks that configurations and checkpoints may refer to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ganmc_lightning.exceptions import ConfigurationError

OPTION = "--import"
HELP = "trusted module, or file my_models.py, with networks of configurations and checkpoints; repeatable"


def add_import_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option to a parser; the namespace attribute is ``imports``."""
    parser.add_argument(OPTION, dest="imports", action="append", default=[], metavar="MODULE", help=HELP)


def take_imports(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Remove ``--import`` options from a command line for another parser.

    Returns:
        The modules, and the remaining arguments in their order.
    """
    parser = argparse.ArgumentParser("ganmc", add_help=False, allow_abbrev=False)
    add_import_argument(parser)
    parsed, rest = parser.parse_known_args(arguments)
    return parsed.imports, rest


def import_words(modules: Sequence[str]) -> list[str]:
    """Return the ``--import`` options for another command line."""
    return [word for module in modules for word in (OPTION, module)]


def allow_imports(modules: Sequence[str]) -> None:
    """Import modules and allow checkpoints to load their networks.

    Raises:
        ConfigurationError: a module cannot be imported.
    """
    if modules:
        from ganmc_lightning.networks.allowed import allow_import  # imports PyTorch

        for module in modules:
            try:
                allow_import(module)
            except ConfigurationError as error:
                raise ConfigurationError(f"{OPTION}: {error}") from error
