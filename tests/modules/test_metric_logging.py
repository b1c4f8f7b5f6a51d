from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch.utils._python_dispatch import TorchDispatchMode

from ganmc_lightning.batch import UNKNOWN_LABEL, Batch
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.modules import ClassifierModule, DistillationModule
from ganmc_lightning.modules.metric_logging import StepMeans
from ganmc_lightning.networks import MLPClassifier


def test_means_since_the_last_time() -> None:
    means = StepMeans()
    weight = torch.tensor(2.0, requires_grad=True)
    stacked = means.update({"loss": weight * 1, "accuracy": torch.tensor(0.5)})
    assert stacked.tolist() == [2.0, 0.5]
    assert not stacked.requires_grad
    means.update({"loss": weight * 2, "accuracy": torch.tensor(1.0)})
    computed = means.compute_and_reset("step")
    assert {name: value.item() for name, value in computed.items()} == {"loss": 3.0, "accuracy": 0.75}
    assert not computed["loss"].requires_grad
    assert means.compute_and_reset("step") == {}
    means.update({"loss": torch.tensor(9.0), "accuracy": torch.tensor(0.0)})
    assert {name: value.item() for name, value in computed.items()} == {"loss": 3.0, "accuracy": 0.75}  # a copy
    assert means.compute_and_reset("step")["loss"] == 9.0
    assert means.compute_and_reset("epoch") == {"loss": 5.0, "accuracy": 0.5}
    assert means.compute_and_reset("epoch") == {}


def test_means_of_values_that_some_steps_lack() -> None:
    """The generator of a GAN is updated in every third step."""
    losses = [float(step) for step in range(1, 8)]
    means = StepMeans()
    for step, loss in enumerate(losses):
        extra = {"loss_generator": torch.tensor(10 * loss)} if step % 3 == 2 else {}
        means.update({"loss_discriminator": torch.tensor(loss), **extra})
    assert means.compute_and_reset("epoch") == {"loss_discriminator": 4.0, "loss_generator": 45.0}


def test_values_are_not_changed_in_place() -> None:
    means, value = StepMeans(), torch.tensor(1.0)
    first = means.update({"loss": value})
    means.update({"loss": value})
    assert value == first == 1.0


def test_state_dict_round_trip() -> None:
    """The sum of a resumed run is equal to that of an uninterrupted one, also in rounding."""
    values = torch.rand(30, generator=torch.Generator().manual_seed(0))
    first, second = StepMeans(), StepMeans()
    for step, value in enumerate(values):
        first.update({"loss": value} if step % 2 else {"loss": value, "penalty": value})
        if step == 6:
            first.compute_and_reset("step")
        if step == 16:
            state = first.state_dict()
    second.load_state_dict(state, torch.device("cpu"))
    for step, value in enumerate(values):
        if step > 16:
            second.update({"loss": value} if step % 2 else {"loss": value, "penalty": value})
    assert first.compute_and_reset("step") == second.compute_and_reset("step")
    assert first.compute_and_reset("epoch") == second.compute_and_reset("epoch")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_of_half_precision_are_wider(dtype: torch.dtype) -> None:
    """In bfloat16 a sum of ones stops at 256, in float16 one of hundreds is infinite after 600 steps."""
    means = StepMeans()
    for _ in range(1000):
        means.update({"one": torch.ones((), dtype=dtype), "many": torch.full((), 120.0, dtype=dtype)})
    computed = means.compute_and_reset("step")
    assert {name: value.item() for name, value in computed.items()} == {"one": 1.0, "many": 120.0}
    assert computed["one"].dtype == torch.float32


def test_double_precision_is_kept() -> None:
    means = StepMeans()
    means.update({"loss": torch.tensor(1.0, dtype=torch.float64)})
    assert means.compute_and_reset("step")["loss"].dtype == torch.float64


def test_a_step_needs_two_operations() -> None:
    """Stack and add, for any number of scalars."""
    means, values = StepMeans(), {name: torch.tensor(1.0, requires_grad=True) for name in "abcdefgh"}
    means.update(values)
    with CountOperations() as operations:
        means.update(values)
    assert operations.names == ["aten.stack.default", "aten.add_.Tensor"]


class CountOperations(TorchDispatchMode):
    """Record the names of the operations inside the context."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("stage", ["val", "test"])
def test_metrics_are_means_over_the_split(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], stage: str
) -> None:
    """12 and 40 samples in batches of 7: a mean of the batches' means would be wrong."""
    network = MLPClassifier(64, 3)
    modules: list[LightningModule] = [
        ClassifierModule(network),
        DistillationModule(teacher=MLPClassifier(64, 3), student=network),
    ]
    for module in modules:
        data, trainer = make_data(batch_size=7), make_trainer()
        run = trainer.validate if stage == "val" else trainer.test
        (scores,) = run(module, datamodule=data, verbose=False)
        inputs, labels = data.samples(stage)
        with torch.no_grad():
            logits = network(inputs.float() * (2 / 255) - 1)
        log_likelihoods = logits.log_softmax(dim=1)[torch.arange(len(labels)), labels]
        assert scores.keys() == {f"{stage}/accuracy", f"{stage}/cross_entropy"}
        assert scores[f"{stage}/accuracy"] == pytest.approx(
            (logits.argmax(dim=1) == labels).double().mean().item(), rel=1e-5, abs=1e-6
        )
        assert scores[f"{stage}/cross_entropy"] == pytest.approx(-log_likelihoods.mean().item(), rel=1e-5, abs=1e-6)


class PartlyLabeled(GANAugmentedDataModule):
    """A data module that hides the labels of its first classes."""

    def __init__(self, *arguments: Any, hidden: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.hidden = hidden

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        return batch._replace(labels=batch.labels.masked_fill(batch.labels < self.hidden, UNKNOWN_LABEL))


@pytest.mark.parametrize("hidden", [2, 3])
def test_samples_without_a_label_are_excluded(
    data_root: Path, make_trainer: Callable[..., Trainer], hidden: int
) -> None:
    data = PartlyLabeled(NpzFile(data_root / "tiny.npz"), batch_size=7, hidden=hidden)
    network = MLPClassifier(64, 3)
    (metrics,) = make_trainer().test(ClassifierModule(network), datamodule=data, verbose=False)
    inputs, labels = data.samples("test")
    with torch.no_grad():
        logits = network(inputs.float() * (2 / 255) - 1)[labels >= hidden]
    known = labels[labels >= hidden]
    accuracy = (logits.argmax(dim=1) == known).double().mean().item() if len(known) else 0.0
    assert metrics["test/accuracy"] == pytest.approx(accuracy, rel=1e-5, abs=1e-6)
    expected = torch.nn.functional.cross_entropy(logits, known).item() if len(known) else 0.0
    assert metrics["test/cross_entropy"] == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.filterwarnings(r"ignore:.*`Trainer\(barebones=True\)`:UserWarning")
@pytest.mark.parametrize("options", [{"log_every_n_steps": 0}, {"barebones": True}])
def test_no_logging_of_steps(options: dict[str, Any], data_root: Path) -> None:
    """Lightning's ``log_every_n_steps`` is 0 with ``barebones``."""
    quiet = {} if "barebones" in options else {"logger": False, "enable_checkpointing": False}
    trainer = Trainer(max_epochs=1, accelerator="cpu", **quiet, **options)
    data = GANAugmentedDataModule(NpzFile(data_root / "tiny.npz"), batch_size=40)
    trainer.fit(ClassifierModule(MLPClassifier(64, 3)), data)
    assert trainer.global_step == 2
    assert not any(name.endswith("_step") for name in trainer.callback_metrics)
