"""Worker that times torchdistill on real images: ``python benchmarks/workers/torchdistill_worker.py``.

It runs in an environment of its own, see ``benchmarks/torchdistill_environment.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from batches import ImageDataset
from channel import CHANNEL, serve
from objects import DEVICE, autocast, build_frozen, build_network, load_images
from torch.utils.data import RandomSampler
from torchdistill.core.distillation import DistillationBox


def criterion(loss: Any, classes: int) -> dict[str, Any]:
    """Return torchdistill's configuration of a loss: squared distance of logits, or distillation."""
    if not isinstance(loss, dict):
        target = {"is_from_teacher": True, "module_path": ".", "io": "output"}
        term: dict[str, Any] = {
            "criterion": {"key": "MSELoss", "kwargs": {}},
            "criterion_wrapper": {
                "key": "SimpleLossWrapper",
                "kwargs": {"input": {**target, "is_from_teacher": False}, "target": target},
            },
            "weight": float(classes),  # the sum over classes
        }
    else:
        paths = {f"{who}_module_path": "." for who in ("student", "teacher")}
        outputs = {f"{who}_module_io": "output" for who in ("student", "teacher")}
        arguments = loss["init_args"]
        temperature, alpha = arguments["temperature"], arguments["alpha"]
        # Its beta includes T^2, and its alpha is the weight of the labels.
        weights = {"alpha": 1 - alpha, "beta": alpha / temperature**2}
        kwargs = {**paths, **outputs, "temperature": temperature, **weights}
        term = {"criterion": {"key": "KDLoss", "kwargs": kwargs}, "weight": 1.0}
    return {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"distillation": term}}}


def make_box(config: dict[str, Any], run: dict[str, Any]) -> DistillationBox:
    """Return a distillation box with the networks and the optimizer of a configuration."""
    model = config["model"]["init_args"]
    images, labels = load_images(run["data"], run["train_size"])
    network = {"forward_proc": "forward_batch_only", "sequential": [], "wrapper": None}
    train = {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {
                "batch_size": config["data"]["batch_size"],
                "num_workers": 2,
                "persistent_workers": True,
                "drop_last": True,
            },
        },
        "teacher": {**network, "requires_grad": False},
        "student": {**network, "requires_grad": True},
        "optimizer": {
            "key": model["optimizer"]["class_path"].rpartition(".")[2],
            "kwargs": dict(model["optimizer"]["init_args"]),
        },
        "criterion": criterion(model["loss"], run["classes"]),
    }
    datasets = {"train": ImageDataset(images, labels, None)}
    teacher, student = build_frozen(model["teacher"]), build_network(model["student"])
    return DistillationBox(teacher, student, datasets, train, DEVICE, [0], False, 1)


def batches_of(box: DistillationBox) -> Iterator[Any]:
    """Yield batches of endless epochs."""
    epoch = 0
    while True:
        box.pre_epoch_process(epoch=epoch)
        yield from box.train_data_loader
        epoch += 1


if __name__ == "__main__":
    CHANNEL.send(started=True)
    run = CHANNEL.receive()
    torch.manual_seed(0)
    box = make_box(yaml.safe_load(Path(run["config"]).read_text()), run)
    batches = batches_of(box)

    def step() -> None:
        samples, targets, supplement = next(batches)
        with autocast(run["precision"]):
            loss = box.forward_process(samples.to(DEVICE), targets.to(DEVICE), supplement)
        box.post_forward_process(loss=loss)

    CHANNEL.send(ready=True)
    serve(step)
