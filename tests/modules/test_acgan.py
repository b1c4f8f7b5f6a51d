from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Adam

from ganmc_lightning.batch import Batch
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import ACGANLoss, HingeGANLoss
from ganmc_lightning.modules import ACGANModule, CompressionModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, TabularGenerator
from ganmc_lightning.synthesizers import MixupSynthesizer

MakeModule = Callable[..., CompressionModule]
MakeData = Callable[..., GANAugmentedDataModule]


def parameters_of(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def changed(before: list[Tensor], after: list[Tensor]) -> list[bool]:
    return [not torch.equal(one, other) for one, other in zip(before, after, strict=True)]


class WeightRecorder(Callback):
    """Record the weights of both networks before each optimizer step and after each iteration."""

    def __init__(self) -> None:
        self.moments: list[tuple[str, list[Tensor], list[Tensor]]] = []

    def _note(self, name: str, module: Any) -> None:
        self.moments.append((name, parameters_of(module.generator), parameters_of(module.discriminator)))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        owner = "generator" if optimizer is trainer.optimizers[0] else "discriminator"
        self._note(owner, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._note("end", pl_module)


def test_each_step_only_updates_its_network(
    make_module: MakeModule, make_data: MakeData, make_trainer: Callable[..., Trainer]
) -> None:
    recorder = WeightRecorder()
    make_trainer(max_steps=3, callbacks=[recorder]).fit(make_module("acgan"), make_data())
    assert [name for name, _, _ in recorder.moments] == ["discriminator", "generator", "end"] * 3
    for k in range(0, 9, 3):
        (_, g0, d0), (_, g1, d1), (_, g2, d2) = recorder.moments[k : k + 3]
        assert all(changed(d0, d1))  # the discriminator's step
        assert not any(changed(g0, g1))
        assert all(changed(g1, g2))  # the generator's step
        assert not any(changed(d1, d2))
        if k > 0:  # no update between iterations
            _, g, d = recorder.moments[k - 1]
            assert not any(changed(g, g0) + changed(d, d0))


@pytest.mark.parametrize("r1_weight", [0.0, 0.3])
def test_two_iterations_equal_a_loop_by_hand(
    make_data: MakeData, make_trainer: Callable[..., Trainer], r1_weight: float
) -> None:
    torch.manual_seed(2)
    generator = ACGANGenerator(8, 1, 3, latent_dim=8, width=4)
    discriminator = ACGANDiscriminator(8, 1, 3, width=2, normalization="spectral", dropout=0.0)
    g, d = copy.deepcopy(generator), copy.deepcopy(discriminator)
    loss = ACGANLoss(HingeGANLoss(), class_weight=0.5, source_weight=2.0, r1_weight=r1_weight, r1_interval=2)
    torch.manual_seed(9)
    make_trainer(max_steps=2).fit(ACGANModule(generator, discriminator, loss), make_data())

    data = make_data()
    data.prepare_data()
    data.setup("fit")
    batches = iter(data.train_dataloader())
    g_adam, d_adam = (Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for network in (g, d))
    torch.manual_seed(9)
    for k in range(2):
        batch = Batch(*data.augment_and_mix(*next(batches)))
        fake_labels = batch.labels[torch.randperm(32)]
        fakes = g(torch.randn(32, 8), fake_labels)
        with parametrize.cached():
            (real_source, real_classes), (fake_source, fake_classes) = d(batch.inputs), d(fakes.detach())
            penalty = 0.0
            if r1_weight > 0 and k == 1:  # each second iteration
                images = batch.inputs.clone().requires_grad_()
                (slope,) = torch.autograd.grad(d(images)[0].sum(), images, create_graph=True)
                penalty = 2 * r1_weight / 2 * slope.square().sum() / len(images)
        source = (1 - real_source).clamp(min=0).mean() + (1 + fake_source).clamp(min=0).mean()
        classes = F.cross_entropy(real_classes, batch.labels) + F.cross_entropy(fake_classes, fake_labels)
        d_adam.zero_grad()
        (0.5 * classes + 2 * source + penalty).backward()
        d_adam.step()
        fake_source, fake_classes = d(fakes)
        g_adam.zero_grad()
        (0.5 * F.cross_entropy(fake_classes, fake_labels) - 2 * fake_source.mean()).backward()
        g_adam.step()
    for name, one, other in (("generator", generator, g), ("discriminator", discriminator, d)):
        for (key, value), reference in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            torch.testing.assert_close(value, reference, rtol=1e-4, atol=1e-5, msg=f"{name}.{key}")


def test_labels_are_those_of_the_real_batch_shuffled(
    make_module: MakeModule, make_data: MakeData, make_trainer: Callable[..., Trainer]
) -> None:
    module = make_module("acgan")
    labels_of_fakes: list[Tensor] = []
    module.generator.register_forward_pre_hook(lambda _, args: labels_of_fakes.append(args[1]))
    make_trainer(max_steps=3, limit_val_batches=0).fit(module, make_data(batch_size=27))
    data = make_data(batch_size=27)
    data.prepare_data()
    data.setup("fit")
    real = [labels for _, labels, _ in data.train_dataloader()][:3]
    assert [labels.bincount(minlength=3).tolist() for labels in labels_of_fakes] == [
        labels.bincount(minlength=3).tolist() for labels in real
    ]
    assert not all(torch.equal(one, other) for one, other in zip(labels_of_fakes, real, strict=True))


def test_unknown_labels_of_synthetic_samples(
    make_module: MakeModule, make_data: MakeData, make_trainer: Callable[..., Trainer]
) -> None:
    """The samples of mixup have no class; the generator gets each class equally often."""
    module = make_module("acgan")
    labels_of_fakes: list[Tensor] = []
    module.generator.register_forward_pre_hook(lambda _, args: labels_of_fakes.append(args[1]))
    data = make_data(synthesizer=MixupSynthesizer(), p_fake=1.0, mix_mode="per_batch", batch_size=27)
    trainer = make_trainer(max_steps=3, limit_val_batches=0)
    trainer.fit(module, data)
    assert [labels.bincount(minlength=3).tolist() for labels in labels_of_fakes] == [[9, 9, 9]] * 3
    assert torch.isfinite(trainer.callback_metrics["train/loss_generator"])
    samples = module.predict_step(Batch(torch.zeros(2, 1, 8, 8), torch.tensor([-1, 2]), torch.zeros(2)), 0)
    assert samples.shape == (2, 1, 8, 8)


def test_default_optimizers(make_module: MakeModule) -> None:
    module = make_module("acgan")
    module = ACGANModule(module.generator, module.discriminator)
    generator, discriminator = module.configure_optimizers()
    for optimizer, network in ((generator, module.generator), (discriminator, module.discriminator)):
        assert isinstance(optimizer, Adam)
        assert (optimizer.defaults["lr"], optimizer.defaults["betas"]) == (2e-4, (0.5, 0.999))
        assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in network.parameters()]
    given = ACGANModule(
        module.generator, module.discriminator, None, lambda p: torch.optim.SGD(p, 1.0), lambda p: Adam(p, 0.5)
    )
    generator, discriminator = given.configure_optimizers()
    assert isinstance(generator, torch.optim.SGD)
    assert discriminator.defaults["lr"] == 0.5


def test_unconditional_generator_is_refused() -> None:
    generator = ACGANGenerator(8, 1, 3, 8, 4)
    generator.num_classes = 0
    with pytest.raises(ConfigurationError, match=r"model\.generator: got an unconditional"):
        ACGANModule(generator, ACGANDiscriminator(8, 1, 3, 2))


def test_generator_of_rows_for_images_is_refused(
    make_module: MakeModule, make_data: MakeData, make_trainer: Any
) -> None:
    module = make_module("acgan")
    module.generator = TabularGenerator(5, num_classes=3)
    with pytest.raises(
        ConfigurationError, match=r"model\.generator: got samples of shape \(5,\), expected \(1, 8, 8\)"
    ):
        make_trainer(max_epochs=1).fit(module, make_data())
