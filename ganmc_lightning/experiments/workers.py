"""Worker processes that execute the runs of an experiment in parallel.

A worker imports PyTorch once and then executes one run after another, so that short runs have little overhead. Workers
share one GPU, or are distributed over several GPUs. Run folders and results equal those of sequential runs.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from types import FrameType
from typing import Any

from ganmc_lightning.exceptions import TERMINATED, Terminated
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.runner import Outcome, RunCommand, execute
from ganmc_lightning.runs.signals import sigterm_raises

LOG = "log.txt"
"""File with the output of a run in a worker process, in its run folder."""

_working = threading.Lock()
"""Lock that a worker holds during a run."""

_stopped = threading.Event()
"""Whether a worker received SIGTERM."""

_gpu_lost: Event | None = None
"""Event of the pool of this worker: a worker cannot use CUDA any more."""

SEND_SECONDS = 3.0
"""Time in which a worker sends the outcome of a run that ended, before it exits after SIGTERM."""


class WorkerPool(Executor):
    """Executor of worker processes, each with an equal share of the CPU threads unless OMP_NUM_THREADS is set.

    If a worker is killed, the calls in progress raise ``BrokenProcessPool``, and new workers execute the next calls.
    After an error of CUDA that lasts until the end of a process, the other calls in progress continue, and new workers
    execute the next calls.

    Args:
        jobs: number of processes.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._sets_threads = "OMP_NUM_THREADS" not in os.environ
        if self._sets_threads:  # workers read the variable when they import PyTorch
            os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
        self._context = multiprocessing.get_context("spawn")  # a process that uses CUDA cannot be forked
        self._counter = self._context.Value("i", 0)
        self._gpu_lost = self._context.Event()
        self._pool = self._start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Execute a call in a worker."""
        if self._gpu_lost.is_set():
            self._gpu_lost.clear()
            self._pool.shutdown(wait=False)  # its workers end after their calls
            self._pool = self._start()
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool:
            self._pool.shutdown()  # waits for the other workers, which save checkpoints
            self._pool = self._start()
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers; with ``cancel_futures``, first interrupt their runs, which save checkpoints."""
        if cancel_futures:
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
        if self._sets_threads:
            os.environ.pop("OMP_NUM_THREADS", None)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._jobs, self._context, _start_worker, (self._counter, self._gpu_lost))


def _start_worker(counter: Synchronized[int], gpu_lost: Event) -> None:
    """Initialize a worker: signals interrupt only its runs, and it ends with its parent process."""
    global _gpu_lost
    _gpu_lost = gpu_lost
    parent = multiprocessing.parent_process()
    assert parent is not None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to every process; the parent then sends SIGTERM
    signal.signal(signal.SIGTERM, _stop)  # a run installs a handler of its own

    def end_with_parent() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)  # a training saves its checkpoint
        with _working:
            os._exit(TERMINATED)

    def end_when_stopped() -> None:  # the pool waits for workers that it terminates
        _stopped.wait()
        with _working:
            pass
        time.sleep(SEND_SECONDS)
        os._exit(TERMINATED)

    for target in (end_with_parent, end_when_stopped):
        threading.Thread(target=target, daemon=True).start()
    with counter:
        number = counter.value
        counter.value += 1
    _choose_gpu(number)


def _stop(number: int, frame: FrameType | None) -> None:
    _stopped.set()


def _choose_gpu(number: int) -> None:
    """Restrict this process to one of several GPUs, before CUDA is initialized."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        import torch

        names = [str(index) for index in range(torch.cuda.device_count())]
    else:
        names = visible.split(",")
    if len(names) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = names[number % len(names)]


def execute_in_worker(run: PlannedRun, run_command: RunCommand) -> Outcome:
    """Execute one run in this process of a pool or a cluster; its output goes to ``log.txt`` in the run folder."""
    if run.trains:
        run = replace(run, command=(*run.command, "--trainer.enable_progress_bar=false"))
    run.folder.path.mkdir(parents=True, exist_ok=True)
    with _working, (run.folder.path / LOG).open("a", encoding="utf-8") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
        try:
            with sigterm_raises():
                if _stopped.is_set():
                    return Outcome(TERMINATED)
                outcome = _with_reason(execute(run, run_command), run.folder.path / LOG)
        except Terminated:  # between two runs
            outcome = Outcome(TERMINATED)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            if not free_gpu_memory() and _gpu_lost is not None:
                _gpu_lost.set()
        if outcome.code == TERMINATED:
            _stopped.set()
        return outcome


def _with_reason(outcome: Outcome, log: Path) -> Outcome:
    """Add the last line of the log to a failure, unless it is part of a traceback."""
    if not outcome.code or outcome.error or outcome.interrupted:
        return outcome
    sys.stderr.flush()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or not lines[-1].startswith("ganmc"):
        return outcome
    return replace(outcome, error=lines[-1].partition(": ")[2])


def free_gpu_memory() -> bool:
    """Release the GPU memory of a run that ended, which others may need; return whether this process can use CUDA.

    After some errors, such as an index out of range in a kernel, all later calls of CUDA in the process fail.
    """
    torch = sys.modules.get("torch")  # not imported by stages without PyTorch
    if torch is None or not torch.cuda.is_initialized():
        return True
    gc.collect()  # trainer, module and callbacks refer to each other
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True
