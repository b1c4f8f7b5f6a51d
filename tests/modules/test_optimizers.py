from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.cli import ReduceLROnPlateau
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import distribute_tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules import AdversarialCompressionModule, DistillationModule, optimizers
from ganmc_lightning.modules.optimizers import choose_implementation, with_schedules
from ganmc_lightning.networks import FeatureDiscriminator, MLPClassifier

KINDS = [Adam, AdamW, partial(SGD, lr=0.1, momentum=0.9)]


def fuse(monkeypatch: pytest.MonkeyPatch, *devices: str) -> None:
    """Use fused implementations on these devices only."""
    monkeypatch.setattr(optimizers, "FUSED", dict.fromkeys((Adam, AdamW, SGD), devices))


@pytest.fixture
def cpu_as_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat the CPU, which has fused implementations too, as CUDA."""
    fuse(monkeypatch, "cpu")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 1))


def train(model: nn.Module, optimizer: Optimizer, steps: int = 3) -> list[torch.Tensor]:
    for k in range(steps):
        optimizer.zero_grad()
        model(torch.full((2, 2, 4, 4), k + 1.0)).square().mean().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize(("kind", "fused"), [(Adam, True), (AdamW, True), (partial(SGD, lr=0.1), None)])
def test_on_the_cpu(kind: Callable[..., Optimizer], fused: bool | None) -> None:
    optimizer = kind(network().parameters())
    choose_implementation(optimizer)
    assert optimizer.param_groups[0]["fused"] is fused


def test_other_optimizers_do_not_change() -> None:
    optimizer = Adagrad(network().parameters())
    before = copy.deepcopy(optimizer.param_groups[0])
    choose_implementation(optimizer)
    assert {name: value for name, value in optimizer.param_groups[0].items() if name != "params"} == {
        name: value for name, value in before.items() if name != "params"
    }


@pytest.mark.usefixtures("cpu_as_cuda")
@pytest.mark.parametrize("make", KINDS)
def test_fused_steps_equal_those_of_the_default(make: Callable[..., Optimizer]) -> None:
    plain, fused = network(), network()
    optimizer = make(fused.parameters())
    choose_implementation(optimizer)
    assert optimizer.param_groups[0]["fused"] is True
    for one, other in zip(train(plain, make(plain.parameters())), train(fused, optimizer), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("cpu_as_cuda")
@pytest.mark.parametrize("make", [partial(Adam, foreach=False), partial(Adam, fused=False), partial(Adagrad, lr=0.1)])
def test_given_arguments_are_kept(make: Callable[..., Any]) -> None:
    optimizer = make(network().parameters())
    before = [optimizer.param_groups[0].get(name) for name in ("fused", "foreach")]
    choose_implementation(optimizer)
    assert [optimizer.param_groups[0].get(name) for name in ("fused", "foreach")] == before


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("fused_first", [True, False])
def test_state_of_another_device_and_memory_format(
    make: Callable[..., Optimizer], fused_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint of the fused implementation resumes with the default one, and the reverse."""

    def implementation(optimizer: Optimizer, fused: bool) -> None:
        fuse(monkeypatch, *["cpu"][:fused])
        choose_implementation(optimizer)

    first = network()
    optimizer = make(first.parameters())
    implementation(optimizer, fused_first)
    train(first, optimizer, steps=3)
    second = network().to(memory_format=torch.channels_last)
    second.load_state_dict(first.state_dict())
    resumed = make(second.parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    implementation(resumed, not fused_first)
    assert resumed.param_groups[0]["fused"] is (None if fused_first else True)
    for parameter, state in resumed.state.items():
        assert all(value.stride() == parameter.stride() for name, value in state.items() if name != "step")
    plain = make(first.parameters())
    plain.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, other in zip(train(second, resumed), train(first, plain), strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture
def process_group() -> Iterator[None]:
    """A group of one process."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("cpu_as_cuda", "process_group")
@pytest.mark.parametrize(("make", "fused"), [(Adam, True), (AdamW, True), (partial(SGD, lr=0.1), None)])
def test_sharded_parameters(make: Callable[..., Optimizer], fused: bool | None) -> None:
    parameter = nn.Parameter(distribute_tensor(torch.ones(3), init_device_mesh("cpu", (1,))))
    optimizer = make([parameter])
    choose_implementation(optimizer)
    assert optimizer.param_groups[0]["fused"] is fused
    parameter.square().sum().backward()
    optimizer.step()
    assert (parameter.full_tensor() < 1).all()


@pytest.mark.parametrize("kind", ["distillation", "anc"])
@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")
@pytest.mark.filterwarnings("ignore:.*ReduceLROnPlateau conditioned on metric:RuntimeWarning")
def test_schedule_that_depends_on_a_metric(
    make_data: Callable[..., Any], make_trainer: Callable[..., Trainer], kind: str
) -> None:
    """With patience 0 and an impossible threshold, each validation after the first multiplies the rate by 0.1."""
    schedule = partial(ReduceLROnPlateau, monitor="val/accuracy", mode="max", patience=0, threshold=9.0)
    sgd = partial(SGD, lr=1.0)
    networks = MLPClassifier(64, 3, (8,)), MLPClassifier(64, 3, (8,))
    module: Any
    if kind == "distillation":
        module = DistillationModule(*networks, optimizer=sgd, lr_scheduler=schedule)
    else:
        module = AdversarialCompressionModule(
            *networks, FeatureDiscriminator(8), student_optimizer=sgd, student_lr_scheduler=schedule
        )
    trainer = make_trainer(max_epochs=5, check_val_every_n_epoch=2)  # no metric before the end of the second epoch
    trainer.fit(module, make_data())
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-3)


@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")
def test_schedule_that_depends_on_an_unknown_metric(
    make_data: Callable[..., Any], make_trainer: Callable[..., Trainer]
) -> None:
    """The first epoch has no validation; the second has one, which does not log the metric."""
    module = AdversarialCompressionModule(
        MLPClassifier(64, 3, (8,)),
        MLPClassifier(64, 3, (8,)),
        FeatureDiscriminator(8),
        student_lr_scheduler=partial(ReduceLROnPlateau, monitor="val/acuracy"),
    )
    trainer = make_trainer(max_epochs=5, check_val_every_n_epoch=2)
    message = r"^ReduceLROnPlateau\.monitor: got 'val/acuracy', expected one of .*: .*, train/loss, .*val/accuracy, "
    with pytest.raises(ConfigurationError, match=message):
        trainer.fit(module, make_data())
    assert trainer.current_epoch == 1


def test_schedule_without_a_metric() -> None:
    optimizer = SGD(network().parameters(), lr=1.0)
    with pytest.raises(ConfigurationError, match=r"expected lightning\.pytorch\.cli\.ReduceLROnPlateau with monitor"):
        with_schedules((optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau))
