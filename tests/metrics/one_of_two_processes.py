"""Two processes with a share of the samples each, run by ``test_all_metrics.py`` in a fresh interpreter.

The process forks before any computation, so that PyTorch is imported once and no thread exists at the fork.
Arguments: a file for the rendezvous, a file with the inputs, a file for the outputs.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import torch
from torch import distributed

import ganmc_lightning.metrics  # noqa: F401 - before the fork, and not once in each process for the pickle


def score_shares(rank, meeting, problem, answer):
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    given = pickle.loads(Path(problem).read_bytes())
    answers = {}
    for name, metric in given["metrics"].items():
        for real in (True, False):
            for part in given["shares"][name][real][rank]:
                metric.update(part, real=real)
        answers[name] = metric.compute(), metric.settings()
        metric.reset()
    torch.save(answers, f"{answer}.{rank}")
    distributed.destroy_process_group()


if __name__ == "__main__":
    child = os.fork()
    score_shares(1 if child == 0 else 0, *sys.argv[1:])
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
