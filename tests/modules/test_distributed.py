"""Two gloo processes on the CPU with DDP and FSDP2: one network, one data set, one run folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import FSDPStrategy

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules import CompressionModule
from ganmc_lightning.modules.sharding import FullyShardedStrategy

SCRIPT = Path(__file__).with_name("distributed_worker.py")
TRAINED = {
    "classifier": ["network"],
    "distillation_pool": ["student"],
    "distillation_shared_pool": ["student"],
    "hints": ["loss", "student"],
    "anc": ["discriminator", "projection", "student"],
    "gan": ["discriminator", "generator"],
    "wgan": ["discriminator", "generator"],
    "wgan_gp": ["discriminator", "generator"],
    "acgan": ["discriminator", "generator"],
    "gan_compression": ["student"],
    "gan_compression_joint": ["discriminator", "student"],
    "fsdp2 classifier": ["network"],
    "fsdp2 distillation_pool": ["student"],
}
TRAINED_KINDS = ["distillation", "anc", "acgan", "joint"]
KINDS = [*TRAINED_KINDS, "fsdp2 distillation"]
Report = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Report:
    """Return the differences between the processes, and between them and one process."""
    done = subprocess.run(
        [
            sys.executable,
            SCRIPT,
            tmp_path_factory.mktemp("ddp"),
            data_root / "tiny.npz",
            "2",
            ",".join(TRAINED_KINDS),
            "0",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=1200,  # for a hang, not for a slow machine
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Report = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("case", TRAINED)
def test_processes_equal_one_process_with_larger_batches(report: Report, case: str) -> None:
    found = report[case]
    assert found["moved"] == TRAINED[case]
    assert found["parameters"] < 1e-5
    assert found["metrics"] < 1e-5
    assert {name.partition("/")[0] for name in found["names"]} == {"train", "trainer", "val"}
    assert any(name.endswith("_step") for name in found["names"])


@pytest.mark.parametrize("kind", KINDS)
def test_all_processes_have_the_same_state(report: Report, kind: str) -> None:
    """Weights, running statistics, averages and optimizers."""
    assert report[f"resumed {kind}"]["processes"] == ""
    assert report[f"resumed {kind}"]["iteration"] == 12  # 108 samples, two shares, nine a batch, two epochs


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_processes_equal_uninterrupted_ones(report: Report, kind: str) -> None:
    """Bit for bit, in the middle of an epoch and at its end: also metrics and random state of each process."""
    assert report[f"resumed {kind}"]["resumed"] == {"3": "", "6": ""}


def test_fsdp2_starts_with_the_weights_of_the_first_process(report: Report) -> None:
    """Which have another seed in each process; those of convolutions are channels-last, as on CUDA."""
    assert report["fsdp2 batch_norm"]["start"] == 0.0


def test_fsdp2_validates_with_the_running_statistics_of_the_first_process(report: Report) -> None:
    assert report["fsdp2 batch_norm"]["validation"] == 0.0


def test_fsdp2_resumes_without_state_of_the_optimizer(report: Report) -> None:
    """That of SGD without momentum; a second parameter has no gradient."""
    assert report["fsdp2 batch_norm"]["iterations"] == [6, 6]


def test_fsdp2_stops_at_divergence_in_all_processes(report: Report) -> None:
    assert all("diverged" in error for error in report["fsdp2 batch_norm"]["errors"])


def test_checkpoints_of_fsdp2_are_those_of_ddp(report: Report) -> None:
    """Therefore one process resumes from them, and loads the network."""
    assert max(report["files distillation"].values()) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_real_samples_are_shared_out_and_synthetic_ones_differ(report: Report, kind: str) -> None:
    found = report[f"resumed {kind}"]
    assert found["all_real"] == sum(found["real"]) == (54 if kind.endswith("distillation") else 108)
    assert found["all_drawn"] == sum(found["drawn"])
    assert bool(found["all_drawn"]) == (kind != "anc")


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_first_process_writes(report: Report, kind: str) -> None:
    first, second = report[f"resumed {kind}"]["written"]
    assert first > 0
    assert second == 0


def test_ddp_does_not_copy_buffers_of_the_teacher(report: Report) -> None:
    """Of its batch normalization; the student has none."""
    assert report["resumed distillation"]["copied"] == [[], []]


class CPUShardedStrategy(FSDPStrategy):
    """FSDP, which Lightning accepts on the CPU only as a subclass."""


@pytest.mark.parametrize("kind", ["acgan", "anc", "distillation", "hints"])
def test_other_strategies_are_refused(
    kind: str,
    make_module: Callable[..., CompressionModule],
    make_data: Callable[..., GANAugmentedDataModule],
    make_trainer: Callable[..., Trainer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = make_trainer()
    monkeypatch.setattr(trainer._accelerator_connector, "strategy", CPUShardedStrategy())
    module = make_module(kind)
    module.trainer = trainer
    expected = "ddp or fsdp2" if kind == "distillation" else "ddp, the only strategy"
    with pytest.raises(ConfigurationError, match=rf"^trainer\.strategy: got CPUShardedStrategy, expected {expected}"):
        module.setup("fit")
    monkeypatch.setattr(trainer._accelerator_connector, "strategy", FullyShardedStrategy())
    with (
        nullcontext() if kind == "distillation" else pytest.raises(ConfigurationError, match="got fsdp2, expected ddp")
    ):
        module.setup("fit")
