"""Running the stages of an experiment side by side in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from graphlib import TopologicalSorter
from multiprocessing.sharedctypes import Synchronized

from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED, ConfigurationError, Terminated
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.runner import RunCommand, make_run, prepare
from ganmc_lightning.runs.signals import sigterm_raises

LOG = "log.txt"
"""What a run in a worker process prints, in its run folder."""

_working = threading.Lock()
"""Held by a worker while it makes a run."""

Outcome = int | ConfigurationError
"""Exit code of a run, 0 for success, or the error of a result that cannot be read."""


def run_in_workers(
    runs: Sequence[PlannedRun],
    jobs: int,
    run_command: RunCommand,
    started: Callable[[PlannedRun], None],
    ended: Callable[[PlannedRun, Outcome, bool], None],
) -> int:
    """Run a plan in several processes at once; a run starts as soon as those it depends on are finished.

    A worker imports PyTorch once and then runs one stage after another, so that many short runs cost little more
    than their training. Workers share one GPU, or are spread over several. Run folders and results are those of a
    sequential run. After a failure the runs that do not depend on it continue.

    Args:
        runs: in the order in which they are started when several could be.
        jobs: number of worker processes.
        run_command: runs one command line in a worker; it must be importable there.
        started: called with each run that is handed to a worker.
        ended: called with each run, its outcome, and whether it was finished before.

    Returns:
        0, or the exit code of the first run that failed, 130 after Ctrl-C, 143 after SIGTERM: the workers end then, and
        trainings save what they have.
    """
    by_node = {(run.stage, run.seed): run for run in runs}
    graph = {node: run.needs for node, run in by_node.items()}
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    order = {node: position for position, node in enumerate(by_node)}
    waiting: list[tuple[str, int]] = []
    running: dict[Future[Outcome], tuple[str, int]] = {}
    code = 0
    with _workers(min(jobs, len(runs))) as pool:
        try:
            while sorter.is_active():
                waiting = sorted([*waiting, *sorter.get_ready()], key=order.__getitem__)
                while waiting and len(running) < jobs:
                    node = waiting.pop(0)
                    if prepare(by_node[node]):
                        ended(by_node[node], 0, True)
                        sorter.done(node)
                        waiting = sorted([*waiting, *sorter.get_ready()], key=order.__getitem__)
                    else:
                        running[pool.submit(_work, by_node[node], run_command)] = node
                        started(by_node[node])
                if not running:
                    break  # the rest depends on what failed
                # A signal that arrives just before a wait without end would not be seen.
                for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
                    outcome = future.result()
                    node = running.pop(future)
                    ended(by_node[node], outcome, False)
                    if outcome == 0:
                        sorter.done(node)
                    else:
                        code = code or (outcome if isinstance(outcome, int) else 1)
        except (KeyboardInterrupt, Terminated) as interruption:
            _end_workers(pool)
            print("interrupted; the same command continues", file=sys.stderr)
            return TERMINATED if isinstance(interruption, Terminated) else INTERRUPTED
        except BrokenProcessPool:  # all running stages end with it
            error = ConfigurationError("a worker process was killed, possibly out of memory; use fewer --jobs")
            for node in running.values():
                ended(by_node[node], error, False)
            return 1
    return code


def _end_workers(pool: ProcessPoolExecutor) -> None:
    """Interrupt what the workers run, and wait until they have saved it."""
    for process in multiprocessing.active_children():
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Start workers that divide the threads of the machine, unless OMP_NUM_THREADS already says how many."""
    context = multiprocessing.get_context("spawn")  # a process that uses CUDA cannot be forked
    given = os.environ.get("OMP_NUM_THREADS")
    if given is None:  # read when a worker imports PyTorch
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
    try:
        with ProcessPoolExecutor(jobs, context, _start_worker, (context.Value("i", 0),)) as pool:
            yield pool
    finally:
        if given is None:
            del os.environ["OMP_NUM_THREADS"]


def _start_worker(counter: Synchronized[int]) -> None:
    """Prepare this process: only its runs are interrupted by signals, and it does not outlive its parent."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent then sends SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # of a worker that waits; a command has a handler of its own

    def end_with_parent() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)  # a training saves what it has
        with _working:
            os._exit(TERMINATED)

    threading.Thread(target=end_with_parent, daemon=True).start()
    with counter:
        number = counter.value
        counter.value += 1
    _choose_gpu(number)


def _choose_gpu(number: int) -> None:
    """Give this process one of several GPUs, before CUDA is initialized."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        import torch

        names = [str(index) for index in range(torch.cuda.device_count())]
    else:
        names = visible.split(",")
    if len(names) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = names[number % len(names)]


def _work(run: PlannedRun, run_command: RunCommand) -> Outcome:
    """Run one stage in this worker; everything it prints goes to its log."""
    if run.trains:
        run = replace(run, command=(*run.command, "--trainer.enable_progress_bar=false"))
    run.folder.mkdir(parents=True, exist_ok=True)
    with _working, (run.folder / LOG).open("a", encoding="utf-8") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())
        try:
            with sigterm_raises():
                return make_run(run, run_command)
        except ConfigurationError as error:
            return error
        except Terminated:
            return TERMINATED
        except Exception:  # a stage is a program of its own: its traceback is in the log
            traceback.print_exc()
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            _free_gpu_memory()


def _free_gpu_memory() -> None:
    """Return cached memory to the GPU that other workers share."""
    torch = sys.modules.get("torch")  # a stage without PyTorch has none to return
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
