"""A diverged run ends with the step and the loss, and keeps its last good checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.optim import SGD

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import DivergenceError
from ganmc_lightning.modules import (
    ACGANModule,
    AdversarialCompressionModule,
    ClassifierModule,
    CompressionModule,
    DistillationModule,
    GANCompressionModule,
    GANModule,
)
from ganmc_lightning.modules.divergence import LossMonitor, nonfinite_names
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    FeatureDiscriminator,
    MLPClassifier,
)

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning"),
]
huge = partial(SGD, lr=1e30)
MODULES: dict[str, Callable[[], CompressionModule]] = {
    "ClassifierModule": lambda: ClassifierModule(MLPClassifier(64, 3), huge),
    "DistillationModule": lambda: DistillationModule(MLPClassifier(64, 3), MLPClassifier(64, 3), optimizer=huge),
    "ACGANModule": lambda: ACGANModule(ACGANGenerator(8, 1, 3, 6, 4), ACGANDiscriminator(8, 1, 3, 2), None, huge, huge),
    "GANModule": lambda: GANModule(
        DCGANGenerator(8, 1, 6, 4), DCGANDiscriminator(8, 1, 4, "none"), None, 1, huge, huge
    ),
    "GANCompressionModule": lambda: GANCompressionModule(
        DCGANGenerator(8, 1, 6, 4), DCGANGenerator(8, 1, 6, 4), optimizer=huge
    ),
    "AdversarialCompressionModule": lambda: AdversarialCompressionModule(
        MLPClassifier(64, 3),
        MLPClassifier(64, 3),
        FeatureDiscriminator(64, (8,)),
        student_optimizer=huge,
        discriminator_optimizer=huge,
    ),
}


def classifier() -> ClassifierModule:
    return ClassifierModule(MLPClassifier(64, 3))


def finite(path: Path) -> bool:
    return not nonfinite_names(torch.load(path, weights_only=True)["state_dict"])


class Fill(Callback):
    """Fill a tensor with a value before or after one batch."""

    def __init__(self, name: str, value: float, batch: int, after: bool = False) -> None:
        self.name, self.value, self.batch, self.after = name, value, batch, after

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.iteration + 1 == self.batch and not self.after:
            self.fill(pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.iteration == self.batch and self.after:
            self.fill(pl_module)

    @torch.no_grad()
    def fill(self, module: nn.Module) -> None:
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        tensors[self.name].fill_(self.value)


@pytest.mark.parametrize("name", MODULES)
def test_each_module(name: str, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_run_trainer(tmp_path, max_epochs=5)
    with pytest.raises(DivergenceError, match=rf"{name} diverged, detected at step \d+: .*No checkpoint was saved yet"):
        trainer.fit(MODULES[name](), make_data())
    assert not (tmp_path / "checkpoints").exists() or all(map(finite, (tmp_path / "checkpoints").iterdir()))


def test_step_loss_and_weight_are_named_and_the_last_good_checkpoint_is_kept(
    make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """The loss is NaN in step 5, detected in step 6, when means are logged; an epoch has 3 steps."""
    trainer = make_run_trainer(tmp_path, [Fill("network.classifier.weight", float("nan"), 5)], max_epochs=5)
    expected = (
        r"diverged, detected at step 6: loss is nan since step 5 and network.features.1.weight is not finite; .* "
        r"The last good checkpoint is .*last\.ckpt$"
    )
    with pytest.raises(DivergenceError, match=expected):
        trainer.fit(classifier(), make_data())
    for name in ("best.ckpt", "last.ckpt"):
        checkpoint = torch.load(tmp_path / "checkpoints" / name, weights_only=True)
        assert checkpoint["iteration"] == 3
        assert not nonfinite_names(checkpoint["state_dict"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_the_last_step(
    value: float, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """No loss is NaN: weights become NaN after the last step before a validation."""
    callbacks = [Fill("network.classifier.bias", value, 6, after=True)]
    with pytest.raises(DivergenceError, match=r"step 6: .*network\.classifier\.bias is not finite"):
        make_run_trainer(tmp_path, callbacks, max_epochs=5).fit(classifier(), make_data())
    assert finite(tmp_path / "checkpoints" / "last.ckpt")


def test_divergence_of_another_process(
    make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose losses and shards of the weights this process does not have."""
    trainer = make_run_trainer(tmp_path, max_epochs=5)
    monkeypatch.setattr(trainer.strategy, "reduce_boolean_decision", lambda decision, **_: not decision)
    with pytest.raises(DivergenceError, match=r"ClassifierModule diverged, detected at step 1: in another process; "):
        trainer.fit(classifier(), make_data())


def test_scores_of_a_validation(make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path) -> None:
    """Finite weights can be too large for finite logits."""
    module = ClassifierModule(MLPClassifier(64, 3, hidden=()))
    callbacks = [Fill("network.classifier.weight", 3e38, 3, after=True)]
    with pytest.raises(DivergenceError, match=r"step 3: val/cross_entropy is nan"):
        make_run_trainer(tmp_path, callbacks, max_epochs=5).fit(module, make_data())


def test_average_of_infinite_weights(make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path) -> None:
    """The weights of the generator are reset before the checkpoint; their average is still infinite."""
    module = GANModule(DCGANGenerator(8, 1, 6, 4), DCGANDiscriminator(8, 1, width=4))
    name = "generator.layers.0.bias"
    callbacks = [Fill(name, float("inf"), 2, after=True), GeneratorEMA(0.9), Fill(name, 0.0, 2, after=True)]
    with pytest.raises(DivergenceError, match=r"generator\.layers\.0\.bias is not finite"):
        make_run_trainer(tmp_path, callbacks, max_epochs=1).fit(module, make_data())
    assert not (tmp_path / "checkpoints" / "best.ckpt").exists()


def test_buffers_that_are_infinite_on_purpose(
    make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path
) -> None:
    module = classifier()
    module.network.register_buffer("mask", torch.full((2,), -torch.inf))
    make_run_trainer(tmp_path, max_epochs=1).fit(module, make_data())
    assert not finite(tmp_path / "checkpoints" / "best.ckpt")


def test_losses_are_read_when_means_are_logged_and_at_the_end_of_an_epoch(
    make_data: MakeData, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other steps must not wait for the device."""
    read: list[int] = []
    module = classifier()
    failure = LossMonitor.failure

    def note(losses: LossMonitor) -> Any:
        read.append(module.iteration)
        return failure(losses)

    monkeypatch.setattr(LossMonitor, "failure", note)
    make_trainer(max_epochs=2, log_every_n_steps=4).fit(module, make_data(batch_size=10))  # 10 steps an epoch
    assert read == [4, 8, 10, 12, 16, 20, 20]


class Overflowing(ClassifierModule):
    """Record an infinite loss in some steps, as in float16."""

    def __init__(self, steps: range) -> None:
        super().__init__(MLPClassifier(64, 3))
        self.steps = steps

    def record(self, **values: Tensor) -> None:
        overflows = self.iteration in self.steps
        super().record(**{name: value / 0 if overflows else value for name, value in values.items()})


def test_a_gradient_scaler_may_recover(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    """It skips steps that overflow; 20 consecutive ones are a divergence."""

    def fit(steps: range, scaler: Any) -> None:
        trainer = make_trainer(max_steps=40, log_every_n_steps=1)
        trainer.precision_plugin.scaler = scaler
        trainer.fit(Overflowing(steps), make_data())

    fit(range(5, 24), object())
    with pytest.raises(DivergenceError, match="loss is inf since step 5"):
        fit(range(5, 25), object())
    with pytest.raises(DivergenceError, match="detected at step 5: loss is inf since step 5"):
        fit(range(5, 6), None)


def test_loss_monitor() -> None:
    losses = LossMonitor()
    nan = float("nan")
    assert losses.failure() is None
    losses.update(1, ["ratio"], torch.tensor([nan]))
    losses.update(1, ["loss", "ratio"], torch.tensor([1.0, nan]))  # ratios may be 0 / 0
    assert losses.failure() is None
    losses.update(2, ["loss", "loss_other"], torch.tensor([1.0, nan]))
    losses.update(3, ["loss"], torch.tensor([1.0], dtype=torch.float64))
    assert losses.failure() is None  # it recovered
    losses.update(4, ["loss", "loss_other"], torch.tensor([1.0, nan]))
    failure = losses.failure()
    assert failure is not None
    assert (failure.step, failure.name, failure.steps) == (4, "loss_other", 1)
    losses.update(5, ["ratio", "loss"], torch.tensor([1.0, nan]))
    failure = losses.failure()
    assert failure is not None
    assert (failure.step, failure.name, failure.steps) == (4, "loss_other", 2)


def test_not_finite() -> None:
    tensors = {"a": torch.ones(2), "b": torch.tensor([1.0, float("inf")]), "c": torch.tensor(3)}
    assert nonfinite_names({**tensors, "d": torch.tensor(float("nan")).half()}) == ["b", "d"]
    assert nonfinite_names({"c": torch.tensor(3)}) == []
