from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from ganmc_lightning.batch import UNKNOWN_LABEL, Batch
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.modules import ClassifierModule, DistillationModule
from ganmc_lightning.modules.metric_logging import MeanAccumulator
from ganmc_lightning.networks import MLPClassifier


def test_means_since_the_last_time() -> None:
    means = MeanAccumulator()
    weight = torch.tensor(2.0, requires_grad=True)
    means.update({"loss": weight * 1, "rare": torch.tensor(5.0)})
    means.update({"loss": weight * 2})
    computed = means.compute_and_reset()
    assert {name: value.item() for name, value in computed.items()} == {"loss": 3.0, "rare": 5.0}
    assert not computed["loss"].requires_grad
    assert means.compute_and_reset() == {}
    means.update({"loss": torch.tensor(7.0)})
    assert means.compute_and_reset()["loss"] == 7.0


def test_values_are_not_changed_in_place() -> None:
    means, value = MeanAccumulator(), torch.tensor(1.0)
    means.update({"loss": value})
    means.update({"loss": value})
    assert value == 1.0


def test_state_dict_round_trip() -> None:
    first, second = MeanAccumulator(), MeanAccumulator()
    first.update({"loss": torch.tensor(1.0)})
    state = first.state_dict()
    first.update({"loss": torch.tensor(100.0)})  # must not change the state
    second.load_state_dict(state, torch.device("cpu"))
    second.update({"loss": torch.tensor(2.0)})
    assert second.compute_and_reset()["loss"] == 1.5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_of_half_precision_are_wider(dtype: torch.dtype) -> None:
    """In bfloat16 a sum of ones stops at 256, in float16 one of hundreds is infinite after 600 steps."""
    means = MeanAccumulator()
    for _ in range(1000):
        means.update({"one": torch.ones((), dtype=dtype), "many": torch.full((), 120.0, dtype=dtype)})
    computed = means.compute_and_reset()
    assert {name: value.item() for name, value in computed.items()} == {"one": 1.0, "many": 120.0}
    assert computed["one"].dtype == torch.float32
    means.load_state_dict({"sums": {"one": torch.tensor(3.0, dtype=dtype)}, "counts": {"one": 2}}, torch.device("cpu"))
    assert means.compute_and_reset()["one"].dtype == torch.float32


def test_double_precision_is_kept() -> None:
    means = MeanAccumulator()
    means.update({"loss": torch.tensor(1.0, dtype=torch.float64)})
    assert means.compute_and_reset()["loss"].dtype == torch.float64


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
