"""``ganmc fit | validate | test | predict``."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from contextlib import suppress

from ganmc_lightning.cli.callbacks import InterruptHandler
from ganmc_lightning.cli.imports import allow_imports, take_imports
from ganmc_lightning.cli.training_cli import RelaunchRequired, TrainingCLI
from ganmc_lightning.exceptions import ConfigurationError, Terminated, user_message


def run_training(arguments: list[str], command: str) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict``.

    Args:
        arguments: command line without ``ganmc``; the subcommand first.
        command: full command line, ``ganmc ...``, for ``result.json``.

    Returns:
        The exit status: 0, 2 for a bad configuration, 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        ConfigurationError: something the user gave cannot be used.
    """
    interruption = InterruptHandler()
    with warnings.catch_warnings():
        filter_lightning_warnings()
        try:
            modules, rest = take_imports(arguments)
            allow_imports(modules)
            TrainingCLI(rest, command, interruption)
        except RelaunchRequired:
            return _run_process([sys.executable, "-m", "ganmc_lightning", *arguments])
        except Exception as error:
            message = user_message(error)
            if message is None:
                raise
            raise ConfigurationError(message) from error
        except SystemExit:
            if interruption.status is None:
                raise
            if interruption.message:
                print(f"ganmc {arguments[0]}: {interruption.message}", file=sys.stderr)
            return interruption.status
        finally:
            finish_wandb()
    return 0


def _run_process(command: list[str]) -> int:
    """Run a command in a process of its own, which ends before this function does.

    Returns:
        Its exit status.
    """
    with subprocess.Popen(command) as process:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(timeout=1)  # a signal just before a wait without end would not be seen
        except (KeyboardInterrupt, Terminated):
            process.terminate()  # it saves its checkpoint; after Ctrl-C at a terminal it does so already
            process.wait()
            raise


def finish_wandb() -> None:
    """End a W&B run, so that the next command line of this process starts one of its own."""
    wandb = sys.modules.get("wandb")  # not imported for the sake of ending what never began
    if wandb is not None and wandb.run is not None:
        wandb.finish()


def filter_lightning_warnings() -> None:
    """Keep Lightning's advertisements, and warnings about what is meant to be, out of the user's sight."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*smaller than the logging interval.*",  # means are logged once an epoch whatever the interval
        ".*it is recommended to use `Trainer\\(devices=1.*",  # our shards hand out each sample exactly once
        ".*in eval mode at the start of training.*",  # the frozen teacher
        ".*Checkpoint directory .* exists and is not empty.*",  # of the run that goes on
        ".*The dirpath has changed.*",  # a run from another's checkpoint has a best epoch of its own
        ".*Using ModelCheckpoint with manual optimization.*",  # weights behind the step are the wanted ones
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # Lightning 2.6 beside torch 2.11 and later
    ):
        warnings.filterwarnings("ignore", message)
