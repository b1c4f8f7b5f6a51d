"""Train in one process and in N processes, and print what differs.

``distributed_worker.py FOLDER DATA N KINDS SEED`` runs all cases, and resumes the comma-separated kinds of modules;
those of ``SHARDED`` also with FSDP2. The processes are forked before any computation, so that PyTorch is imported only
once. The output is one line of JSON.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from conftest import KINDS
from distributed_cases import CASES, Process, build, deterministic_draws
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import SGD, Adam

from ganmc_lightning.callbacks import GeneratorEMA, SampleGrid
from ganmc_lightning.data import GANAugmentedDataModule, RandomCropFlip
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.exceptions import DivergenceError
from ganmc_lightning.modules import ClassifierModule, CompressionModule
from ganmc_lightning.runs.checkpoint_callback import RunModelCheckpoint
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO
from ganmc_lightning.runs.csv_logger import ResumableCSVLogger
from ganmc_lightning.synthesizers import JitterSynthesizer, PooledSynthesizer

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
SHARDED = {"cases": ("classifier", "distillation_pool"), "kinds": ("distillation",)}
"""What also runs with FSDP2."""
MIDDLE, BOUNDARY = 3, 6
"""Batches after which a run is resumed: in the middle and at the end of the first epoch."""


def make_trainer(process: Process, strategy: str, callbacks: list[Callback], **arguments: Any) -> Trainer:
    devices = {"devices": process.size, "strategy": strategy if process.size > 1 else "auto", "accelerator": "cpu"}
    return Trainer(**devices, callbacks=callbacks, **{"max_epochs": 2, **QUIET, **arguments})


def whole(value: Any) -> Any:
    """Copy nested dictionaries and lists with whole tensors; of a sharded one, each process has a part."""
    if isinstance(value, Tensor):
        value = value.detach()
        return (value.full_tensor() if isinstance(value, DTensor) else value).clone()
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


# -- N processes equal one process with N times as large batches -----------------------------------------------


class Start(Callback):
    """Keep the first weights."""

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.weights = whole(dict(pl_module.named_parameters()))


def run_case(
    name: str, process: Process, strategy: str, largest: int, folder: Path, data: Path, seed: int
) -> dict[str, Any]:
    torch.manual_seed(seed)
    module, datamodule = build(name, process, largest, folder, data)
    start = Start()
    limits = {"limit_train_batches": 3, "log_every_n_steps": 3, "enable_checkpointing": False}
    trainer = make_trainer(process, strategy, [start], **limits)
    with deterministic_draws():
        trainer.fit(module, datamodule)
    end = whole(dict(module.named_parameters()))
    metrics = {name: value for name, value in trainer.callback_metrics.items() if "loss_ratio" not in name}
    return {"start": start.weights, "end": end, "metrics": metrics}


def compare_case(processes: list[dict[str, Any]], one: dict[str, Any]) -> dict[str, Any]:
    moved = {name: (value - one["start"][name]).abs().max().item() for name, value in one["end"].items()}
    return {
        "parameters": max(difference(each["end"], one["end"]) for each in processes),
        "metrics": max(difference(each["metrics"], one["metrics"]) for each in processes),
        "names": sorted(one["metrics"]),
        "moved": sorted({name.partition(".")[0] for name, change in moved.items() if change > 1e-4}),
    }


def difference(some: dict[str, Tensor], others: dict[str, Tensor]) -> float:
    assert some.keys() == others.keys()
    return max(float((value - others[name]).abs().max()) for name, value in some.items())


# -- resumed runs equal uninterrupted runs ---------------------------------------------------------------------


class Recorder(Callback):
    """Copy ``last.ckpt`` after some batches, and record real samples, synthetic samples and latents."""

    def __init__(self, folder: Path, copy: bool) -> None:
        self.folder = folder
        self.copy = copy
        self.real: list[bytes] = []
        self.drawn: list[bytes] = []
        self.copied: list[str] = []

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        copied = {id(buffer) for buffer in getattr(trainer.strategy.model, "modules_buffers", ())}  # by DDP
        self.copied = [name for name, buffer in pl_module.named_buffers() if id(buffer) in copied]
        for name, network in pl_module.named_children():
            if name in ("generator", "student") and hasattr(network, "sample_latents"):
                network.register_forward_pre_hook(lambda _, arguments: self._draw(trainer, arguments[0]))

    def _draw(self, trainer: Trainer, samples: Tensor) -> None:
        if trainer.training:
            self.drawn += [sample.detach().numpy().tobytes() for sample in samples]

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.copy and pl_module.iteration in (MIDDLE, BOUNDARY) and trainer.is_global_zero:
            content = (self.folder / "last.ckpt").read_bytes()
            (self.folder / f"after{pl_module.iteration}.ckpt").write_bytes(content)
        self._draw(trainer, batch.inputs[batch.synthetic])
        if trainer.current_epoch == 0:
            self.real += [sample.numpy().tobytes() for sample in batch.inputs[~batch.synthetic]]


def make_run(kind: str, process: Process, data: Path, seed: int) -> tuple[CompressionModule, Any, list[Callback]]:
    torch.manual_seed(seed)
    module = KINDS[kind]()
    if kind in ("distillation", "hints"):
        pool = PooledSynthesizer(JitterSynthesizer(), size=20, refresh=0.5)
        options = {"synthesizer": pool, "p_fake": 0.5, "augment": RandomCropFlip(1) if kind == "hints" else None}
    else:
        options = {}
    batch_size = 18 // process.size
    callbacks: list[Callback] = [GeneratorEMA(0.9), SampleGrid(columns=2)] if kind in ("acgan", "gan") else []
    return module, GANAugmentedDataModule(NpzFile(data), batch_size=batch_size, **options), callbacks


def run_kind(kind: str, process: Process, strategy: str, folder: Path, data: Path, seed: int) -> dict[str, Any]:
    """Train without interruption, then from each of the copied checkpoints."""
    folder = folder / strategy / kind
    found: dict[str, Any] = {}
    written: list[str] = []

    def record_writes(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(folder) in str(arguments[0]) and set("wax+") & set(arguments[1] or ""):
            written.append(str(arguments[0]))

    sys.addaudithook(record_writes)
    for after in (0, MIDDLE, BOUNDARY):
        module, datamodule, callbacks = make_run(kind, process, data, seed)
        recorder = Recorder(folder, copy=after == 0)
        saving = RunModelCheckpoint(folder if after == 0 else folder / f"resumed{after}", every_n_train_steps=1)
        trainer = make_trainer(
            process,
            strategy,
            [*callbacks, recorder, saving],
            log_every_n_steps=4,
            plugins=[AtomicCheckpointIO()],
            logger=ResumableCSVLogger(str(saving.dirpath)),
            default_root_dir=saving.dirpath,
        )
        torch.manual_seed(1 + after + 100 * process.rank)  # the state of a new process is another one
        trainer.fit(module, datamodule, ckpt_path=folder / f"after{after}.ckpt" if after else None)
        average = next((callback._average for callback in callbacks if isinstance(callback, GeneratorEMA)), {})
        found[f"after {after}"] = {
            "state": whole(module.state_dict()),
            "average": average,
            "optimizers": whole([optimizer.state_dict() for optimizer in trainer.optimizers]),
            "metrics": dict(trainer.callback_metrics),
            "random": torch.get_rng_state(),
            "iteration": module.iteration,
        }
        if after == 0:
            found |= {"real": recorder.real, "drawn": recorder.drawn, "copied": recorder.copied}
    return {**found, "written": len(written)}


def compare_kind(processes: list[dict[str, Any]]) -> dict[str, Any]:
    first, *others = processes
    resumed = {
        after: [unequal(each["after 0"], each[f"after {after}"]) for each in processes] for after in (MIDDLE, BOUNDARY)
    }
    parts = ("state", "average", "optimizers", "iteration")
    names = (unequal(each["after 0"][part], first["after 0"][part]) for each in others for part in parts)
    return {
        "resumed": {str(after): next(filter(None, found), "") for after, found in resumed.items()},
        "resumed_difference": max(
            distance(each["after 0"], each[f"after {after}"]) for each in processes for after in resumed
        ),
        "processes": next(filter(None, names), ""),
        "iteration": first["after 0"]["iteration"],
        "written": [each["written"] for each in processes],
        "copied": [each["copied"] for each in processes],
        **{key: [len(set(each[key])) for each in processes] for key in ("real", "drawn")},
        **{f"all_{key}": len(set().union(*(each[key] for each in processes))) for key in ("real", "drawn")},
    }


def unequal(one: Any, other: Any, where: str = "root") -> str:
    """Return the name of the first difference between nested dictionaries and lists, bit for bit."""
    if isinstance(one, Tensor):
        return "" if torch.equal(one, other) else where
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return where
        return next(filter(None, (unequal(one[key], other[key], f"{where}.{key}") for key in one)), "")
    if isinstance(one, list | tuple):
        return next(filter(None, (unequal(*pair, where) for pair in zip(one, other, strict=True))), "")
    return "" if one == other else where


def distance(one: Any, other: Any) -> float:
    """Return the largest difference between the numbers of nested dictionaries and lists; infinity for other values."""
    if isinstance(one, Tensor) and one.shape == other.shape:
        return float((one.double() - other.double()).abs().nan_to_num(math.inf).max()) if one.numel() else 0.0
    if isinstance(one, dict) and one.keys() == other.keys():
        return max((distance(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list | tuple) and len(one) == len(other):
        return max(map(distance, one, other), default=0.0)
    return 0.0 if one == other else math.inf


def compare_files(*paths: Path) -> dict[str, float]:
    """Compare checkpoints of two strategies, which differ by rounding."""
    one, other = (torch.load(path, weights_only=True) for path in paths)
    assert one.keys() == other.keys()
    return {key: distance(one[key], other[key]) for key in ("state_dict", "optimizer_states", "iteration")}


# -- further properties of FSDP2 -------------------------------------------------------------------------------


class WithUnused(nn.Module):
    """Network with convolutions, batch normalization and a parameter without gradient."""

    def __init__(self) -> None:
        super().__init__()
        convolutions = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)
        self.layers = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(64, 3))
        self.unused = nn.Parameter(torch.zeros(2))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.layers(inputs)
        return outputs


def run_batch_norm(process: Process, folder: Path, data: Path) -> dict[str, Any]:
    """Train with unequal seeds, validate the checkpoint, resume, and diverge."""
    path = folder / "batch_norm" / "last.ckpt"

    def fit(optimizer: Any, epochs: int, ckpt_path: Path | None = None) -> tuple[Any, Any, Any, Start]:
        torch.manual_seed(process.rank)
        module = ClassifierModule(WithUnused().to(memory_format=torch.channels_last), optimizer)
        # of 15 validation samples, the first of two processes has 8, one batch more than the second
        datamodule = GANAugmentedDataModule(NpzFile(data), batch_size=7, validation_fraction=0.125)
        start = Start()
        saving = RunModelCheckpoint(path.parent, every_n_train_steps=1)
        limits = {"limit_train_batches": 3, "max_epochs": epochs, "plugins": [AtomicCheckpointIO()]}
        trainer = make_trainer(process, "fsdp2", [start, saving], **limits)
        first = whole(module.state_dict())
        trainer.fit(module, datamodule, ckpt_path=ckpt_path)
        return trainer, module, first, start

    trainer, module, first, start = fit(partial(Adam, lr=0.01), 1)
    fitted = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    trainer.validate(module, datamodule=trainer.datamodule, ckpt_path=path, verbose=False)
    validated = {name: trainer.callback_metrics[name] for name in fitted}
    iterations = [fit(partial(Adam, lr=0.01), 2, path)[1].iteration]
    fit(partial(SGD, lr=0.01), 1)
    iterations.append(fit(partial(SGD, lr=0.01), 2, path)[1].iteration)
    try:
        error = f"trained {fit(partial(SGD, lr=1e30), 2)[1].iteration} steps"
    except DivergenceError as found:
        error = str(found)
    return {
        "first": first,
        "start": start.weights,
        "validation": difference(fitted, validated),
        "iterations": iterations,
        "error": error,
    }


def compare_batch_norm(processes: list[dict[str, Any]]) -> dict[str, Any]:
    first = {name: value for name, value in processes[0]["first"].items() if name in processes[0]["start"]}
    return {
        "start": max(difference(each["start"], first) for each in processes),
        "validation": max(each["validation"] for each in processes),
        "iterations": processes[0]["iterations"],
        "errors": [each["error"] for each in processes],
    }


# -- processes -------------------------------------------------------------------------------------------------


def work(process: Process, largest: int, folder: Path, data: Path, kinds: list[str], seed: int) -> None:
    torch.set_num_threads(1)
    arguments = folder, data, seed
    content: dict[str, Any] = {name: run_case(name, process, "ddp", largest, *arguments) for name in CASES}
    if process.size > 1:
        content |= {f"resumed {kind}": run_kind(kind, process, "ddp", *arguments) for kind in kinds}
        content |= {f"fsdp2 {name}": run_case(name, process, "fsdp2", largest, *arguments) for name in SHARDED["cases"]}
        content["fsdp2 batch_norm"] = run_batch_norm(process, folder, data)
        content |= {f"resumed fsdp2 {kind}": run_kind(kind, process, "fsdp2", *arguments) for kind in SHARDED["kinds"]}
    torch.save(content, folder / f"{process.size}_{process.rank}.pt")


def fork(process: Process, port: int, *arguments: Any) -> int:
    child = os.fork()
    if child == 0:
        if process.size > 1:  # the variables of torchrun
            os.environ |= {
                **{name: str(process.rank) for name in ("RANK", "LOCAL_RANK")},
                **{name: str(process.size) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")},
                "GROUP_RANK": "0",
                "TORCHELASTIC_RUN_ID": "test",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
        work(process, *arguments)
        sys.exit()
    return child


def main(folder: Path, data: Path, size: int, kinds: list[str], seed: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    everyone = [Process(0, 1), *(Process(rank, size) for rank in range(size))]
    children = [fork(process, port, size, folder, data, kinds, seed) for process in everyone]
    statuses = [os.waitpid(child, 0)[1] for child in children]
    if any(statuses):
        sys.exit(1)
    one, *processes = (
        torch.load(folder / f"{process.size}_{process.rank}.pt", weights_only=True) for process in everyone
    )
    report = {}
    for name in processes[0]:
        found = [each[name] for each in processes]
        if name == "fsdp2 batch_norm":
            report[name] = compare_batch_norm(found)
        elif name.startswith("resumed"):
            report[name] = compare_kind(found)
        else:
            report[name] = compare_case(found, one[name.removeprefix("fsdp2 ")])
    for kind in SHARDED["kinds"]:
        report[f"files {kind}"] = compare_files(*(folder / name / kind / "last.ckpt" for name in ("ddp", "fsdp2")))
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4].split(","), int(sys.argv[5]))
