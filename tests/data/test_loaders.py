"""Both loaders must return equal batches, so every test runs on both."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganmc_lightning.data.datasets.base import TensorDataset
from ganmc_lightning.data.loaders import InMemoryLoader, ResumableDataLoader, ResumableDistributedSampler
from ganmc_lightning.exceptions import ConfigurationError

Loader = InMemoryLoader | ResumableDataLoader
MakeLoader = Callable[..., Loader]


@pytest.fixture(params=["device", "file"])
def make_loader(request: pytest.FixtureRequest) -> MakeLoader:
    """Create a loader of ``size`` samples; sample k is the number k with label 10 k."""

    def make(size: int, batch_size: int, seed: int | None, rank: int = 0, world_size: int = 1) -> Loader:
        order = ResumableDistributedSampler(size, rank, world_size, seed)
        inputs, labels = torch.arange(float(size)).view(-1, 1), torch.arange(size) * 10
        drop_last = seed is not None
        if request.param == "device":
            return InMemoryLoader(inputs, labels, order, batch_size, drop_last)
        return ResumableDataLoader(
            TensorDataset(inputs, labels), order, batch_size, drop_last=drop_last, num_workers=0, pin_memory=False
        )

    return make


def numbers(batches: object) -> list[list[int]]:
    """Return the samples of each batch, after checking their labels."""
    result = []
    for inputs, labels, *_ in batches:  # type: ignore[attr-defined]
        assert torch.equal(inputs.flatten() * 10, labels.float())
        result.append([int(number) for number in inputs])
    return result


def epoch(loader: Loader, number: int) -> list[list[int]]:
    loader.sampler.set_epoch(number)
    return numbers(loader)


def flat(batches: list[list[int]]) -> list[int]:
    return [number for batch in batches for number in batch]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_training_shards_are_disjoint_and_cover_the_set(make_loader: MakeLoader, world_size: int) -> None:
    shards = [flat(epoch(make_loader(20, 1, 5, rank, world_size), 0)) for rank in range(world_size)]
    seen = [number for shard in shards for number in shard]
    assert len(seen) == len(set(seen)) == 20 - 20 % world_size
    assert {len(shard) for shard in shards} == {20 // world_size}  # equal numbers of steps on all ranks


def test_samples_left_out_by_sharding_change_with_the_epoch(make_loader: MakeLoader) -> None:
    loaders = [make_loader(20, 1, 5, rank, 3) for rank in range(3)]
    seen = {number for k in range(8) for loader in loaders for number in flat(epoch(loader, k))}
    assert seen == set(range(20))


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 10, 11, 12])
def test_evaluation_sees_every_sample_exactly_once(make_loader: MakeLoader, size: int, world_size: int) -> None:
    loaders = [make_loader(size, 4, None, rank, world_size) for rank in range(world_size)]
    batches = [epoch(loader, 0) for loader in loaders]
    assert sorted(flat(flat_batches := [batch for shard in batches for batch in shard])) == list(range(size))
    assert [len(loader) for loader in loaders] == [len(shard) for shard in batches]
    if world_size == 1:
        assert flat(flat_batches) == list(range(size))  # in the order of the data set


def test_epochs_are_shuffled_anew_and_seeds_differ(make_loader: MakeLoader) -> None:
    loader = make_loader(40, 8, 5)
    first, second = epoch(loader, 0), epoch(loader, 1)
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(40))
    assert first != second
    assert flat(first) != list(range(40))
    assert epoch(make_loader(40, 8, 5), 0) == first
    assert epoch(loader, 0) == first
    assert epoch(make_loader(40, 8, 6), 0) != first


def test_training_batches_are_full(make_loader: MakeLoader) -> None:
    loader = make_loader(22, 4, 5)
    batches = epoch(loader, 0)
    assert [len(batch) for batch in batches] == [4] * 5
    assert len(loader) == 5
    assert len(loader.sampler) == 22


@pytest.mark.parametrize("done", [0, 1, 3, 5])
def test_resume_in_mid_epoch_gives_the_remaining_batches(make_loader: MakeLoader, done: int) -> None:
    loader = make_loader(22, 4, 5)
    whole, following = epoch(loader, 2), epoch(loader, 3)
    loader.sampler.set_epoch(2)
    batches = iter(loader)
    before = [[int(number) for number in next(batches)[0]] for _ in range(done)]
    state = loader.state_dict()

    resumed = make_loader(22, 4, 5)
    resumed.load_state_dict(state)
    after = epoch(resumed, 2)
    assert before + after == whole
    assert epoch(resumed, 3) == following
    assert resumed.state_dict() == {"epoch": 3, "batches": 5, "batch_size": 4}


def test_resume_at_the_end_of_an_epoch_starts_the_next_one_whole(make_loader: MakeLoader) -> None:
    loader = make_loader(22, 4, 5)
    epoch(loader, 2)
    following = epoch(make_loader(22, 4, 5), 3)
    resumed = make_loader(22, 4, 5)
    resumed.load_state_dict({"epoch": 2, "batches": 5})
    assert epoch(resumed, 3) == following


def test_resume_twice_in_one_epoch(make_loader: MakeLoader) -> None:
    whole = epoch(make_loader(22, 4, 5), 0)
    state, got = {"epoch": 0, "batches": 0}, []
    for count in (1, 2, 2):
        loader = make_loader(22, 4, 5)
        loader.load_state_dict(state)
        loader.sampler.set_epoch(0)
        batches = iter(loader)
        got += [[int(number) for number in next(batches)[0]] for _ in range(count)]
        state = loader.state_dict()
    assert got == whole


def test_resume_in_mid_epoch_with_another_batch_size(make_loader: MakeLoader) -> None:
    """Batches are counted, so that another size would repeat or skip samples; a new epoch has any size."""
    loader = make_loader(22, 4, 5)
    next(iter(loader))
    other = make_loader(22, 2, 5)
    other.load_state_dict(loader.state_dict())
    with pytest.raises(ConfigurationError, match="got 2 samples in a batch of all processes, expected 4"):
        epoch(other, 0)
    other.load_state_dict(loader.state_dict())
    assert epoch(other, 1) == epoch(make_loader(22, 2, 5), 1)


def test_a_pass_cut_short_does_not_shorten_the_next(make_loader: MakeLoader) -> None:
    loader = make_loader(22, 4, 5)
    next(iter(loader))
    assert epoch(loader, 0) == epoch(make_loader(22, 4, 5), 0)


def test_loading_keeps_the_global_random_state(make_loader: MakeLoader) -> None:
    state = torch.get_rng_state()
    epoch(make_loader(22, 4, 5), 0)
    epoch(make_loader(22, 4, None), 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_worker_processes_give_the_same_batches() -> None:
    inputs = torch.arange(22.0).view(-1, 1)
    data = TensorDataset(inputs, torch.arange(22) * 10)
    loader = ResumableDataLoader(
        data, ResumableDistributedSampler(22, 0, 1, 5), 4, drop_last=True, num_workers=1, pin_memory=False
    )
    alone = InMemoryLoader(inputs, data.labels, ResumableDistributedSampler(22, 0, 1, 5), 4, True)
    loader.load_state_dict({"epoch": 0, "batches": 2})
    assert epoch(loader, 0) == epoch(alone, 0)[2:]
    assert loader.state_dict() == {"epoch": 0, "batches": 5, "batch_size": 4}  # those handed out, not those made ahead
    assert epoch(loader, 1) == epoch(alone, 1)
    del loader


def test_in_memory_loader_returns_copies() -> None:
    inputs: Tensor = torch.zeros(4, 2)
    loader = InMemoryLoader(
        inputs, torch.zeros(4, dtype=torch.long), ResumableDistributedSampler(4, 0, 1, None), 4, False
    )
    next(iter(loader))[0].add_(1)  # in-place changes of a batch must not change the data set
    assert inputs.sum() == 0
