"""``ganmc fit | validate | test | predict``."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
import warnings
from contextlib import ExitStack, suppress

import torch

from ganmc_lightning.cli.callbacks import InterruptHandler
from ganmc_lightning.cli.cuda_check import skip_nvml_without_cuda
from ganmc_lightning.cli.imports import allow_imports, take_imports
from ganmc_lightning.cli.malloc import keep_freed_memory
from ganmc_lightning.cli.training_cli import FinishedRun, RelaunchRequired, TrainingCLI
from ganmc_lightning.exceptions import (
    ConfigurationError,
    ResourceError,
    Terminated,
    one_line,
    resource_message,
    user_message,
)
from ganmc_lightning.networks.allowed import search_current_folder
from ganmc_lightning.runs.lightning_messages import filter_lightning_warnings

RESTORING = {"resume_start", "_restore_modules_and_callbacks", "restore_training_state", "resume_end"}
"""Functions of Lightning that read a checkpoint."""


def run_training(arguments: list[str], command: str) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict``.

    Args:
        arguments: command line without ``ganmc``; the subcommand first.
        command: full command line, ``ganmc ...``, for ``result.json``.

    Returns:
        Exit code: 0, 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        ConfigurationError: invalid arguments, configuration or data, or a file that cannot be written.
        ResourceError: memory, disk or device failed.
    """
    keep_freed_memory()
    skip_nvml_without_cuda()
    handler = InterruptHandler()
    complete = False
    with warnings.catch_warnings(), ExitStack() as locks:
        filter_lightning_warnings()
        try:
            search_current_folder()  # for the modules of the configuration, as if it were a script there
            modules, rest = take_imports(arguments)
            allow_imports(modules)
            TrainingCLI(rest, command, handler, locks)
            complete = True
        except RelaunchRequired:
            return _run_process([sys.executable, "-m", "ganmc_lightning", *arguments])
        except FinishedRun as finished:
            print(finished)
        except Exception as error:
            message = user_message(error) or damaged_checkpoint(error)
            if message is not None:
                raise ConfigurationError(message + handler.failure_hint) from error
            message = resource_message(error)
            if message is None:
                raise
            raise ResourceError(message + handler.failure_hint) from error
        except SystemExit:
            if handler.exit_code is None:
                raise
            if handler.message:
                print(f"ganmc {arguments[0]}: {handler.message}", file=sys.stderr)
            return handler.exit_code
        finally:
            finish_wandb(complete)
    return 0


def damaged_checkpoint(error: Exception) -> str | None:
    """Return a message for an exception that Lightning raised while restoring a checkpoint; None for any other."""
    functions = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or not functions & RESTORING:
        return None
    return f"--ckpt_path: the checkpoint lacks a part or is damaged ({type(error).__name__}: {one_line(error)})"


def _run_process(command: list[str]) -> int:
    """Run a command in a new process, wait for it and return its exit code."""
    environment = dict(os.environ)
    if environment.get("SLURM_NTASKS") == "1":  # Lightning would expect one task per device instead of starting them
        environment = {name: value for name, value in environment.items() if not name.startswith("SLURM_")}
    with subprocess.Popen(command, env=environment) as process:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(timeout=1)  # without a timeout, a signal just before the wait is missed
        except (KeyboardInterrupt, Terminated):
            process.terminate()  # saves a checkpoint; the terminal has already sent Ctrl-C to the process
            process.wait()
            raise


def finish_wandb(complete: bool) -> None:
    """End the current W&B run as finished or failed, so that the next command in this process starts a new one."""
    wandb = sys.modules.get("wandb")  # not imported here, because the import takes a second
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=0 if complete else 1)
