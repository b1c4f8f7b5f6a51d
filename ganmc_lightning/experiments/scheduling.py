"""Execute the runs of a plan in the order of their dependencies, sequentially or in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from graphlib import TopologicalSorter
from typing import Protocol

from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED, ConfigurationError, Terminated, one_line
from ganmc_lightning.experiments.executors import InProcessExecutor
from ganmc_lightning.experiments.planning import PlannedRun, RunId
from ganmc_lightning.experiments.runner import Outcome, RunCommand, archive_outdated, execute, is_complete
from ganmc_lightning.experiments.workers import execute_in_worker
from ganmc_lightning.io.folder_lock import wait_for_folder

WAIT_SECONDS = 60.0
"""Longest time that the worker of a killed command takes to save its checkpoint and to end."""


class Progress(Protocol):
    """Interface for the events of a schedule."""

    def on_archive(self, run: PlannedRun, differences: Sequence[str]) -> None:
        """Handle an earlier result that cannot be reused because of the named differences."""

    def on_start(self, run: PlannedRun) -> None:
        """Handle a run that starts."""

    def on_end(self, run: PlannedRun, outcome: Outcome) -> None:
        """Handle a run that ended, was reused or was skipped."""


def run_stages(
    runs: Sequence[PlannedRun],
    run_command: RunCommand,
    progress: Progress,
    executor: Executor,
    *,
    jobs: int = 1,
    keep_going: bool = False,
    accept_older_code: bool = False,
) -> dict[RunId, Outcome]:
    """Execute a plan; a run starts when all runs that it needs are finished.

    After a failure, no further run starts, and runs in progress continue to their end.

    Args:
        runs: all runs. One job starts them in this order; several jobs start those with the longest chain of
            dependent runs first, so that no process waits for such a chain at the end.
        run_command: entry point of the command line; other processes must be able to import it.
        progress: notified of each run.
        executor: executor of the runs, shut down at the end; see :func:`~.executors.make_executor`.
        jobs: maximum number of parallel runs.
        keep_going: after a failure, skip the runs that depend on it and execute all others.
        accept_older_code: reuse finished runs of another version of this package.

    Returns:
        Outcomes of the runs that ended; after Ctrl-C or SIGTERM, the last outcome is an interruption.
    """
    schedule = _Schedule(runs, keep_going, jobs)
    call = execute if isinstance(executor, InProcessExecutor) else execute_in_worker
    with executor:
        running: dict[Future[Outcome], PlannedRun] = {}

        def end(run: PlannedRun, outcome: Outcome) -> None:
            schedule.end(run, outcome)
            progress.on_end(run, outcome)

        try:
            while running or schedule.has_next:
                while schedule.has_next and len(running) < jobs:
                    run = schedule.pop()
                    outcome = _prepare(run, schedule, progress, accept_older_code)
                    if outcome is not None:
                        end(run, outcome)
                        continue
                    progress.on_start(run)
                    running[executor.submit(call, run, run_command)] = run
                # Without a timeout, a signal that arrives just before the wait would not be handled.
                for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
                    end(running.pop(future), _outcome(future))
        except (KeyboardInterrupt, Terminated) as interruption:
            executor.shutdown(cancel_futures=True)
            if not running:
                raise
            for run in running.values():
                end(run, Outcome(TERMINATED if isinstance(interruption, Terminated) else INTERRUPTED))
    return schedule.outcomes


def _prepare(run: PlannedRun, schedule: _Schedule, progress: Progress, accept_older_code: bool) -> Outcome | None:
    """Make the folder of a run ready for it; return its outcome if it cannot or need not start, else None."""
    if failed := schedule.failed_needs(run):
        return Outcome(1, skipped=failed)
    try:
        wait_for_folder(run.folder.path, WAIT_SECONDS)
    except ConfigurationError as error:
        return Outcome(1, str(error))
    if differences := archive_outdated(run, accept_older_code):
        progress.on_archive(run, differences)
    return Outcome(reused=True) if is_complete(run) else None


def _outcome(future: Future[Outcome]) -> Outcome:
    """Return the outcome of a run that ended; the exception of a lost worker, task or job is a failure of its run."""
    try:
        return future.result()
    except BrokenProcessPool:  # of all runs in progress
        return Outcome(1, "a worker process was killed, possibly because memory ran out; use fewer --jobs")
    except Exception as error:
        return Outcome(1, one_line(error))


class _Schedule:
    """Order of the remaining runs."""

    def __init__(self, runs: Sequence[PlannedRun], keep_going: bool, jobs: int) -> None:
        self.outcomes: dict[RunId, Outcome] = {}
        self._runs = {run.id: run for run in runs}
        lengths = _chain_lengths(runs) if jobs > 1 else {}
        order = sorted(self._runs, key=lambda node: -lengths.get(node, 0))
        self._order = {node: position for position, node in enumerate(order)}
        self._keep_going = keep_going
        self._sorter: TopologicalSorter[RunId] = TopologicalSorter({run.id: run.needs for run in runs})
        self._sorter.prepare()
        self._ready: list[RunId] = []
        self._add_ready()

    @property
    def has_next(self) -> bool:
        """Whether a run is ready to start."""
        stopped = any(o.interrupted or (o.code and not self._keep_going) for o in self.outcomes.values())
        return bool(self._ready) and not stopped

    def pop(self) -> PlannedRun:
        """Remove and return the next run."""
        return self._runs[self._ready.pop(0)]

    def failed_needs(self, run: PlannedRun) -> tuple[str, ...]:
        """Return the names of the failed runs that a run needs."""
        return tuple(f"{stage} seed {seed}" for stage, seed in run.needs if self.outcomes[stage, seed].code)

    def end(self, run: PlannedRun, outcome: Outcome) -> None:
        """Record the outcome of a run; runs that need it become ready to start or to be skipped."""
        self.outcomes[run.id] = outcome
        self._sorter.done(run.id)
        self._add_ready()

    def _add_ready(self) -> None:
        self._ready = sorted([*self._ready, *self._sorter.get_ready()], key=self._order.__getitem__)


def _chain_lengths(runs: Sequence[PlannedRun]) -> dict[RunId, int]:
    """Return the number of runs in the longest chain that starts with each run, where each needs the one before."""
    needs = {run.id: run.needs for run in runs}
    lengths = dict.fromkeys(needs, 1)
    for node in reversed([*TopologicalSorter(needs).static_order()]):
        for need in needs[node]:
            lengths[need] = max(lengths[need], lengths[node] + 1)
    return lengths
