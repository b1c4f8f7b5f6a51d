"""DistillationModule with losses on pairs of layers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.optim import SGD, Adam

from ganmc_lightning.batch import Batch
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import FSPLoss, HintLoss, L2LogitsLoss
from ganmc_lightning.modules import DistillationModule
from ganmc_lightning.networks import FiveLayerCNN
from ganmc_lightning.runs.metrics_csv import read_metrics

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),  # the teacher
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning"),
]

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]
FIRST, SECOND = "features.2", "features.5"  # behind the first two convolutions of a five-layer CNN


def teacher() -> FiveLayerCNN:
    torch.manual_seed(1)
    return FiveLayerCNN(1, 8, 3, widths=(4, 6, 8, 8))


def student(channels: int = 6) -> FiveLayerCNN:
    torch.manual_seed(2)
    return FiveLayerCNN(1, 8, 3, widths=(4, channels, 4, 8))


def module_of(loss: Any, channels: int = 6, lr: float = 0.01) -> DistillationModule:
    return DistillationModule(teacher(), student(channels), loss, partial(Adam, lr=lr))


def test_one_step_of_hints_equals_a_step_by_hand(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    loss = HintLoss([(SECOND, SECOND)], weight=0.1, logits_loss=L2LogitsLoss())
    module = DistillationModule(teacher(), student(5), loss, partial(SGD, lr=0.1))
    torch.manual_seed(6)
    make_trainer(max_steps=1, limit_val_batches=0).fit(module, make_data(batch_size=108))

    reference, frozen = student(5), teacher()
    torch.manual_seed(6)
    regressor = nn.Conv2d(5, 6, 1)
    data = make_data(batch_size=108)
    data.prepare_data()
    data.setup("fit")
    inputs = Batch(*data.augment_and_mix(*next(iter(data.train_dataloader())))).inputs
    hint = 0.5 * (regressor(reference.features[:6](inputs)) - frozen.features[:6](inputs).detach()).square()
    logits = (reference(inputs) - frozen(inputs).detach()).square().sum(dim=1).mean()
    (0.1 * hint.sum(dim=(1, 2, 3)).mean() + logits).backward()
    learnt = [*reference.parameters(), *regressor.parameters()]
    for parameter, trained in zip(learnt, [*module.student.parameters(), *loss.parameters()], strict=True):
        torch.testing.assert_close(trained, parameter - 0.1 * parameter.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        HintLoss([(SECOND, SECOND), ("features", "features")], 0.1, L2LogitsLoss()),
        FSPLoss([(FIRST, FIRST), (SECOND, SECOND)], 1.0, L2LogitsLoss()),
    ],
    ids=["hints", "fsp"],
)
def test_it_learns(make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, loss: nn.Module) -> None:
    module = module_of(copy.deepcopy(loss))
    before = copy.deepcopy(module.teacher.state_dict())
    make_run_trainer(tmp_path, max_epochs=40).fit(module, make_data(train_size=32))
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "train/loss" in row]
    for name in ("train/loss", "train/loss_features"):
        assert float(rows[-1][name]) < 0.6 * float(rows[0][name])
    assert all(torch.equal(value, before[name]) for name, value in module.teacher.state_dict().items())


def test_hint_loss_keeps_the_layers_after_the_guided_layer(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    """The first stage of FitNets; the second is another run on this student."""
    module = module_of(HintLoss([(SECOND, SECOND)]))
    before = copy.deepcopy(module.student.state_dict())
    make_trainer(max_epochs=2).fit(module, make_data())
    moved = {name for name, value in module.student.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {f"features.{k}.{kind}" for k in (0, 3) for kind in ("weight", "bias")}


def test_two_and_two_epochs_are_four(make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path) -> None:
    def train(folder: Path, epochs: int, resume: bool = False) -> DistillationModule:
        module = module_of(HintLoss([(SECOND, SECOND)], 0.1, L2LogitsLoss()), channels=5)
        path = folder / "checkpoints" / "last.ckpt" if resume else None
        torch.manual_seed(77 if resume else 1)
        make_run_trainer(folder, max_epochs=epochs).fit(module, make_data(batch_size=27), ckpt_path=path)
        return module

    whole = train(tmp_path / "whole", 4).state_dict()
    train(tmp_path / "parts", 2)
    resumed = train(tmp_path / "parts", 4, resume=True).state_dict()
    assert {name.partition(".")[0] for name in whole} == {"student", "loss"}
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    loaded = DistillationModule.load_from_checkpoint(
        tmp_path / "whole" / "checkpoints" / "last.ckpt",
        weights_only=True,
        teacher=teacher(),
        student=student(5),
        loss=HintLoss([(SECOND, SECOND)]),
    )
    assert all(torch.equal(value, whole[name]) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (HintLoss([("features.99", SECOND)]), r"model\.teacher \(FiveLayerCNN\): got the layer 'features\.99'"),
        (HintLoss([(SECOND, "hidden")]), r"model\.student \(FiveLayerCNN\): got the layer 'hidden'"),
        (HintLoss([(FIRST, SECOND)]), r"model\.loss\.layers, features\.2 -> features\.5: .* expected two vectors"),
        (
            FSPLoss([(FIRST, FIRST), (SECOND, SECOND)]),
            r"features \(6, 2, 2\) -> \(5, 2, 2\), expected feature maps",
        ),
    ],
)
def test_bad_layers(make_data: MakeData, make_trainer: MakeTrainer, loss: nn.Module, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_trainer(max_epochs=1).fit(module_of(loss, channels=5), make_data())
