"""``trainer.precision: auto`` on several machines, in new, resumed and tested runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.fabric.accelerators import MPSAccelerator  # Lightning's own for Trainer asks this one
from lightning.pytorch.accelerators import CPUAccelerator
from torch import nn
from torch.optim import Adam

from ganmc_lightning.cli.precision import AutoPrecisionTrainer, precision_of_run
from ganmc_lightning.losses import L2LogitsLoss
from ganmc_lightning.modules import ClassifierModule, DistillationModule
from ganmc_lightning.runs import precision
from ganmc_lightning.runs.accelerator import resolve_accelerator
from ganmc_lightning.runs.precision import resolve_precision

INTEL = "flags\t\t: fpu avx512f avx512_bf16 amx_bf16 amx_tile\n"
AMD = "flags\t\t: fpu avx512f avx512_bf16\n"
OLD = "flags\t\t: fpu avx2 avx512f\n"
ARM = "Features\t: fp asimd bf16\n"


@pytest.fixture
def set_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace the description of the processor, on a machine without a GPU."""
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "CPUINFO", file)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    def write(text: str) -> None:
        file.write_text(f"processor\t: 0\n{text}", encoding="utf-8")

    return write


@pytest.mark.parametrize(
    ("cpu", "expected"), [(INTEL, "bf16-mixed"), (AMD, "bf16-mixed"), (OLD, "32-true"), (ARM, "32-true")]
)
@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_resolution_on_a_cpu(cpu: str, expected: str, accelerator: str, set_cpu: Any) -> None:
    set_cpu(cpu)
    assert resolve_precision(accelerator) == expected
    trainer = AutoPrecisionTrainer(accelerator=accelerator, logger=False, enable_checkpointing=False)
    assert trainer.precision == expected


def test_resolution_without_cpuinfo(set_cpu: Any) -> None:
    assert resolve_precision("cpu") == "32-true"


@pytest.mark.parametrize("accelerator", ["auto", "gpu", "cuda"])
@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_resolution_on_a_gpu(
    accelerator: str, supported: bool, expected: str, set_cpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cpu(OLD if supported else INTEL)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert resolve_precision(accelerator) == expected


def test_resolution_on_other_accelerators(set_cpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_cpu(INTEL)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert [resolve_precision(name) for name in ("auto", "mps", "tpu", "cpu")] == ["32-true"] * 3 + ["bf16-mixed"]


@pytest.mark.filterwarnings("ignore:GPU available but not used")
def test_automatic_accelerator_of_apple_computers(set_cpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics use float64, which Apple GPUs do not support."""
    set_cpu(INTEL)
    monkeypatch.setattr(MPSAccelerator, "is_available", lambda: True)
    trainer = AutoPrecisionTrainer(logger=False, enable_checkpointing=False)
    assert isinstance(trainer.accelerator, CPUAccelerator)
    assert [resolve_accelerator(name) for name in ("auto", "mps", "gpu")] == ["cpu", "mps", "gpu"]
    monkeypatch.setattr(MPSAccelerator, "is_available", lambda: False)
    assert resolve_accelerator("auto") == "auto"


def test_depthwise_convolutions_are_trained_in_float32_on_a_cpu(set_cpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    depthwise = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(nn.Conv2d(8, 128, 3, groups=8)))
    others = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=4), nn.Linear(8, 8))
    larger = nn.Sequential(nn.Conv2d(3, 8, 9), others)
    set_cpu(AMD)
    assert [resolve_precision("cpu", network) for network in (depthwise, others)] == ["32-true", "bf16-mixed"]
    modules = [DistillationModule(teacher, depthwise, L2LogitsLoss(), Adam) for teacher in (others, larger)]
    assert [resolve_precision("cpu", module) for module in modules] == ["32-true", "bf16-mixed"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert resolve_precision("auto", depthwise) == "bf16-mixed"


def _recorded(folder: Path) -> list[str]:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    result = json.loads((folder / "result.json").read_text())
    return [config["trainer"]["precision"], result["precision"]]


def test_a_run_keeps_its_precision_on_another_machine(
    ganmc: Any, configs: Any, tmp_path: Path, set_cpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    automatic = tmp_path / "automatic.yaml"
    automatic.write_text(configs.teacher.read_text().replace("precision: 32-true", "precision: auto"))
    first, second = tmp_path / "first", tmp_path / "second"

    def run(verb: str, folder: Path, *options: str) -> list[str]:
        outcome = ganmc(verb, "--config", automatic, "--trainer.default_root_dir", folder, *options)
        assert outcome.status == 0, outcome.err
        return [line for line in outcome.out.splitlines() if line.startswith("precision: ")]

    set_cpu(AMD)
    with monkeypatch.context() as depthwise:
        depthwise.setattr(precision, "_is_depthwise", lambda module: isinstance(module, ClassifierModule))
        assert run("fit", tmp_path / "depthwise") == ["precision: 32-true"]
    assert _recorded(tmp_path / "depthwise") == ["32-true", "32-true"]
    assert run("fit", first) == ["precision: bf16-mixed"]
    assert _recorded(first) == ["bf16-mixed", "bf16-mixed"]

    set_cpu(OLD)
    finished = ganmc("fit", "--config", automatic, "--trainer.default_root_dir", first)
    assert "already finished" in finished.out
    assert run("fit", second) == ["precision: 32-true"]
    assert _recorded(second) == ["32-true", "32-true"]
    resume = ("--trainer.max_epochs", "3", "--ckpt_path", str(first / "checkpoints" / "last.ckpt"))
    assert run("fit", first, *resume) == ["precision: bf16-mixed"]
    assert _recorded(first) == ["bf16-mixed", "bf16-mixed"]
    assert run("test", first) == ["precision: bf16-mixed"]
    assert run("test", first, "--trainer.precision", "32-true") == ["precision: 32-true"]
    assert ganmc("predict", "--config", first / "config.yaml").out.startswith("precision: bf16-mixed\n")


def test_precision_of_a_run(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    assert precision_of_run(checkpoint) == "auto"
    (tmp_path / "config.yaml").write_text("trainer: {precision: null}\n")  # Lightning's default, float32
    assert precision_of_run(checkpoint) is None
    (tmp_path / "config.yaml").write_text("trainer: {precision: 16-mixed}\n")
    assert precision_of_run(checkpoint) == "16-mixed"


def test_float16_autocast_on_a_cpu_is_bfloat16_with_a_warning(ganmc: Any, configs: Any, tmp_path: Path) -> None:
    options = ("--trainer.precision", "16-mixed", "--trainer.default_root_dir", tmp_path / "run")
    with pytest.warns(UserWarning, match="Using `precision='bf16-mixed'` instead"):
        outcome = ganmc("fit", "--config", configs.teacher, *options)
    assert outcome.status == 0
    assert "precision: bf16-mixed\n" in outcome.out
    assert json.loads((tmp_path / "run" / "result.json").read_text())["precision"] == "bf16-mixed"


def test_an_invalid_precision_is_one_line(ganmc: Any, configs: Any) -> None:
    outcome = ganmc("fit", "--config", configs.teacher, "--trainer.precision", "half")
    assert outcome.status == 2
    assert "trainer.precision" in outcome.err
    assert "half" in outcome.err
    assert outcome.err.count("\n") == 1
