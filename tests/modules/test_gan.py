"""GANModule: update schedule, loops by hand, resume, mixed precision."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.optim import SGD, Adam

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import DataFreeSource
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import (
    GANLoss,
    HingeGANLoss,
    NonSaturatingGANLoss,
    WassersteinGANLoss,
    WassersteinGPLoss,
    gradient_penalty,
)
from ganmc_lightning.modules import GANModule
from ganmc_lightning.networks import ACGANGenerator, DCGANDiscriminator, DCGANGenerator
from ganmc_lightning.runs.metrics_csv import read_metrics

MakeData = Callable[..., GANAugmentedDataModule]
pytestmark = [
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning"),
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning"),
]
NORMALIZATION = {
    NonSaturatingGANLoss: "batch",
    HingeGANLoss: "spectral",
    WassersteinGANLoss: "none",
    WassersteinGPLoss: "none",
}


def gan(form: type[GANLoss] = NonSaturatingGANLoss, n_critic: int = 1, **arguments: Any) -> GANModule:
    torch.manual_seed(0)
    generator = DCGANGenerator(8, 1, latent_dim=6, width=4)
    discriminator = DCGANDiscriminator(8, 1, width=4, normalization=NORMALIZATION[form])  # type: ignore[arg-type]
    return GANModule(generator, discriminator, form(), n_critic, **arguments)


def weights(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def moved(before: list[Tensor], after: list[Tensor]) -> bool:
    return any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


class UpdateRecorder(Callback):
    """Record after each batch which networks were updated, and the counters."""

    def __init__(self) -> None:
        self.notes: list[tuple[bool, bool, int, int]] = []

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.before = weights(pl_module.generator), weights(pl_module.discriminator)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        now = weights(pl_module.generator), weights(pl_module.discriminator)
        moves = [moved(*pair) for pair in zip(self.before, now, strict=True)]
        self.notes.append((moves[0], moves[1], pl_module.iteration, trainer.global_step))
        self.before = now


def test_generator_is_updated_every_third_batch(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    updates = UpdateRecorder()
    make_trainer(max_steps=2, max_epochs=-1, callbacks=[updates]).fit(gan(n_critic=3), make_data())
    # 3 batches an epoch do not matter: the count continues. max_steps counts the generator's steps.
    assert updates.notes == [(k % 3 == 0, True, k, k // 3) for k in range(1, 7)]


@pytest.mark.parametrize("form", [NonSaturatingGANLoss, WassersteinGANLoss, WassersteinGPLoss])
def test_two_generator_steps_equal_a_loop_by_hand(
    form: type[GANLoss], make_data: MakeData, make_trainer: Callable[..., Trainer]
) -> None:
    sgd = partial(SGD, lr=0.02)
    module = gan(form, 2, generator_optimizer=sgd, discriminator_optimizer=sgd)
    with torch.no_grad():  # DCGAN's first weights leave gradients so small that rounding would decide
        for parameter in module.parameters():
            parameter.mul_(5)
    g, d = copy.deepcopy(module.generator), copy.deepcopy(module.discriminator)
    torch.manual_seed(9)
    make_trainer(max_steps=2, max_epochs=-1).fit(module, make_data())

    data = make_data()
    data.prepare_data()
    data.setup("fit")
    loader = data.train_dataloader()
    g_step, d_step = SGD(g.parameters(), 0.02), SGD(d.parameters(), 0.02)
    torch.manual_seed(9)
    batches = [data.augment_and_mix(*batch) for batch in loader]
    loader.sampler.set_epoch(1)
    batches += [data.augment_and_mix(*batch) for batch in loader]
    for k, batch in enumerate(batches[:4], 1):
        fakes = g(torch.randn(32, 6))
        real_logits, fake_logits = d(batch.inputs), d(fakes.detach())
        if form is NonSaturatingGANLoss:
            ones, zeros = torch.ones(32), torch.zeros(32)
            bce = nn.functional.binary_cross_entropy_with_logits
            loss = bce(real_logits, ones) + bce(fake_logits, zeros)
        else:
            loss = fake_logits.mean() - real_logits.mean()
        if form is WassersteinGPLoss:
            loss = loss + 10 * gradient_penalty(d, batch.inputs, fakes.detach())
        d_step.zero_grad()
        loss.backward()
        d_step.step()
        if form is WassersteinGANLoss:
            for parameter in d.parameters():
                parameter.data.clamp_(-0.01, 0.01)
        if k % 2 == 0:
            logits = d(fakes)
            loss = bce(logits, ones) if form is NonSaturatingGANLoss else -logits.mean()
            g_step.zero_grad()
            loss.backward()
            g_step.step()
    for name, one, other in (("generator", module.generator, g), ("discriminator", module.discriminator, d)):
        for (key, value), reference in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(value, reference, rtol=1e-4, atol=1e-5, msg=f"{name}.{key}")


@pytest.mark.parametrize("form", [NonSaturatingGANLoss, WassersteinGPLoss])
def test_two_and_two_epochs_are_four(
    form: type[GANLoss], make_data: MakeData, make_run_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    """n_critic does not divide the batches of an epoch; the moving average is resumed, too."""

    def run(folder: str, epochs: int, resume: bool = False) -> dict[str, Any]:
        module = gan(form, 2)
        trainer = make_run_trainer(tmp_path / folder, [GeneratorEMA(0.9)], max_epochs=epochs)
        torch.manual_seed(77 if resume else 1)
        last = tmp_path / folder / "checkpoints" / "last.ckpt"
        trainer.fit(module, make_data(), ckpt_path=last if resume else None)
        checkpoint: dict[str, Any] = torch.load(last, weights_only=True)
        return checkpoint

    whole = run("whole", 4)
    run("parts", 2)
    resumed = run("parts", 4, resume=True)
    for part in ("state_dict", "generator_ema_raw"):
        assert all(torch.equal(whole[part][key], resumed[part][key]) for key in whole[part]), part
    assert whole["iteration"] == resumed["iteration"] == 12
    assert whole["global_step"] == resumed["global_step"] == 6


def test_average_is_updated_with_the_generator(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    class Averages(Callback):
        def __init__(self, ema: GeneratorEMA) -> None:
            self.ema = ema
            self.seen: list[Tensor] = []

        def on_train_batch_end(self, *_: Any) -> None:
            self.seen.append(self.ema._average["layers.0.weight"].clone())

    ema = GeneratorEMA(0.9)
    averages = Averages(ema)
    make_trainer(max_epochs=2, callbacks=[ema, averages]).fit(gan(n_critic=2), make_data())
    changes = [not torch.equal(*pair) for pair in zip(averages.seen, averages.seen[1:], strict=False)]
    assert changes == [True, False, True, False, True]


@pytest.mark.parametrize("form", NORMALIZATION)
def test_mixed_precision(form: type[GANLoss], make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    module = gan(form)
    before = weights(module.generator)
    make_trainer(max_epochs=1, precision="bf16-mixed").fit(module, make_data())
    assert moved(before, weights(module.generator))
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())
    assert module.generator.layers[0].weight.dtype == torch.float32


def test_records(make_data: MakeData, make_run_trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    make_run_trainer(tmp_path, max_epochs=1).fit(gan(WassersteinGPLoss, 2), make_data())
    names = {name for row in read_metrics(tmp_path / "metrics.csv") for name in row}
    expected = {"loss_generator", "loss_discriminator", "penalty", "score_real", "score_fake"}
    assert {f"train/{name}" for name in expected} | {"val/score_real"} <= names


def test_learns_one_batch(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    """The generator's mean image approaches that of nine samples."""
    fast = partial(Adam, lr=0.01, betas=(0.5, 0.999))
    module = gan(generator_optimizer=fast, discriminator_optimizer=fast)
    data = make_data(train_size=9, batch_size=9)
    data.prepare_data()
    data.setup()
    real = data.samples("train")[0].float().mul(2 / 255).sub(1).mean(dim=0)

    def gap() -> float:
        torch.manual_seed(4)
        with torch.no_grad():
            return (module.generator(torch.randn(200, 6)).mean(dim=0) - real).abs().mean().item()

    first = gap()
    make_trainer(max_epochs=300, limit_val_batches=0).fit(module, make_data(train_size=9, batch_size=9))
    assert gap() < 0.4 * first


def test_predicts_samples(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    outputs = make_trainer().predict(gan(), make_data())
    assert torch.cat(outputs).shape == (40, 1, 8, 8)


def test_default_optimizers() -> None:
    module = gan()
    for optimizer, network in zip(module.configure_optimizers(), (module.generator, module.discriminator), strict=True):
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (2e-4, (0.5, 0.999))
        assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in network.parameters()]


def test_bad_input(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    with pytest.raises(ConfigurationError, match="n_critic: got 0, expected 1 or more"):
        gan(n_critic=0)
    with pytest.raises(ConfigurationError, match="conditional"):
        GANModule(ACGANGenerator(8, 1, 3, 6, 4), DCGANDiscriminator(8, 1, width=2))
    with pytest.raises(ConfigurationError, match="batch normalization"):
        GANModule(DCGANGenerator(16, 1), DCGANDiscriminator(16, 1, width=2), WassersteinGPLoss())
    for module, named in (
        (GANModule(DCGANGenerator(16, 1, 6, 2), DCGANDiscriminator(8, 1, width=2)), r"model\.generator: got samples"),
        (GANModule(DCGANGenerator(8, 1, 6, 2), DCGANDiscriminator(16, 1, width=2)), r"model\.discriminator"),
        (GANModule(DCGANGenerator(8, 1, 6, 2), DCGANDiscriminator(32, 1, width=2)), r"model\.discriminator"),
    ):
        with pytest.raises(ConfigurationError, match=named):
            make_trainer(max_epochs=1).fit(module, make_data())
    with pytest.raises(ConfigurationError, match=r"\(1, 8, 8\), expected \(0,\) as in the data"):
        make_trainer(max_epochs=1).fit(gan(), make_data(dataset=DataFreeSource(100, 10)))
