from __future__ import annotations

import multiprocessing
import os
import signal
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.pool_files import load_or_compute

CPU = torch.device("cpu")


def chunks(n: int = 3) -> Iterator[dict[str, Tensor]]:
    """Yield chunks of two images and their labels."""
    for step in range(n):
        images = torch.full((2, 1, 2, 2), step, dtype=torch.uint8)
        yield {"images": images.contiguous(memory_format=torch.channels_last), "labels": torch.tensor([step, -1])}


def no_chunks() -> Iterator[dict[str, Tensor]]:
    raise AssertionError("computed again")


def test_files_are_the_concatenated_chunks(tmp_path: Path) -> None:
    for compute in (chunks, no_chunks):
        tensors = load_or_compute(tmp_path / "pool", 6, compute, CPU)
        assert tensors["labels"].tolist() == [0, -1, 1, -1, 2, -1]
        assert tensors["images"].dtype == torch.uint8
        assert tensors["images"].flatten(1)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert np.load(tmp_path / "pool" / "images.npy").shape == (6, 1, 2, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pool", "pool.lock"]


def test_written_chunks_are_freed(tmp_path: Path) -> None:
    earlier: list[weakref.ref[Tensor]] = []

    def compute() -> Iterator[dict[str, Tensor]]:
        for chunk in chunks(5):
            assert [reference() is None for reference in earlier[:-1]] == [True] * len(earlier[:-1])
            earlier.append(weakref.ref(chunk["images"]))
            yield chunk

    load_or_compute(tmp_path / "pool", 10, compute, CPU)
    assert len(earlier) == 5


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="requires /proc")
def test_files_are_mapped_into_memory(tmp_path: Path) -> None:
    tensors = load_or_compute(tmp_path / "pool", 6, chunks, CPU)
    assert str(tmp_path / "pool" / "images.npy") in Path("/proc/self/maps").read_text()
    tensors["labels"][0] = 5  # a copy of the page in this process
    assert load_or_compute(tmp_path / "pool", 6, no_chunks, CPU)["labels"][0] == 0


def test_no_files_after_an_error(tmp_path: Path) -> None:
    def compute() -> Iterator[dict[str, Tensor]]:
        yield from chunks(1)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        load_or_compute(tmp_path / "pool", 6, compute, CPU)
    assert [path.name for path in tmp_path.iterdir()] == ["pool.lock"]


def _fill_and_die(folder: Path) -> None:
    torch.set_num_threads(1)  # the threads of OpenMP do not exist in a forked process

    def compute() -> Iterator[dict[str, Tensor]]:
        yield from chunks(2)
        os.kill(os.getpid(), signal.SIGKILL)

    load_or_compute(folder, 6, compute, CPU)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="forks")
def test_a_killed_process_leaves_no_pool(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_fill_and_die, args=(tmp_path / "pool",))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pool.lock", "pool.part"]
    assert load_or_compute(tmp_path / "pool", 6, chunks, CPU)["labels"].tolist() == [0, -1, 1, -1, 2, -1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pool", "pool.lock"]


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_damaged_file(tmp_path: Path, damage: bytes | None) -> None:
    load_or_compute(tmp_path / "pool", 6, chunks, CPU)
    file = tmp_path / "pool" / "images.npy"
    file.write_bytes(file.read_bytes()[:-1] if damage is None else damage)
    with pytest.raises(ConfigurationError, match=r"images.npy is damaged; delete .*pool$"):
        load_or_compute(tmp_path / "pool", 6, no_chunks, CPU)


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"PooledSynthesizer.folder: .*pool: (Not a directory|File exists)"):
        load_or_compute(tmp_path / "file" / "pool", 6, chunks, CPU)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), FileNotFoundError(2, "No such file")])
def test_errors_of_a_draw_are_not_those_of_the_folder(tmp_path: Path, error: Exception) -> None:
    def draw() -> Iterator[dict[str, Tensor]]:
        yield {"samples": torch.zeros(1)}
        raise error

    with pytest.raises(type(error)) as raised:
        load_or_compute(tmp_path / "pool", 2, draw, torch.device("cpu"))
    assert raised.value is error
    assert not (tmp_path / "pool.part").exists()
