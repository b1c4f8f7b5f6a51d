"""Making the runs of a plan: skip what is finished, resume what was cut off, keep what is in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED, ConfigurationError, Terminated
from ganmc_lightning.experiments.environment import Environment, describe_environment
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.results import read_result
from ganmc_lightning.io.structured import read_json, write_json, write_yaml

RunCommand = Callable[[list[str]], int]
"""Runs one ``ganmc`` command line in this process and returns its exit code."""

STARTED, FITTED, FINISHED = "started", "fitted", "finished"


@dataclass(frozen=True)
class Record:
    """The runner's own note in a run folder, ``stage.json``.

    Attributes:
        key: what the run was made from, see :class:`PlannedRun`.
        state: how far it got.
        environment: where it was finished.
    """

    key: str
    state: str
    environment: Environment | None


def read_run_state(folder: Path) -> Record | None:
    """Read a run folder's record; None when it has none that can be used."""
    content = read_json(folder / "stage.json")
    if content is None:
        return None
    key, state, environment = content.get("key"), content.get("state"), content.get("environment")
    if not isinstance(key, str) or not isinstance(state, str):
        return None
    return Record(key, state, environment if isinstance(environment, dict) else None)


def prepare(run: PlannedRun) -> bool:
    """Make room for a run and tell whether this very run, from the same settings, is there and complete."""
    archive_outdated(run)
    record = read_run_state(run.folder)
    return record is not None and record.state == FINISHED and (run.folder / "result.json").is_file()


def make_run(run: PlannedRun, run_command: RunCommand) -> int:
    """Train and test one stage, from wherever an earlier attempt left it.

    Args:
        run: what to make, after :func:`prepare` found it incomplete.
        run_command: the command line's entry.

    Returns:
        The exit code of the command that failed, 130 after Ctrl-C, 143 after SIGTERM, else 0.

    Raises:
        ConfigurationError: the commands succeeded and left no usable ``result.json``.
    """
    record = read_run_state(run.folder)
    try:
        fitted = record is not None and record.state == FITTED and (run.folder / "result.json").is_file()
        if not fitted:
            _write_record(run, STARTED)
            for path, content in run.configs.items():
                write_yaml(path, content)
            code = run_command(_arguments(run, resume=record is not None))
            if code:
                return code
            read_result(run)
            _write_record(run, FITTED)
        if run.test is not None:
            code = run_command(list(run.test))
            if code:
                return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Terminated:
        return TERMINATED
    _write_record(run, FINISHED, describe_environment(read_result(run).device))
    return 0


def archive_outdated(run: PlannedRun) -> None:
    """Move a folder made from other settings aside, and bring back one set aside that is this very run.

    So nothing is ever lost, and going back and forth between two settings costs no training.
    """
    record = read_run_state(run.folder)
    if run.folder.exists() and (record is None or record.key != run.key):
        run.folder.rename(_unique_path(run.folder, record.key[:8] if record else "old"))
    if not run.folder.exists():
        aside = [
            folder
            for folder in sorted(run.folder.parent.glob(f"{run.folder.name}.{run.key[:8]}*"))
            if (kept := read_run_state(folder)) is not None and kept.key == run.key
        ]
        if aside:
            aside[0].rename(run.folder)


def _unique_path(folder: Path, mark: str) -> Path:
    name, count = folder.with_name(f"{folder.name}.{mark}"), 1
    while name.exists():
        count += 1
        name = folder.with_name(f"{folder.name}.{mark}-{count}")
    return name


def _arguments(run: PlannedRun, resume: bool) -> list[str]:
    arguments = list(run.command)
    if resume and run.last_checkpoint.is_file():
        arguments += ["--ckpt_path", str(run.last_checkpoint)]
    return arguments


def _write_record(run: PlannedRun, state: str, environment: Environment | None = None) -> None:
    content = {"key": run.key, "state": state, "stage": run.stage, "seed": run.seed}
    write_json(run.folder / "stage.json", content | {"environment": environment})


def describe_failure(run: PlannedRun, error: ConfigurationError | int) -> str:
    """Say in one line which stage failed, where it lives and what to do."""
    where = f"stage '{run.stage}', seed {run.seed} ({run.folder})"
    if error in (INTERRUPTED, TERMINATED):
        return f"interrupted in {where}; the same command continues there"
    if isinstance(error, ConfigurationError):
        return f"{where} left no usable result: {error}"
    return f"{where} failed with exit code {error}; fix it and run the same command to continue"
