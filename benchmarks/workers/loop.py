"""Worker that times hand-written training loops: ``python benchmarks/workers/loop.py``.

A request names a configuration, its precision and whether the loop is in the usual style: DataLoader workers,
transforms of single images, teacher and generator in every step, the loss read in every step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import distillation
import gans
import torch
import yaml
from channel import CHANNEL, serve
from objects import TRAINED
from torch.utils.flop_counter import FlopCounterMode

STEPS = {
    "AdversarialCompressionModule": gans.anc_step,
    "ACGANModule": gans.acgan_step,
    "GANCompressionModule": gans.generator_step,
}


def make_step(run: dict[str, Any]) -> distillation.Step:
    """Return the step of a configuration."""
    config = yaml.safe_load(Path(run["config"]).read_text())
    module = config["model"]["class_path"].rpartition(".")[2]
    if module == "DistillationModule":
        return distillation.usual_step(config, run) if run["usual"] else distillation.cached_step(config, run)
    return STEPS[module](config, run)


def count_flops(step: distillation.Step) -> int:
    """Count the operations of one step."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it
    torch.backends.cudnn.benchmark = True
    CHANNEL.send(started=True)
    while True:
        run = CHANNEL.receive()
        torch.manual_seed(0)
        TRAINED.clear()
        step = make_step(run)
        step()
        parameters = sum(parameter.numel() for network in TRAINED for parameter in network.parameters())
        CHANNEL.send(flops=None if run["usual"] else count_flops(step), parameters=parameters)
        serve(step)
