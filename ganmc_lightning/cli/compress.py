"""``ganmc compress``: compress an image classifier, or a fitted tabular model."""

from __future__ import annotations

import argparse

from ganmc_lightning.cli.compress_arguments import is_table


def run(arguments: argparse.Namespace) -> int:
    """Compress an image classifier or a tabular model, write the folder and print a summary.

    Raises:
        ConfigurationError: an argument, a file or the data are invalid.
    """
    if is_table(arguments):
        from ganmc_lightning.cli.compress_table import run_table

        return run_table(arguments)
    from ganmc_lightning.cli.compress_images import run_images

    return run_images(arguments)
