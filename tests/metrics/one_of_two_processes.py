"""Two processes, each with its share of the samples: run by ``test_compression_score.py`` in a fresh interpreter.

It forks before it computes anything, so that PyTorch is imported once and no thread is lost in the fork.
Arguments: a file for the meeting, a file with the problem, a file for the answers.
"""

from __future__ import annotations

import os
import sys
from functools import partial

import torch
from torch import distributed, nn

from ganmc_lightning.metrics import CompressionScore


def score_share(rank, meeting, problem, answer):
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    given = torch.load(problem)
    teacher = nn.Linear(4, 3)
    teacher.load_state_dict(given["teacher"])
    metric = CompressionScore(teacher, partial(nn.Linear, 4, 3), given["held_out"], **given["settings"])
    for name in ("real", "candidate"):
        for part in given[name][rank]:
            metric.update(part, real=name == "real")
    value = metric.compute()
    held = sum(len(part) for part in metric.real)  # after the answer each process holds its own share again
    torch.save({"value": tuple(value), "held": held}, f"{answer}.{rank}")
    distributed.destroy_process_group()


if __name__ == "__main__":
    child = os.fork()
    score_share(1 if child == 0 else 0, *sys.argv[1:])
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
