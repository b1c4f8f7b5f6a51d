"""``ganmc``: one command, one line of help a verb. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from ganmc_lightning import __version__
from ganmc_lightning.cli.imports import add_import_argument, allow_imports
from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED, ConfigurationError, DivergenceError, Terminated
from ganmc_lightning.runs.signals import sigterm_raises

TRAINING = {
    "fit": "train a classifier, an AC-GAN or a student:  ganmc fit --config FILE",
    "validate": "score a run on the validation part",
    "test": "score a run on the test samples",
    "predict": "write what a run's network makes of the test samples",
}
COMMANDS = {
    "forest": "compress a random forest into a tree, with rivals:  ganmc forest --config FILE",
    "reproduce": "run a chain of stages and write its report:  ganmc reproduce digits",
    "evaluate": "score samples beside real ones: FID, precision, Compression Score, ...",
    "sample": "draw samples from a generator's checkpoint",
    "profile": "what generators cost, and what they make of the same noise",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; those of the process when left out.

    Returns:
        0 when done, 1 where training diverged and 2 for bad usage or configuration (one line on stderr), 130 after
        Ctrl-C, 143 after SIGTERM. A failure while running raises, which the shell sees as 1.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = shlex.join(["ganmc", *arguments])
    try:
        with sigterm_raises():
            if arguments and arguments[0] in TRAINING:
                with _imports():
                    from ganmc_lightning.cli.training import run_training
                return run_training(arguments, command)
            if arguments and arguments[0] == "forest":
                with _imports():
                    from ganmc_lightning.cli.forest import run_forest
                return run_forest(arguments, command)
            return _run_command(arguments, command)
    except ConfigurationError as error:
        print(f"ganmc: {error}", file=sys.stderr)
        return 2
    except DivergenceError as error:
        print(f"ganmc: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ganmc: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Terminated:
        print("ganmc: interrupted by SIGTERM", file=sys.stderr)
        return TERMINATED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def _run_command(arguments: list[str], command_line: str) -> int:
    parser = argparse.ArgumentParser(
        "ganmc",
        description="Compress models with the help of GANs.",
        epilog="ganmc COMMAND --help says more.",
    )
    parser.add_argument("--version", action="version", version=f"ganmc {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in TRAINING.items():
        commands.add_parser(name, help=text, add_help=False)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if arguments and arguments[0] == name:
            with _imports():
                module = import_module(f"ganmc_lightning.cli.{name}")
            module.add_arguments(command)
            add_import_argument(command)
            command.set_defaults(run=module.run, command=command_line)
    parsed = parser.parse_args(arguments)
    allow_imports(parsed.imports)
    status: int = parsed.run(parsed)
    return status


@contextmanager
def _imports() -> Iterator[None]:
    """Import PyTorch and Lightning in a seventh less time: they make hardly any garbage, so none is sought."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
