"""Shared fixtures: number of threads, seeds, and a tiny data set that small networks learn in a few steps."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.runs.checkpoint_callback import RunModelCheckpoint
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO
from ganmc_lightning.runs.csv_logger import ResumableCSVLogger

THIRD_PARTY_WARNINGS = (
    "ignore:.*LeafSpec.* is deprecated:FutureWarning",
    "ignore:.*LeafSpec.* is deprecated:DeprecationWarning",
    # Means are logged once per epoch for any interval, and the tiny data set has few batches.
    "ignore:.*smaller than the logging interval:UserWarning",
    "ignore:.*does not have many workers:UserWarning",
    # pytest-xdist has its own thread; forked children do not use its locks.
    "ignore:.*use of fork.* may lead to deadlocks:DeprecationWarning",
    # Raised once, when Python compiles torchao, which transformers imports.
    "ignore:invalid escape sequence:DeprecationWarning",
    "ignore:invalid escape sequence:SyntaxWarning",
)


# Lightning calls deprecated names of jsonargparse; the bound in pyproject.toml keeps them available.
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=int, default=None, help="number of cases of each campaign (marker slow)")
    parser.addoption("--figures", type=Path, default=None, help="folder for the figures of the campaigns, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    for line in THIRD_PARTY_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


def pytest_report_header() -> str:
    capability = torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, instruction set {capability}, {threads()} threads"


def threads() -> int:
    """Return OMP_NUM_THREADS, or 1 if it is not set."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    """Set the number of threads, silence Lightning's log, restore SIGINT, and remove a seed of Lightning.

    A background job of a shell ignores SIGINT, and so would the processes that tests start and interrupt.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(threads())
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    remove_seed()


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """Seed torch, remove the seed that Lightning stores in the environment, restore the handler of SIGINT."""
    remove_seed()  # set by fixtures of modules
    torch.manual_seed(0)
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)
    remove_seed()  # fixtures of the next module, and processes that they start, would use it


def remove_seed() -> None:
    """Remove the seed that Lightning's ``seed_everything`` stores in the environment."""
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS"):
        os.environ.pop(name, None)


def tiny_split(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with a bright bar at a class-dependent position: uint8 (n, 8, 8, 1) and labels of 3 classes."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 3)
    images = rng.integers(0, 60, (n, 8, 8, 1))
    for label in range(3):
        images[labels == label, :, 3 * label : 3 * label + 2] += 150
    return images.astype(np.uint8), labels


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a data root with ``tiny.npz``: 120 training and 40 test images."""
    root = tmp_path_factory.mktemp("data")
    (images, labels), (test_images, test_labels) = tiny_split(120, seed=0), tiny_split(40, seed=1)
    np.savez(
        root / "tiny.npz",
        train_images=images,
        train_labels=labels,
        test_images=test_images,
        test_labels=test_labels,
    )
    return root


@pytest.fixture
def make_data(data_root: Path) -> Callable[..., GANAugmentedDataModule]:
    """Return a factory of data modules on the tiny data set."""

    def make(batch_size: int = 32, **arguments: Any) -> GANAugmentedDataModule:
        arguments.setdefault("root", str(data_root))
        source = arguments.pop("dataset", None) or NpzFile(data_root / "tiny.npz")
        return GANAugmentedDataModule(source, batch_size=batch_size, **arguments)

    return make


@pytest.fixture
def make_trainer(tmp_path: Path) -> Callable[..., Trainer]:
    """Return a factory of trainers without output, on the CPU by default."""

    def make(**arguments: Any) -> Trainer:
        quiet = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "num_sanity_val_steps": 0}
        return Trainer(
            **{**quiet, "default_root_dir": tmp_path, **arguments},
            devices=1,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    return make


@pytest.fixture
def make_run_trainer(make_trainer: Callable[..., Trainer]) -> Callable[..., Trainer]:
    """Return a factory of trainers that write a run folder as ``ganmc fit`` does."""

    def make(
        folder: Path, callbacks: Iterable[Callback] = (), checkpoint: dict[str, Any] | None = None, **arguments: Any
    ) -> Trainer:
        saving = RunModelCheckpoint(folder / "checkpoints", **(checkpoint or {}))
        return make_trainer(
            default_root_dir=folder,
            logger=ResumableCSVLogger(str(folder)),
            plugins=[AtomicCheckpointIO()],
            enable_checkpointing=True,
            callbacks=[*callbacks, saving],
            log_every_n_steps=3,
            **arguments,
        )

    return make
