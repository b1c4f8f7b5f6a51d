from __future__ import annotations

import math
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec, to_float_images, to_uint8_images
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import (
    FilteredSynthesizer,
    JitterSynthesizer,
    PooledSynthesizer,
    StoredSynthesizer,
    Synthesizer,
)

SPEC = DataSpec((1, 2, 2), 3)


class Numbered(Synthesizer):
    """Images with the gray level of a counter, which indicates when an image was drawn."""

    def __init__(self) -> None:
        self.drawn = 0

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        self.labels = labels

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        levels = torch.arange(self.drawn, self.drawn + n, dtype=torch.uint8)
        self.drawn += n
        return to_float_images(levels.view(-1, 1, 1, 1).expand(n, 1, 2, 2)), levels.long() % 3


class Noise(Synthesizer):
    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        pass

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        return torch.rand(n, 1, 2, 2, generator=generator) * 2 - 1, torch.zeros(n, dtype=torch.long)


class ConstantTeacher(nn.Module):
    """Predict class 0 for all samples."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.tensor([[2.0, 0.0, 0.0]]).expand(len(inputs), 3)


def fitted(pool: PooledSynthesizer) -> PooledSynthesizer:
    pool.fit(None, torch.tensor([0, 1, 2]), SPEC)
    return pool


def levels(pool: PooledSynthesizer, n: int = 400) -> set[int]:
    """The gray levels in the pool, seen through enough draws."""
    samples, labels = pool.sample(n, torch.Generator().manual_seed(0))
    found = to_uint8_images(samples)[:, 0, 0, 0].long()
    assert torch.equal(found % 3, labels)
    return set(found.tolist())


def test_the_oldest_share_is_replaced_each_epoch() -> None:
    pool = fitted(PooledSynthesizer(Numbered(), size=8, refresh=0.25))
    pool.start_epoch(0, seed=0)
    assert levels(pool) == set(range(8))
    pool.start_epoch(1, seed=0)
    assert levels(pool) == {*range(2, 8), 8, 9}
    pool.start_epoch(2, seed=0)
    assert levels(pool) == {*range(4, 12)}
    for epoch in (3, 4, 5):
        pool.start_epoch(epoch, seed=0)
    assert levels(pool) == set(range(10, 18))


@pytest.mark.parametrize(("refresh", "kept"), [(0.0, set(range(5))), (1.0, {10, 11, 12, 13, 14})])
def test_all_or_nothing_is_replaced(refresh: float, kept: set[int]) -> None:
    pool = fitted(PooledSynthesizer(Numbered(), size=5, refresh=refresh))
    for epoch in range(3):
        pool.start_epoch(epoch, seed=0)
    assert levels(pool) == kept


@pytest.mark.parametrize("refresh", [0.0, 0.3, 0.5, 1.0])
def test_a_resumed_run_has_the_same_pool(refresh: float) -> None:
    undisturbed = fitted(PooledSynthesizer(Noise(), size=10, refresh=refresh))
    for epoch in range(8):
        undisturbed.start_epoch(epoch, seed=3)
        resumed = fitted(PooledSynthesizer(Noise(), size=10, refresh=refresh))
        resumed.start_epoch(epoch, seed=3)
        draws = [pool.sample(50, torch.Generator().manual_seed(1))[0] for pool in (undisturbed, resumed)]
        assert torch.equal(*draws)
    other = fitted(PooledSynthesizer(Noise(), size=10, refresh=refresh))
    other.start_epoch(7, seed=4)
    assert not torch.equal(other.sample(50, torch.Generator().manual_seed(1))[0], draws[0])


class OfEpoch(Noise):
    """Noise that is shifted by a number drawn at the start of the epoch."""

    def start_epoch(self, epoch: int, seed: int) -> None:
        self.shift = torch.rand(1, generator=torch.Generator().manual_seed(seed * 100 + epoch))

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        samples, labels = super().sample(n, generator)
        return (samples + self.shift).clamp(-1, 1), labels


@pytest.mark.parametrize("wrap", [OfEpoch, lambda: FilteredSynthesizer(OfEpoch(), ConstantTeacher())])
def test_epochs_of_the_wrapped_synthesizer(wrap: Callable[[], Synthesizer]) -> None:
    """A block is drawn in the epoch that it belongs to, also in a resumed run."""
    undisturbed = fitted(PooledSynthesizer(wrap(), size=10, refresh=0.3))
    for epoch in range(5):
        undisturbed.start_epoch(epoch, seed=3)
    resumed = fitted(PooledSynthesizer(wrap(), size=10, refresh=0.3))
    resumed.start_epoch(4, seed=3)
    draws = [pool.sample(50, torch.Generator().manual_seed(1))[0] for pool in (undisturbed, resumed)]
    assert torch.equal(*draws)


def test_logits_belong_to_their_samples_also_after_a_replacement() -> None:
    pool = fitted(PooledSynthesizer(Noise(), size=12, refresh=0.25))
    pool.start_epoch(0, seed=0)
    assert pool.sample_with_logits(4)[2] is None
    pool.set_teacher(lambda samples: samples.flatten(1) * 2)
    for epoch in range(3):
        pool.start_epoch(epoch, seed=0)
        samples, _, logits = pool.sample_with_logits(30)
        torch.testing.assert_close(logits, samples.flatten(1) * 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size: got 0"),
        ({"refresh": 1.5}, "refresh: got 1.5"),
        ({"folder": "pools"}, "refresh: got 0.25 with a folder, expected 0"),
    ],
)
def test_values_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PooledSynthesizer(Noise(), **arguments)


def test_drawing_before_an_epoch_has_started() -> None:
    with pytest.raises(ConfigurationError, match="not fitted"):
        PooledSynthesizer(Noise(), size=4).start_epoch(0, seed=0)
    with pytest.raises(ConfigurationError, match="not fitted"):
        fitted(PooledSynthesizer(Noise(), size=4)).sample(1)


class Jitter(Synthesizer):
    """Noise of a given scale, which counts its samples."""

    drawn = 0

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        self.labels = labels

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        type(self).drawn += n
        return torch.rand(n, 1, 2, 2, generator=generator) * self.scale, self.labels[torch.arange(n) % 3]


def shared(folder: Path, size: int = 12, scale: float = 1.0, seed: int = 0) -> PooledSynthesizer:
    pool = fitted(PooledSynthesizer(Jitter(scale), size=size, refresh=0, folder=str(folder)))
    pool.start_epoch(0, seed=seed)
    return pool


def draw(pool: PooledSynthesizer, seed: int = 0, n: int = 30) -> Tensor:
    return pool.sample(n, torch.Generator().manual_seed(seed))[0]


def test_shared_pool_is_drawn_once_for_all_seeds(tmp_path: Path) -> None:
    first = shared(tmp_path, seed=1)
    before = Jitter.drawn
    second = shared(tmp_path, seed=2)
    assert Jitter.drawn == before
    assert len(list(tmp_path.glob("*/samples.npy"))) == 1
    assert torch.equal(draw(first), draw(second))
    assert not torch.equal(draw(first, seed=0), draw(first, seed=1))  # another order
    (file,) = tmp_path.glob("*/samples.npy")
    shutil.rmtree(file.parent)
    assert torch.equal(draw(shared(tmp_path)), draw(first))  # drawn again, equally


@pytest.mark.parametrize("wrap", [Jitter, lambda: FilteredSynthesizer(Jitter(), ConstantTeacher(), 0)])
def test_a_shared_pool_that_is_fitted_again(tmp_path: Path, wrap: Callable[[], Synthesizer]) -> None:
    pool = PooledSynthesizer(wrap(), size=12, refresh=0, folder=str(tmp_path))
    for names in ((), (), ("a", "b", "c")):
        pool.fit(None, torch.tensor([0, 0, 0]), SPEC._replace(class_names=names))
        pool.start_epoch(0, seed=0)
    assert len(list(tmp_path.glob("*/samples.npy"))) == 2


def test_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shared(Path("~/pools"))
    assert len(list(tmp_path.glob("pools/*/samples.npy"))) == 1


@pytest.mark.parametrize("other", [{"size": 13}, {"scale": 0.5}])
def test_other_settings_have_another_pool(tmp_path: Path, other: dict[str, Any]) -> None:
    pools = [shared(tmp_path), shared(tmp_path, **other)]
    assert len(list(tmp_path.glob("*/samples.npy"))) == 2
    assert not torch.equal(*map(draw, pools))


def test_other_training_samples_or_precision_have_another_pool(tmp_path: Path) -> None:
    shared(tmp_path)
    pool = PooledSynthesizer(Jitter(), size=12, refresh=0, folder=str(tmp_path))
    pool.fit(None, torch.tensor([0, 0, 1]), SPEC)
    pool.start_epoch(0, seed=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        shared(tmp_path)
    assert len(list(tmp_path.glob("*/samples.npy"))) == 3


def test_processes_select_disjoint_samples_of_a_shared_pool(tmp_path: Path) -> None:
    seen = []
    for rank in range(3):
        pool = shared(tmp_path, size=13)
        pool.set_process(rank, 3)
        seen.append({tuple(sample) for sample in draw(pool, seed=rank, n=200).flatten(1).tolist()})
    assert [len(samples) for samples in seen] == [4, 4, 4]
    assert len(set.union(*seen)) == 12
    with pytest.raises(ConfigurationError, match="size: got 13 for 14 processes"):
        pool.set_process(0, 14)
    fitted(PooledSynthesizer(Noise(), size=13)).set_process(0, 14)  # each process has a pool


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"PooledSynthesizer.folder: .*: Not a directory"):
        shared(tmp_path / "file" / "pools")


class HalfRows(Jitter):
    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        images, labels = super().sample(n, generator)
        return images.flatten(1).bfloat16(), labels


def test_rows_of_half_precision_are_stored_in_float32(tmp_path: Path) -> None:
    pools = [fitted(PooledSynthesizer(HalfRows(), 12, 0, folder)) for folder in (None, str(tmp_path))]
    for pool in pools:
        pool.start_epoch(0, seed=0)
    one, other = map(draw, pools)
    assert one.dtype == torch.float32
    assert torch.equal(one, other)


class Counted(torch.nn.Module):
    calls = 0

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, samples: Tensor) -> Tensor:
        type(self).calls += 1
        return samples.flatten(1) * self.factor


def test_logits_of_a_shared_pool_are_computed_once_per_teacher(tmp_path: Path) -> None:
    for factor, calls in ((2.0, 1), (2.0, 1), (3.0, 2)):
        pool, teacher = shared(tmp_path), Counted(factor)
        pool.set_teacher(teacher, teacher)
        samples, _, logits = pool.sample_with_logits(20)
        assert torch.equal(logits, samples.flatten(1) * factor)
        assert Counted.calls == calls


def _fill(folder: Path, queue: Any) -> None:
    torch.set_num_threads(1)  # the threads of OpenMP do not exist in a forked process
    pool = shared(folder, size=3000)
    queue.put((Jitter.drawn, draw(pool).sum().item()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="forks")
def test_two_processes_fill_a_pool_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue, before = context.Queue(), Jitter.drawn
    processes = [context.Process(target=_fill, args=(tmp_path, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    drawn, sums = zip(*(queue.get(timeout=60) for _ in processes), strict=True)
    for process in processes:
        process.join()
    assert sorted(number - before for number in drawn) == [0, 0, 3000]
    assert len(set(sums)) == 1


@pytest.mark.parametrize("change", ["truncated", "overwritten", "replaced", "deleted"])
def test_a_shared_pool_that_changes_during_the_run(tmp_path: Path, change: str) -> None:
    """Without the check, reading a truncated file ends the process with SIGBUS."""
    pool = PooledSynthesizer(JitterSynthesizer(), size=4096, refresh=0.0, folder=str(tmp_path))
    pool.fit(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]), DataSpec((2,), 2))
    pool.start_epoch(0, seed=0)
    pool.sample(3)
    (file,) = tmp_path.glob("*/samples.npy")
    if change == "truncated":
        os.truncate(file, 200)
    elif change == "overwritten":
        content = file.read_bytes()
        with file.open("r+b") as opened:
            opened.write(content)
        os.utime(file, ns=(0, 0))  # as after the clock was set back
    elif change == "replaced":
        (tmp_path / "other").write_bytes(b"short")
        (tmp_path / "other").replace(file)
    else:
        file.unlink()
    if change in ("truncated", "overwritten"):
        with pytest.raises(ConfigurationError, match=r"samples\.npy: (resized from|overwritten).* during the run; del"):
            pool.sample(3)
    else:
        assert pool.sample(3)[0].shape == (3, 2)


@pytest.mark.parametrize(("value", "message"), [(math.nan, "got NaN or infinite"), (3.0, r"got images in \[3, 3\]")])
def test_invalid_samples_are_refused(value: float, message: str) -> None:
    """As bytes they would be black or white images."""

    class Constant(Noise):
        def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
            return torch.full((n, 1, 2, 2), value), torch.zeros(n, dtype=torch.long)

    with pytest.raises(ConfigurationError, match=rf"data\.synthesizer \(Constant\): {message}"):
        fitted(PooledSynthesizer(Constant(), size=4)).start_epoch(0, seed=0)


def test_a_file_that_changes_has_another_pool(tmp_path: Path) -> None:
    file = tmp_path / "stored.npz"

    def samples_of(level: int) -> set[int]:
        np.savez(file, images=np.full((3, 2, 2, 1), level, np.uint8))
        stored = StoredSynthesizer(str(file))
        pool = fitted(PooledSynthesizer(stored, size=4, refresh=0, folder=str(tmp_path / "pools")))
        pool.start_epoch(0, seed=0)
        return set(to_uint8_images(pool.sample(4)[0]).flatten().tolist())

    assert [samples_of(level) for level in (40, 70, 40)] == [{40}, {70}, {40}]
    assert len(list(tmp_path.glob("pools/*/samples.npy"))) == 2
