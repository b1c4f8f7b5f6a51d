from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.callbacks.generator_ema import RAW_KEY
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules import ACGANModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator

Weights = dict[str, Tensor]


class Watch(Callback):
    """Record the generator's weights after each step and in validation; listed after the average."""

    def __init__(self) -> None:
        self.raw: list[Weights] = []
        self.validated: list[Weights] = []
        self.after_validation: list[Weights] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self.raw.append(copy.deepcopy(pl_module.generator.state_dict()))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.validated.append(copy.deepcopy(pl_module.generator.state_dict()))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.after_validation.append(copy.deepcopy(pl_module.generator.state_dict()))


def make_module() -> ACGANModule:
    torch.manual_seed(0)
    generator = ACGANGenerator(8, 1, 3, latent_dim=8, width=4)
    return ACGANModule(generator, ACGANDiscriminator(8, 1, 3, width=2))


def assert_close(one: Weights, other: Weights, **tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], msg=name, **tolerance)


def averages_by_hand(start: Weights, raw: list[Weights], decay: float) -> list[Weights]:
    """The recursion, one number at a time: a <- d a + (1 - d) w, with d growing from 0.1; buffers are copied."""
    averages, average = [], start
    for step, weights in enumerate(raw, start=1):
        d = min(decay, (1 + step) / (10 + step))
        buffers = {name for name in weights if "running_" in name or "num_batches" in name}
        average = {
            name: weights[name] if name in buffers else d * average[name] + (1 - d) * weights[name] for name in weights
        }
        averages.append(average)
    return averages


@pytest.mark.parametrize("save_on_train_epoch_end", [False, True])
def test_average_is_validated_and_saved_while_raw_weights_are_trained(
    make_data: Callable[..., GANAugmentedDataModule],
    make_trainer: Callable[..., Trainer],
    tmp_path: Path,
    save_on_train_epoch_end: bool,
) -> None:
    module, watch = make_module(), Watch()
    start = copy.deepcopy(module.generator.state_dict())
    saving = ModelCheckpoint(
        tmp_path, "{epoch}", save_top_k=-1, save_on_train_epoch_end=save_on_train_epoch_end, every_n_epochs=1
    )
    trainer = make_trainer(max_epochs=3, callbacks=[GeneratorEMA(decay=0.3), watch, saving], enable_checkpointing=True)
    trainer.fit(module, make_data(batch_size=27))
    averages = averages_by_hand(start, watch.raw, decay=0.3)
    for epoch in range(3):
        last = 4 * epoch + 3
        assert_close(watch.validated[epoch], averages[last], rtol=1e-5, atol=1e-6)
        assert_close(watch.after_validation[epoch], watch.raw[last], rtol=0, atol=0)
        checkpoint = torch.load(tmp_path / f"epoch={epoch}.ckpt", weights_only=True)
        saved = {
            name.removeprefix("generator."): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith("generator.")
        }
        assert_close(saved, averages[last], rtol=1e-5, atol=1e-6)
        assert_close(checkpoint["generator_ema_raw"], watch.raw[last], rtol=0, atol=0)
        assert checkpoint["state_dict"].keys() == module.state_dict().keys()
    assert not torch.equal(averages[-1]["project.weight"], watch.raw[-1]["project.weight"])
    assert_close(module.generator.state_dict(), averages[-1], rtol=1e-5, atol=1e-6)
    trainer.save_checkpoint(tmp_path / "after.ckpt")
    after, last = (torch.load(tmp_path / f"{name}.ckpt", weights_only=True) for name in ("after", "epoch=2"))
    for one, other in ((after[RAW_KEY], last[RAW_KEY]), (after["state_dict"], last["state_dict"])):
        assert_close(one, other, rtol=0, atol=0)


def test_other_modules_are_validated_with_their_own_weights(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    """After training, or after loading a checkpoint with an average, the trainer may get other modules."""
    watch, data = Watch(), make_data()
    trainer = make_trainer(max_epochs=1, callbacks=[GeneratorEMA(0.3), watch])
    trainer.fit(make_module(), data)
    trainer.save_checkpoint(tmp_path / "old.ckpt")
    other = make_module()
    trainer.validate(other, data, verbose=False)
    assert_close(watch.validated[-1], make_module().generator.state_dict(), rtol=0, atol=0)
    assert_close(other.generator.state_dict(), make_module().generator.state_dict(), rtol=0, atol=0)

    start = make_module().generator.state_dict()
    trainer = make_trainer(max_epochs=1, callbacks=[GeneratorEMA(0.3), watch])
    trainer.validate(make_module(), data, ckpt_path=tmp_path / "old.ckpt", verbose=False)
    new = make_module()
    new.generator.register_forward_pre_hook(lambda module, _: seen.append(copy.deepcopy(module.state_dict())))
    seen: list[Weights] = []
    trainer.fit(new, data)
    assert_close({"project.weight": seen[0]["project.weight"]}, {"project.weight": start["project.weight"]})


def test_saving_in_the_middle_of_a_validation(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    """The average replaces the weights during validation; the raw weights are saved as well."""

    class Save(Callback):
        def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
            trainer.save_checkpoint(tmp_path / "middle.ckpt")

    watch = Watch()
    trainer = make_trainer(max_epochs=1, callbacks=[GeneratorEMA(decay=0.3), watch, Save()])
    trainer.fit(make_module(), make_data(batch_size=27))
    checkpoint = torch.load(tmp_path / "middle.ckpt", weights_only=True)
    saved = {name: checkpoint["state_dict"][f"generator.{name}"] for name in watch.raw[-1]}
    assert_close(saved, watch.validated[0], rtol=0, atol=0)
    assert_close(checkpoint["generator_ema_raw"], watch.raw[-1], rtol=0, atol=0)


def test_training_is_not_disturbed(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer]
) -> None:
    with_average, without, watch = make_module(), make_module(), Watch()
    torch.manual_seed(1)
    make_trainer(max_epochs=2, callbacks=[GeneratorEMA(), watch]).fit(with_average, make_data())
    torch.manual_seed(1)
    make_trainer(max_epochs=2).fit(without, make_data())
    assert_close(watch.raw[-1], without.generator.state_dict(), rtol=0, atol=0)
    assert_close(with_average.discriminator.state_dict(), without.discriminator.state_dict(), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided:UserWarning")
def test_scoring_a_checkpoint_uses_its_average(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    saving = ModelCheckpoint(tmp_path, "one")
    make_trainer(max_epochs=1, callbacks=[GeneratorEMA(), saving], enable_checkpointing=True).fit(
        make_module(), make_data()
    )
    watch, module = Watch(), make_module()
    trainer = make_trainer(callbacks=[GeneratorEMA(), watch])
    trainer.validate(module, make_data(), ckpt_path=tmp_path / "one.ckpt", verbose=False)
    saved = torch.load(tmp_path / "one.ckpt", weights_only=True)["state_dict"]
    for name, value in watch.validated[0].items():
        assert torch.equal(value, saved[f"generator.{name}"])


@pytest.mark.parametrize("submodule", ["student", "discriminator"])
def test_a_submodule_that_is_no_generator(
    make_data: Callable[..., GANAugmentedDataModule], make_trainer: Callable[..., Trainer], submodule: str
) -> None:
    trainer = make_trainer(max_epochs=1, callbacks=[GeneratorEMA(submodule=submodule)])
    with pytest.raises(ConfigurationError, match=rf"^GeneratorEMA\.submodule: '{submodule}' is not a generator"):
        trainer.fit(make_module(), make_data())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_out_of_range(decay: float) -> None:
    with pytest.raises(ConfigurationError, match=r"GeneratorEMA\.decay: got .*, expected a value in \[0, 1\)"):
        GeneratorEMA(decay)


class Shift(Callback):
    """Add one to the first bias after each step and before the average; the optimizer does not change it."""

    @torch.no_grad()
    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        pl_module.generator.project.bias.fill_(256.0 + trainer.global_step % 2)


@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning")
def test_the_average_of_half_precision_weights_is_wide(
    make_data: Callable[..., GANAugmentedDataModule], make_run_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    """bfloat16 has no number between 256 and 258: a bfloat16 average would be constant. The average is resumed."""

    def fit(folder: Path, epochs: int, resume: bool = False) -> Tensor:
        average = GeneratorEMA(0.99)
        trainer = make_run_trainer(folder, [Shift(), average], max_epochs=epochs, precision="bf16-true")
        trainer.fit(make_module(), make_data(), ckpt_path=folder / "checkpoints" / "last.ckpt" if resume else None)
        assert trainer.lightning_module.generator.project.bias.dtype == torch.bfloat16
        found = average._average["project.bias"]
        stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        assert torch.equal(stored["generator.project.bias"], found)
        best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)  # also that of the last epoch
        assert torch.equal(best["state_dict"]["generator.project.bias"], found)
        assert RAW_KEY not in best
        return found

    whole = fit(tmp_path / "whole", 4)
    expected = averages_by_hand(
        {"bias": make_module().generator.project.bias.detach().bfloat16().double()},
        [{"bias": torch.tensor(256.0).bfloat16().add(k % 2).double().expand(256)} for k in range(1, 13)],
        0.99,
    )[-1]["bias"]
    torch.testing.assert_close(whole.double(), expected, rtol=1e-5, atol=1e-5)
    fit(tmp_path / "parts", 2)
    assert torch.equal(fit(tmp_path / "parts", 4, resume=True), whole)


def test_shared_weights_are_averaged_under_each_of_their_names() -> None:
    first, last = nn.Linear(2, 2), nn.Linear(2, 2)
    last.weight = first.weight
    module: Any = nn.Module()
    module.generator = nn.Sequential(first, last)
    trainer: Any = SimpleNamespace(global_step=0, state=SimpleNamespace(fn=TrainerFn.FITTING))
    average = GeneratorEMA(decay=0.5)
    average.on_fit_start(trainer, module)
    average.on_train_start(trainer, module)
    with torch.no_grad():
        first.weight.fill_(7.0)
    trainer.global_step = 100
    average.on_train_batch_end(trainer, module, None, None, 0)
    average.on_validation_start(trainer, module)
    assert torch.equal(first.weight, average._average["0.weight"])
    assert not torch.equal(first.weight, torch.full((2, 2), 7.0))
    assert torch.equal(average._average["0.weight"], average._average["1.weight"])


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([ModelCheckpoint(save_weights_only=True)], "ModelCheckpoint.save_weights_only: got True with GeneratorEMA"),
        ([GeneratorEMA(0.5, "discriminator")], "trainer.callbacks: got 2 callbacks GeneratorEMA, expected one"),
    ],
)
def test_callbacks_that_would_lose_an_average(
    others: list[Callback],
    message: str,
    make_data: Callable[..., GANAugmentedDataModule],
    make_trainer: Callable[..., Trainer],
) -> None:
    """Lightning calls no callback when it saves weights only; two averages would be saved under one key."""
    checkpoints = isinstance(others[0], ModelCheckpoint)
    trainer = make_trainer(max_epochs=1, callbacks=[GeneratorEMA(), *others], enable_checkpointing=checkpoints)
    with pytest.raises(ConfigurationError, match=message):
        trainer.fit(make_module(), make_data())
