"""Entry point of the ``ganmc`` command; arguments are validated before the subcommand is imported."""

from __future__ import annotations

import atexit
import gc
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from importlib import import_module

from ganmc_lightning import __version__
from ganmc_lightning.cli.config_files import check_config_files
from ganmc_lightning.cli.config_keys import check_config_keys
from ganmc_lightning.cli.deferred_imports import defer_imports
from ganmc_lightning.cli.help_pages import PAGES, help_page
from ganmc_lightning.cli.imports import add_import_argument, allow_imports
from ganmc_lightning.cli.parser import CommandParser, HelpFormatter, ShortHelpFormatter, format_epilog, take_help
from ganmc_lightning.exceptions import (
    INTERRUPTED,
    TERMINATED,
    ConfigurationError,
    DivergenceError,
    ExportError,
    ResourceError,
    Terminated,
    path_message,
    printable,
    resource_message,
)
from ganmc_lightning.io.folder_lock import lock_folder
from ganmc_lightning.runs.signals import sigterm_raises

TRAINING = {
    "fit": "train a classifier, a GAN or a student",
    "validate": "evaluate a run on the validation set",
    "test": "evaluate a run on the test set and add the metrics to result.json",
    "predict": "run inference on the test set and save the predictions",
}
COMMANDS = {
    "compress": "distill an image classifier into a smaller one, or a tabular model into a small one",
    "reproduce": "run the stages of an experiment and write its report",
    "forest": "distill a random forest into small tabular models and compare with baselines",
    "tabular-study": "compare students, label sources and synthesizers on one table",
    "evaluate": "evaluate generated samples against real ones: FID, precision, recall and others",
    "export": "write a trained network as ONNX, torch.export, safetensors or int8 file, verified and timed",
    "card": "compare a trained student with its teacher on one page",
    "sample": "generate samples from a checkpoint of a generator",
    "profile": "profile generators (parameters, FLOPs, size, throughput) and plot their samples for the same latents",
}
EXAMPLES = {
    "compress": (
        "ganmc compress photos/ --teacher timm:resnet18:weights.pt --out small/",
        "ganmc compress forest.skops train.csv --target y --out small/",
    ),
    "reproduce": ("ganmc reproduce --list", "ganmc reproduce digits"),
    "evaluate": ("ganmc evaluate samples.npz --data digits",),
    "export": ("ganmc export runs/digits/mixed_02/seed0 --format onnx,int8 --out small/",),
    "card": ("ganmc card runs/digits/real_only/seed0",),
    "sample": ("ganmc sample runs/digits/acgan/seed0/checkpoints/best.ckpt --out digits.png",),
    "profile": ("ganmc profile teacher=gan.ckpt student=small.ckpt --out profile/",),
}
"""Command lines at the end of the help pages; those of the other commands are in ``help_pages``."""
OUTPUT_FOLDERS = {"card", "compress", "evaluate", "export", "profile"}
"""Commands whose ``--out`` is a folder; the others lock their folders themselves, and ``sample`` writes one file."""
LIGHT = {"reproduce"}
"""Commands that import PyTorch only if and when a stage requires it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name (default: those of the process).

    Returns:
        Exit code: 0 on success; 1 if training diverged, an exported file differs from its network, or memory, disk or
        device failed; 2 for invalid arguments or configuration, or a path that cannot be accessed (one line on stderr);
        130 after Ctrl-C; 143 after SIGTERM. Any other exception is raised.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = shlex.join(["ganmc", *arguments])
    try:
        with sigterm_raises():
            _check_command(arguments)
            arguments, shows_help, full = take_help(arguments)
            if shows_help and not full and arguments[0] in PAGES:
                print(help_page(arguments[0]), end="")
                return 0
            if arguments and arguments[0] in TRAINING:
                check_config_files(arguments[1:])
                if not shows_help:
                    check_config_keys(arguments)
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
            return _run_command(arguments, command, full)
    except ConfigurationError as error:
        print(f"ganmc: {printable(str(error))}", file=sys.stderr)
        return 2
    except (DivergenceError, ExportError, ResourceError) as error:
        print(f"ganmc: {printable(str(error))}", file=sys.stderr)
        return 1
    except Exception as error:
        failure = resource_message(error)  # first, because cleanup after it may fail to access a path
        message = failure or path_message(error)
        if message is None:
            raise
        print(f"ganmc: {printable(message)}", file=sys.stderr)
        return 1 if failure else 2
    except KeyboardInterrupt:
        print("ganmc: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Terminated:
        print("ganmc: interrupted by SIGTERM", file=sys.stderr)
        return TERMINATED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def _check_command(arguments: Sequence[str]) -> None:
    names = [*TRAINING, *COMMANDS]
    if arguments and not arguments[0].startswith("-") and arguments[0] not in names:
        close = get_close_matches(arguments[0], names, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"expected one of: {', '.join(names)}"
        raise ConfigurationError(f"unknown command '{arguments[0]}', {hint}")


def _run_command(arguments: list[str], command: str, full_help: bool) -> int:
    style = HelpFormatter if full_help else ShortHelpFormatter
    parser = CommandParser(
        "ganmc",
        description="Compress classifiers, forests and GAN generators by distillation, also with GAN-generated data.",
        epilog=format_epilog(
            [*EXAMPLES["reproduce"], *EXAMPLES["compress"]],
            "`ganmc COMMAND --help` lists the options of a command, `ganmc COMMAND --help full` describes all.",
        ),
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ganmc {__version__}")
    commands = parser.add_subparsers(prog="ganmc", metavar="COMMAND", required=True)
    for name, text in TRAINING.items():
        commands.add_parser(name, help=text, add_help=False)
    used = parser
    for name, text in COMMANDS.items():
        hint = "" if full_help else f"`ganmc {name} --help full` describes the options in full."
        subparser = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=style,
            epilog=format_epilog(EXAMPLES.get(name, ()), hint),
        )
        if arguments and arguments[0] == name:
            used = subparser
            import_module(f"ganmc_lightning.cli.{name}_arguments").add_arguments(subparser)
            add_import_argument(subparser)
    parsed, unknown = parser.parse_known_args(arguments)
    used.refuse_unknown(unknown)
    parsed.command = command
    import_module(f"ganmc_lightning.cli.{arguments[0]}_arguments").validate_arguments(parsed)
    locks = arguments[0] in OUTPUT_FOLDERS and parsed.out is not None
    with lock_folder(parsed.out, "--out") if locks else nullcontext():
        with nullcontext() if arguments[0] in LIGHT else _imports():
            module = import_module(f"ganmc_lightning.cli.{arguments[0]}")
        allow_imports(parsed.imports)
        status: int = module.run(parsed)
    return status


@contextmanager
def _imports() -> Iterator[None]:
    """Announce the imports of PyTorch and Lightning on a terminal, and speed them up.

    Without garbage collection the imports are about 15 % faster. Afterwards, their objects are excluded from it,
    because each full collection would traverse half a million of them. Modules that torchmetrics imports for metrics
    that no command computes are not imported.
    """
    if "torch" in sys.modules:
        yield
        return
    if sys.stderr.isatty():  # not in log files, where errors are one line
        print("ganmc: loading PyTorch and Lightning (first time: up to a minute) ...", file=sys.stderr, flush=True)
    collecting = gc.isenabled()
    gc.disable()
    try:
        with defer_imports():
            yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # nanobind reports objects that the last collection cannot free
        if collecting:
            gc.enable()
