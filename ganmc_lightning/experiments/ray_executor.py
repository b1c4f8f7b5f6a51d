"""Executor of a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from ganmc_lightning.exceptions import TERMINATED, ConfigurationError, one_line
from ganmc_lightning.experiments.runner import Outcome

MAX_RETRIES = 3
"""Number of times that Ray repeats a task whose process was killed or whose machine was lost."""


class RayExecutor(Executor):
    """Executor whose calls are Ray tasks, in the working directory of this process.

    The tasks have its variables ``GANMC_DATA`` and ``WANDB_...``, except ``WANDB_API_KEY``, which Ray would store.

    Ray repeats a task whose process was killed or stopped by SIGTERM. A training then resumes from its last checkpoint.

    Args:
        address: address of a cluster, e.g. ``ray://host:10001``; None for the cluster of ``RAY_ADDRESS``, or else a new
            one on this machine.
        options: options of each task, e.g. ``num_gpus`` (default: 1 if the cluster has GPUs), ``num_cpus`` and
            ``max_retries`` (default: 3).

    Raises:
        ConfigurationError: there is no cluster at the address, an option is invalid, or this machine does not have the
            resources of a task.
    """

    def __init__(self, address: str | None, options: Mapping[str, Any]) -> None:
        import ray  # optional, and slow to import

        address = address or os.environ.get("RAY_ADDRESS") or "local"
        options = {name: value for name, value in options.items() if value is not None}
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            gpus = min(1, ray.cluster_resources().get("GPU", 0))
            options = {"num_gpus": gpus, "max_retries": MAX_RETRIES, **options}
            self._task = ray.remote(_call).options(**options)
        except (ConnectionError, ValueError, TypeError) as error:
            raise ConfigurationError(f"--on ray: {one_line(error)}") from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray installs its own
        missing = _missing_resources(options, [node["Resources"] for node in ray.nodes() if node["Alive"]])
        if missing and address == "local":
            ray.shutdown()
            raise ConfigurationError(f"--resources: {missing}")
        if missing:
            print(f"--resources: {missing}; runs wait for such a machine", file=sys.stderr)
        self._ray = ray
        self._tasks: dict[Future[Any], Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a task; the cluster must be able to import the function."""
        variables = {
            name: value
            for name, value in os.environ.items()
            if name == "GANMC_DATA" or (name.startswith("WANDB_") and name != "WANDB_API_KEY")
        }
        task = self._task.remote(str(Path.cwd()), variables, fn, args, kwargs)
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


def _call(
    folder: str, variables: dict[str, str], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    os.chdir(folder)
    os.environ.update(variables)
    result = fn(*args, **kwargs)
    if isinstance(result, Outcome) and result.code == TERMINATED:  # by the system, since Ray cancels with SIGINT
        os.kill(os.getpid(), signal.SIGKILL)  # Ray repeats the task
    return result


def _missing_resources(options: Mapping[str, Any], machines: Sequence[Mapping[str, float]]) -> str | None:
    """Return a message if no machine has the resources of a task, which Ray would keep waiting, else None."""
    needed = {"CPU": options.get("num_cpus", 1), "GPU": options["num_gpus"], **(options.get("resources") or {})}
    if any(all(machine.get(name, 0) >= amount for name, amount in needed.items()) for machine in machines):
        return None
    got = ", ".join(f"{name} {amount:g}" for name, amount in needed.items())
    present = " or ".join(sorted({f"CPU {m.get('CPU', 0):g}, GPU {m.get('GPU', 0):g}" for m in machines}))
    return f"got {got}, expected at most the resources of one machine ({present})"
