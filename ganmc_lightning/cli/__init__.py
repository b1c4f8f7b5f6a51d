"""Entry point of the ``ganmc`` command; arguments are validated before the subcommand is imported."""

from __future__ import annotations

import argparse
import atexit
import gc
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module

from ganmc_lightning import __version__
from ganmc_lightning.cli.config_files import check_config_files
from ganmc_lightning.cli.imports import add_import_argument, allow_imports
from ganmc_lightning.exceptions import (
    INTERRUPTED,
    TERMINATED,
    ConfigurationError,
    DivergenceError,
    ExportError,
    Terminated,
)
from ganmc_lightning.runs.signals import sigterm_raises

TRAINING = {
    "fit": "train a classifier, a GAN or a student:  ganmc fit --config FILE",
    "validate": "evaluate a run on the validation set",
    "test": "evaluate a run on the test set and add the metrics to result.json",
    "predict": "run inference on the test set and save the predictions",
}
COMMANDS = {
    "compress": "compress a fitted model of a table:  ganmc compress forest.skops train.csv --target y --out small/",
    "forest": "distill a random forest into a single tree and compare with baselines:  ganmc forest --config FILE",
    "tabular-study": "compare students, label sources and synthesizers on one table",
    "reproduce": "run the stages of an experiment and write its report:  ganmc reproduce digits",
    "evaluate": "evaluate generated samples against real ones: FID, precision, recall, ...",
    "export": "write a trained network as ONNX, torch.export, safetensors or int8 file, verified and timed",
    "sample": "generate samples from a checkpoint of a generator",
    "profile": "profile generators (parameters, FLOPs, size, throughput) and plot their samples for the same latents",
}
LIGHT = {"reproduce"}
"""Commands that import PyTorch only if and when a stage requires it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name (default: those of the process).

    Returns:
        Exit code: 0 on success, 1 if training diverged or an exported file differs from its network, 2 for invalid
        arguments or configuration (one line on stderr), 130 after Ctrl-C, 143 after SIGTERM. Any other exception is
        raised.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = shlex.join(["ganmc", *arguments])
    try:
        with sigterm_raises():
            if arguments and arguments[0] in TRAINING:
                check_config_files(arguments[1:])
                with _imports():
                    from ganmc_lightning.cli.training import run_training
                return run_training(arguments, command)
            if arguments and arguments[0] == "forest":
                check_config_files(arguments[1:])
                with _imports():
                    from ganmc_lightning.cli.forest import run_forest
                return run_forest(arguments, command)
            if arguments and arguments[0] == "tabular-study":
                with _imports():
                    from ganmc_lightning.cli.tabular_study import run_tabular_study
                return run_tabular_study(arguments, command)
            return _run_command(arguments, command)
    except ConfigurationError as error:
        print(f"ganmc: {error}", file=sys.stderr)
        return 2
    except (DivergenceError, ExportError) as error:
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


def _run_command(arguments: list[str], command: str) -> int:
    parser = argparse.ArgumentParser(
        "ganmc",
        description="Compress models with GAN-generated training data.",
        epilog="ganmc COMMAND --help lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"ganmc {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in TRAINING.items():
        commands.add_parser(name, help=text, add_help=False)
    for name, text in COMMANDS.items():
        subparser = commands.add_parser(name, help=text, description=text)
        if arguments and arguments[0] == name:
            import_module(f"ganmc_lightning.cli.{name}_arguments").add_arguments(subparser)
            add_import_argument(subparser)
    parsed = parser.parse_args(arguments)
    parsed.command = command
    import_module(f"ganmc_lightning.cli.{arguments[0]}_arguments").validate_arguments(parsed)
    with nullcontext() if arguments[0] in LIGHT else _imports():
        module = import_module(f"ganmc_lightning.cli.{arguments[0]}")
    allow_imports(parsed.imports)
    status: int = module.run(parsed)
    return status


@contextmanager
def _imports() -> Iterator[None]:
    """Announce the imports of PyTorch and Lightning on a terminal, and speed them up.

    Without garbage collection the imports are about 15 % faster. Afterwards, their objects are excluded from it,
    because each full collection would traverse half a million of them.
    """
    if "torch" in sys.modules:
        yield
        return
    if sys.stderr.isatty():  # not in log files, where errors are one line
        print("ganmc: loading PyTorch and Lightning ...", file=sys.stderr, flush=True)
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # nanobind reports objects that the last collection cannot free
        if collecting:
            gc.enable()
