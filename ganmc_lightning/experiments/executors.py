"""Choice of the executor: this process, worker processes, a Ray cluster or a SLURM cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.ray_executor import RayExecutor
from ganmc_lightning.experiments.slurm_executor import SlurmExecutor
from ganmc_lightning.experiments.workers import WorkerPool, free_gpu_memory


class InProcessExecutor(Executor):
    """Executor that runs each call immediately in this process, with output to the terminal."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function and return its result as a finished future."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        free_gpu_memory()
        return future


def make_executor(on: str | None, jobs: int, folder: Path, resources: Mapping[str, Any]) -> Executor:
    """Return an executor of runs. Its ``shutdown(cancel_futures=True)`` interrupts runs, which save checkpoints.

    Args:
        on: ``ray``, ``ray://HOST:PORT``, ``slurm``, or None for this machine.
        jobs: maximum number of parallel runs.
        folder: folder for the files of SLURM jobs.
        resources: options of Ray tasks or parameters of submitit; see :mod:`ray_executor` and :mod:`slurm_executor`.

    Raises:
        ConfigurationError: ``on`` or ``resources`` is invalid, the cluster is not available, or its library is missing.
    """
    if on is None:
        if resources:
            raise ConfigurationError(f"--resources: got {' '.join(resources)} without --on, expected --on ray or slurm")
        return InProcessExecutor() if jobs == 1 else WorkerPool(jobs)
    if on not in ("ray", "slurm") and not on.startswith("ray://"):
        raise ConfigurationError(f"--on: got {on!r}, expected ray, ray://HOST:PORT or slurm")
    try:
        if on == "slurm":
            return SlurmExecutor(folder, jobs, resources)
        return RayExecutor(None if on == "ray" else on, resources)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"--on {on}: {error.name} is missing; pip install 'ganmc-lightning[cluster]'"
        ) from error
