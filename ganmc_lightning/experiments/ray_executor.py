"""Executor of a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError, one_line

MAX_RETRIES = 3
"""Number of times that Ray repeats a task whose process was killed or whose machine was lost."""


class RayExecutor(Executor):
    """Executor whose calls are Ray tasks, in the working directory and with the ``GANMC_DATA`` of this process.

    Ray repeats a task whose process was killed. A training then resumes from its last checkpoint.

    Args:
        address: address of a cluster, e.g. ``ray://host:10001``; None for the cluster of ``RAY_ADDRESS``, or else for
            Ray on this machine.
        options: options of each task, e.g. ``num_gpus`` (default: 1 if the cluster has GPUs), ``num_cpus`` and
            ``max_retries`` (default: 3).

    Raises:
        ConfigurationError: there is no cluster at the address, or an option is invalid.
    """

    def __init__(self, address: str | None, options: Mapping[str, Any]) -> None:
        import ray  # optional, and slow to import

        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            gpus = min(1, ray.cluster_resources().get("GPU", 0))
            self._task = ray.remote(_call).options(**{"num_gpus": gpus, "max_retries": MAX_RETRIES, **options})
        except (ConnectionError, ValueError, TypeError) as error:
            raise ConfigurationError(f"--on ray: {one_line(error)}") from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray installs its own
        self._ray = ray
        self._tasks: dict[Future[Any], Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a task; the cluster must be able to import the function."""
        task = self._task.remote(str(Path.cwd()), os.environ.get("GANMC_DATA"), fn, args, kwargs)
        future: Future[Any] = task.future()
        self._tasks[future] = task
        future.add_done_callback(lambda done: self._tasks.pop(done, None))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for all tasks and disconnect; with ``cancel_futures``, first interrupt the tasks like Ctrl-C."""
        tasks = list(self._tasks.values())
        self._tasks.clear()  # a second call must not use Ray, which would start another cluster
        if cancel_futures:
            for task in tasks:
                self._ray.cancel(task)
        if wait and tasks:
            self._ray.wait(tasks, num_returns=len(tasks))
        self._ray.shutdown()


def _call(folder: str, data: str | None, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    os.chdir(folder)
    if data is not None:
        os.environ["GANMC_DATA"] = data
    return fn(*args, **kwargs)
