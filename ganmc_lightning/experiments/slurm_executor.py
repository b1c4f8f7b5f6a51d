"""Executor of a SLURM cluster, with submitit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.experiments.runner import Outcome

TIMEOUT_MINUTES = 240
"""Time limit of a job, after which it is requeued and resumes."""

POLL_SECONDS = 2.0
"""Interval at which the states of canceled jobs are queried."""

SINGLE = ("nodes", "tasks_per_node", "slurm_nodes", "slurm_ntasks_per_node", "slurm_tasks_per_node")
"""Parameters that start several processes per job, each of which would write the same run folder."""


class SlurmExecutor(Executor):
    """Executor whose calls are SLURM jobs, in the working directory and with the environment of this process.

    A job that is preempted is requeued, and up to three times a job that exceeds its time limit. A training then
    resumes from its last checkpoint.

    Args:
        folder: folder for scripts, arguments, results and logs of the jobs, visible on all machines.
        jobs: maximum number of jobs at a time.
        parameters: parameters of submitit's ``AutoExecutor``, e.g. ``slurm_partition``, ``gpus_per_node``,
            ``cpus_per_task``, ``mem_gb`` and ``timeout_min`` (default: 240).
        cluster: submitit's name of the scheduler; ``local`` runs jobs as processes on this machine.

    Raises:
        ConfigurationError: SLURM is not installed, or a parameter is invalid.
    """

    def __init__(self, folder: Path, jobs: int, parameters: Mapping[str, Any], cluster: str = "slurm") -> None:
        import submitit  # optional

        for name in SINGLE:
            if parameters.get(name, 1) != 1:
                raise ConfigurationError(
                    f"--resources: got {name}={parameters[name]}, expected 1: Lightning starts the processes of a run"
                )
        try:
            self._executor = submitit.AutoExecutor(folder, cluster=cluster)
            self._executor.update_parameters(**{"name": "ganmc", "timeout_min": TIMEOUT_MINUTES, **parameters})
        except (RuntimeError, NameError, ValueError, TypeError) as error:
            raise ConfigurationError(f"--on slurm: {one_line(error)}") from error
        self._jobs: list[Any] = []
        self._threads = ThreadPoolExecutor(jobs)  # one waits for each job

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a job; if SLURM refuses it, the future has the exception."""
        from submitit.core.utils import FailedJobError

        try:
            job = self._executor.submit(_Requeueable(), fn, *args, **kwargs)
        except FailedJobError as error:
            refused: Future[Any] = Future()
            refused.set_exception(error)
            return refused
        self._jobs.append(job)
        return self._threads.submit(_wait, job)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for all jobs; with ``cancel_futures``, cancel them first."""
        if cancel_futures:
            remaining = [job for job in self._jobs if not job.done()]
            for job in remaining:
                job.cancel(check=False)
            # Without a forced query, submitit updates the states after up to ten minutes. One query updates all.
            while remaining := [job for i, job in enumerate(remaining) if not job.done(force_check=i == 0)]:
                time.sleep(POLL_SECONDS)
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


class _Requeueable:
    """Call of a function that submitit repeats with equal arguments after a time limit or a preemption.

    A process that is stopped for this ends without a result: SLURM requeues the job, whose result is the next one.
    """

    def __init__(self) -> None:
        self._requeued = False

    def __call__(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = fn(*args, **kwargs)
        if self._requeued or (isinstance(result, Outcome) and result.interrupted):
            sys.exit(1)
        return result

    def checkpoint(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return the call of the requeued job, at the time limit."""
        from submitit.helpers import DelayedSubmission

        self._requeued = True  # submitit now raises SystemExit inside the call, which a command returns as exit code
        return DelayedSubmission(_Requeueable(), fn, *args, **kwargs)


def _wait(job: Any) -> Any:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return job.result()
    except (FailedJobError, UncompletedJobError) as error:
        raise RuntimeError(f"SLURM job {job.job_id} ended without a result; its log is {job.paths.stderr}") from error
