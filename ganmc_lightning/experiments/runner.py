"""Execute one planned run: reuse it if finished, resume it if interrupted, archive an outdated folder."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED, ConfigurationError, Terminated
from ganmc_lightning.experiments.environment import describe_environment
from ganmc_lightning.experiments.fingerprint import SOURCE, Fingerprint, hash_paths
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.results import read_result
from ganmc_lightning.experiments.run_state import FINISHED, FITTED, STARTED, RunState, read_run_state
from ganmc_lightning.io.format_version import FORMAT_KEY, FORMAT_VERSION
from ganmc_lightning.io.structured import write_json, write_yaml
from ganmc_lightning.runs.folder import RunFolder

RunCommand = Callable[[list[str]], int]
"""Function that runs a ``ganmc`` command line in this process and returns its exit code."""


class DataChangedError(ConfigurationError):
    """A data file was replaced or truncated while an experiment ran."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run.

    Attributes:
        code: 0 for success, else the exit code of the command that failed; 130 after Ctrl-C, 143 after SIGTERM.
        error: cause of a failure other than an exit code of a command.
        reused: whether the run was already finished.
        skipped: failed runs that this run depends on, so that it was not started.
    """

    code: int = 0
    error: str = ""
    reused: bool = False
    skipped: tuple[str, ...] = ()

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or SIGTERM ended the run."""
        return self.code in (INTERRUPTED, TERMINATED)


def is_complete(run: PlannedRun) -> bool:
    """Return whether the run folder contains a finished run; call :func:`archive_outdated` before."""
    state = read_run_state(run.folder.state)
    return state is not None and state.status == FINISHED and run.folder.result.is_file()


def has_usable_result(run: PlannedRun, accept_older_code: bool = False) -> bool:
    """Return whether the run folder contains a finished run with an equal fingerprint and a valid result.

    Args:
        run: a planned run.
        accept_older_code: whether the package source may differ (default: False).
    """
    state = read_run_state(run.folder.state)
    if state is None or not is_complete(run):
        return False
    try:
        read_result(run)
    except ConfigurationError:
        return False
    return run.fingerprint.differences(state.fingerprint, run.stage) in ([], [SOURCE] if accept_older_code else [])


def archive_outdated(run: PlannedRun, accept_older_code: bool = False) -> list[str]:
    """Rename a run folder with another fingerprint, and restore an archived folder with an equal fingerprint.

    Nothing is deleted, and alternating between two settings repeats no training.

    Args:
        run: a planned run.
        accept_older_code: keep or restore a finished run if only the package source differs.

    Returns:
        Differences such as ``["package source", "data digits.npz"]`` if a result cannot be reused, else an empty list.
    """
    current = run.folder.path
    archived = sorted(current.parent.glob(f"{current.name}.*"), key=lambda path: path.stat().st_mtime, reverse=True)
    states = {
        path: state for path in [current, *archived] if (state := read_run_state(RunFolder(path).state)) is not None
    }
    differences = {path: run.fingerprint.differences(state.fingerprint, run.stage) for path, state in states.items()}
    usable = [path for path, changed in differences.items() if not changed]
    if accept_older_code:
        usable += [path for path, d in differences.items() if d == [SOURCE] and states[path].status == FINISHED]
    if usable[:1] == [current]:
        _add_new_data(run, states[current])
        return []
    reasons = []
    if current.exists():
        state = states.get(current)
        current.rename(_unique_path(current, state.fingerprint.digest[:8] if state else "old"))
        reasons = differences.get(current, [f"{run.folder.state.name} is missing or invalid"])
    if usable:
        usable[0].rename(current)
        return []
    return reasons


def execute(run: PlannedRun, run_command: RunCommand) -> Outcome:
    """Train and test one run, or resume it.

    Args:
        run: a run that is not complete.
        run_command: entry point of the command line.
    """
    try:
        return Outcome(_execute(run, run_command))
    except KeyboardInterrupt:
        return Outcome(INTERRUPTED)
    except Terminated:
        return Outcome(TERMINATED)
    except DataChangedError as error:
        return Outcome(1, str(error))
    except ConfigurationError as error:
        return Outcome(1, f"no usable result: {error}")
    except Exception:  # an exception in one stage must not end the others
        traceback.print_exc()
        return Outcome(1)


def _execute(run: PlannedRun, run_command: RunCommand) -> int:
    state = read_run_state(run.folder.state)
    fitted = state is not None and state.status == FITTED and run.folder.result.is_file()
    fingerprint = _check_data(run)
    if not fitted:
        _write_state(run, RunState(fingerprint, STARTED))
        for path, content in run.configs.items():
            write_yaml(path, content)
        code = run_command(_resuming_command(run) if state is not None else list(run.command))
        if code:
            return code
        read_result(run)
        fingerprint = _check_data(run)  # including a data set that the run itself downloaded
        _write_state(run, RunState(fingerprint, FITTED))
    if run.test is not None:
        code = run_command(list(run.test))
        if code:
            return code
    environment = describe_environment(read_result(run).device)
    _write_state(run, RunState(_check_data(run), FINISHED, environment))
    return 0


def _check_data(run: PlannedRun) -> Fingerprint:
    """Return the fingerprint of a run with the hashes of its data files as they are now.

    Raises:
        DataChangedError: a file differs from the plan, or from the one that a run in ``needs`` was trained on.
    """
    data = hash_paths(run.find_data())
    states = {folder.path: read_run_state(folder.state) for folder in run.need_folders}
    known = {f"{path} was trained": state.fingerprint for path, state in states.items() if state is not None}
    for since, fingerprint in {"this command started": run.fingerprint, **known}.items():
        for name in fingerprint.changed_data(data):
            raise DataChangedError(f"data {name} changed since {since}; run the same command to repeat what used it")
    return replace(run.fingerprint, data={**run.fingerprint.data, **data})


def _resuming_command(run: PlannedRun) -> list[str]:
    last = run.folder.last_checkpoint
    return [*run.command, *(["--ckpt_path", str(last)] if last.is_file() else [])]


def _unique_path(folder: Path, suffix: str) -> Path:
    name, count = folder.with_name(f"{folder.name}.{suffix}"), 1
    while name.exists():
        count += 1
        name = folder.with_name(f"{folder.name}.{suffix}-{count}")
    return name


def _add_new_data(run: PlannedRun, state: RunState) -> None:
    """Record the hash of a data set that the run itself downloaded."""
    if run.fingerprint.data.keys() - state.fingerprint.data.keys():
        data = {**run.fingerprint.data, **state.fingerprint.data}
        _write_state(run, replace(state, fingerprint=replace(state.fingerprint, data=data)))


def _write_state(run: PlannedRun, state: RunState) -> None:
    content = {FORMAT_KEY: FORMAT_VERSION, "stage": run.stage, "seed": run.seed, **asdict(state)}
    write_json(run.folder.state, content)


def describe_failure(run: PlannedRun, outcome: Outcome) -> str:
    """Return a one-line description of the failed run and of how to continue."""
    where = f"stage '{run.stage}', seed {run.seed} ({run.folder.path})"
    if outcome.interrupted:
        return f"interrupted in {where}; run the same command to continue"
    if outcome.skipped:
        return f"{where} skipped: it needs {', '.join(outcome.skipped)}"
    if outcome.error:
        return f"{where} failed: {outcome.error}{_last_checkpoint(run)}"
    hint = "fix the cause and run the same command to continue"
    return f"{where} failed with exit code {outcome.code}; {hint}{_last_checkpoint(run)}"


def _last_checkpoint(run: PlannedRun) -> str:
    return f"; last checkpoint: {run.folder.last_checkpoint}" if run.folder.last_checkpoint.is_file() else ""
