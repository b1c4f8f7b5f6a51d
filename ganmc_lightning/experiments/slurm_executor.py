"""Executor of a SLURM cluster, with submitit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError, one_line

TIMEOUT_MINUTES = 240
"""Time limit of a job, after which it is requeued and resumes."""


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
            for job in self._jobs:
                if not job.done():
                    job.cancel(check=False)
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


class _Requeueable:
    """Call of a function that submitit repeats with equal arguments after a time limit or a preemption."""

    def __call__(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    def checkpoint(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, fn, *args, **kwargs)


def _wait(job: Any) -> Any:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return job.result()
    except (FailedJobError, UncompletedJobError) as error:
        raise RuntimeError(f"SLURM job {job.job_id} ended without a result; its log is {job.paths.stderr}") from error
