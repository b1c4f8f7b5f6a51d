"""``--import MODULE``: the modules whose networks a checkpoint may name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ganmc_lightning.exceptions import ConfigurationError

OPTION = "--import"
HELP = "let checkpoints name the networks of this module, which you trust; may be given several times"


def add_import_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the argument; its values are ``imports``."""
    parser.add_argument(OPTION, dest="imports", action="append", default=[], metavar="MODULE", help=HELP)


def take_imports(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take ``--import`` out of a command line that another parser reads.

    Returns:
        The modules, and the rest of the command line in its order.
    """
    parser = argparse.ArgumentParser("ganmc", add_help=False, allow_abbrev=False)
    add_import_argument(parser)
    parsed, rest = parser.parse_known_args(arguments)
    return parsed.imports, rest


def import_words(modules: Sequence[str]) -> list[str]:
    """Spell the argument for another command line."""
    return [word for module in modules for word in (OPTION, module)]


def allow_imports(modules: Sequence[str]) -> None:
    """Import modules and let checkpoints name their networks.

    Raises:
        ConfigurationError: one of them cannot be imported.
    """
    if modules:
        from ganmc_lightning.networks.allowed import allow_import  # waits for PyTorch

        for module in modules:
            try:
                allow_import(module)
            except ConfigurationError as error:
                raise ConfigurationError(f"{OPTION}: {error}") from error
