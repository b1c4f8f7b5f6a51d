"""GANCompressionModule: loops by hand, counters, resume, bad input."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR

from ganmc_lightning.batch import DataSpec, Statistics
from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import DataFreeSource, NpzFile
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import GeneratorDistillationLoss, PerceptualLoss, PixelMSELoss
from ganmc_lightning.modules import GANCompressionModule
from ganmc_lightning.networks import ACGANGenerator, DCGANDiscriminator, DCGANGenerator, Generator
from ganmc_lightning.networks.training_data import set_training_data
from ganmc_lightning.runs.metrics_csv import read_metrics
from ganmc_lightning.synthesizers import MixupSynthesizer

MakeData = Callable[..., GANAugmentedDataModule]
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),  # the teacher
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning"),
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning"),
]


def dcgan(width: int = 2, image_size: int = 8, latent_dim: int = 6, sharp: bool = False) -> DCGANGenerator:
    generator = DCGANGenerator(image_size, 1, latent_dim, width)
    if sharp:  # fresh weights make gray images: nothing to learn
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.mul_(20)
    return generator


def compression(alpha: float = 0.0, width: int = 4, **arguments: Any) -> GANCompressionModule:
    torch.manual_seed(0)
    teacher, student = dcgan(4, sharp=True), dcgan(width)
    if alpha > 0:
        arguments |= {"loss": GeneratorDistillationLoss(alpha), "discriminator": DCGANDiscriminator(8, 1, width=2)}
    return GANCompressionModule(teacher, student, **arguments)


def nothing(**arguments: Any) -> GANAugmentedDataModule:
    return GANAugmentedDataModule(DataFreeSource(120, 40), **{"batch_size": 32, **arguments})


def state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Copy the parameters; buffers of batch normalization change without an optimizer step."""
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def mse_on_other_noise(module: GANCompressionModule) -> float:
    latents = torch.randn(500, 6, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        return F.mse_loss(module.student.eval()(latents), module.teacher(latents)).item()


@pytest.mark.parametrize("distance", [None, PixelMSELoss(sum_pixels=True)])
def test_learns_without_a_data_set(make_trainer: Callable[..., Trainer], distance: Any) -> None:
    module = compression(loss=GeneratorDistillationLoss(distance=distance), optimizer=partial(Adam, lr=0.01))
    teacher, first = state_of(module.teacher), mse_on_other_noise(module)
    assert module.student.num_classes == 0
    make_trainer(max_epochs=150, limit_val_batches=0).fit(module, nothing())
    assert mse_on_other_noise(module) < 0.3 * first
    assert same(teacher, module.teacher.state_dict())  # weights and batch statistics


def test_two_mse_steps_equal_a_loop_by_hand(make_trainer: Callable[..., Trainer]) -> None:
    module = compression(optimizer=partial(SGD, lr=0.5))
    teacher, student = copy.deepcopy(module.teacher.network).eval(), copy.deepcopy(module.student).train()
    torch.manual_seed(9)
    make_trainer(max_steps=2).fit(module, nothing())
    sgd = SGD(student.parameters(), 0.5)
    torch.manual_seed(9)
    for _ in range(2):
        latents = torch.randn(32, 6)
        loss = (student(latents) - teacher(latents).detach()).square().mean()
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    for name, value in module.student.state_dict().items():
        torch.testing.assert_close(value, student.state_dict()[name], rtol=1e-5, atol=1e-6, msg=name)


def test_two_joint_steps_equal_a_loop_by_hand(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    sgd = partial(SGD, lr=0.5)
    module = compression(0.3, optimizer=sgd, discriminator_optimizer=sgd)
    parts = (module.teacher.network, module.student, module.discriminator)
    teacher, student, critic = (copy.deepcopy(part) for part in parts)
    torch.manual_seed(9)
    make_trainer(max_steps=2).fit(module, make_data())
    data = make_data()
    data.prepare_data()
    data.setup("fit")
    batches = iter(data.train_dataloader())
    student_step, critic_step = SGD(student.parameters(), 0.5), SGD(critic.parameters(), 0.5)
    torch.manual_seed(9)
    for _ in range(2):
        real = data.augment_and_mix(*next(batches)).inputs
        latents = torch.randn(32, 6)
        images, target = student(latents), teacher.eval()(latents).detach()
        loss = -torch.sigmoid(critic(real)).log().mean() - (1 - torch.sigmoid(critic(images.detach()))).log().mean()
        critic_step.zero_grad()
        loss.backward()
        critic_step.step()
        loss = 0.3 * (1 - torch.sigmoid(critic(images))).log().mean() + 0.7 * (images - target).square().mean()
        student_step.zero_grad()
        loss.backward()
        student_step.step()
    for one, other in ((module.student, student), (module.discriminator, critic)):
        for name, value in one.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], rtol=1e-4, atol=1e-5, msg=name)


def test_alpha_of_1_ignores_the_teacher(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    """The teacher is used only with alpha < 1."""

    def student_after(alpha: float, brightness: float) -> dict[str, Tensor]:
        module = compression(alpha)
        with torch.no_grad():
            module.teacher.network.layers[-2].bias += brightness
        torch.manual_seed(2)
        make_trainer(max_steps=3).fit(module, make_data())
        return state_of(module.student)

    assert same(student_after(1.0, 0.0), student_after(1.0, 1.0))
    assert not same(student_after(0.5, 0.0), student_after(0.5, 1.0))


class Steps(Callback):
    """Record the weights before each optimizer step and after each batch."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, dict[str, Tensor], dict[str, Tensor]]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        self._note("student" if optimizer is trainer.optimizers[0] else "discriminator", pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._note("end", pl_module)

    def _note(self, name: str, module: Any) -> None:
        parts = module.student, module.discriminator
        self.notes.append((name, *({k: v.detach().clone() for k, v in p.named_parameters()} for p in parts)))


def test_each_step_only_updates_its_network(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    steps = Steps()
    trainer = make_trainer(max_steps=3, callbacks=[steps])
    trainer.fit(compression(0.5), make_data())
    assert [name for name, *_ in steps.notes] == ["discriminator", "student", "end"] * 3
    for k in range(0, 9, 3):
        (_, s0, d0), (_, s1, d1), (_, s2, d2) = steps.notes[k : k + 3]
        assert same(s0, s1)
        assert not same(d0, d1)
        assert not same(s1, s2)
        assert same(d1, d2)
    assert trainer.global_step == 3


@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_two_and_two_epochs_are_four(
    make_data: MakeData, make_run_trainer: Callable[..., Trainer], tmp_path: Path, alpha: float
) -> None:
    """With a moving average of the student and a schedule in manual optimization."""

    def run(folder: str, epochs: int, resume: bool = False) -> tuple[dict[str, Any], list[dict[str, str]]]:
        module = compression(alpha, optimizer=partial(Adam, lr=0.01), lr_scheduler=partial(ExponentialLR, gamma=0.5))
        out = tmp_path / folder
        trainer = make_run_trainer(out, [GeneratorEMA(0.9, submodule="student")], max_epochs=epochs)
        torch.manual_seed(77 if resume else 1)
        last = out / "checkpoints" / "last.ckpt"
        trainer.fit(module, make_data() if alpha else nothing(), ckpt_path=last if resume else None)
        assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01 * 0.5**epochs, rel=1e-9, abs=1e-10)
        return torch.load(last, weights_only=True), read_metrics(out / "metrics.csv")

    whole, whole_rows = run("whole", 4)
    run("parts", 2)
    resumed, resumed_rows = run("parts", 4, resume=True)
    for part in ("state_dict", "generator_ema_raw"):
        assert same(whole[part], resumed[part]), part
    assert whole["iteration"] == resumed["iteration"] == 12
    assert whole_rows == resumed_rows
    assert {name.partition(".")[0] for name in whole["state_dict"]} == (
        {"student", "discriminator"} if alpha else {"student"}
    )


def test_network_of_a_perceptual_loss_is_not_saved_or_trained(
    make_trainer: Callable[..., Trainer],
) -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    before = state_of(network)
    module = compression(loss=GeneratorDistillationLoss(distance=PerceptualLoss(network)))
    student = weights_of(module.student)
    make_trainer(max_epochs=2).fit(module, nothing())
    assert same(before, network.state_dict())
    assert not same(student, weights_of(module.student))
    assert {name.partition(".")[0] for name in module.state_dict()} == {"student"}


@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_mixed_precision(make_data: MakeData, make_trainer: Callable[..., Trainer], alpha: float) -> None:
    module = compression(alpha)
    student = weights_of(module.student)
    make_trainer(max_epochs=2, precision="bf16-mixed").fit(module, make_data())
    assert not same(student, weights_of(module.student))
    assert all(torch.isfinite(value).all() for value in module.student.state_dict().values())


def test_held_out_latents_differ_only_between_validation_and_test(
    make_trainer: Callable[..., Trainer],
) -> None:
    module = compression()
    trainer = make_trainer()
    scores = [trainer.validate(module, nothing(), verbose=False)[0]["val/mse"] for _ in range(2)]
    torch.manual_seed(5)
    scores += [trainer.validate(module, nothing(), verbose=False)[0]["val/mse"]]
    assert scores[0] == scores[1] == scores[2] > 0
    tested = trainer.test(module, nothing(), verbose=False)[0]["test/mse"]
    assert tested != scores[0]
    assert tested == pytest.approx(scores[0], rel=0.5)  # 12 samples and 40
    assert torch.cat(trainer.predict(module, nothing())).shape == (40, 1, 8, 8)


class Recorder(Generator):
    """A generator with one gray level per class that records its inputs."""

    def __init__(self) -> None:
        super().__init__(4, 3, (1, 8, 8))
        self.level = nn.Parameter(torch.zeros(3))
        self.calls: list[tuple[Tensor, Tensor | None]] = []

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        if self.training or not torch.is_grad_enabled():
            self.calls.append((latents, labels))
        return self.level[labels].view(-1, 1, 1, 1).expand(-1, 1, 8, 8)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_same_latents_and_labels_for_both(
    make_data: MakeData, make_trainer: Callable[..., Trainer], alpha: float
) -> None:
    teacher, student = Recorder(), Recorder()
    loss = GeneratorDistillationLoss(alpha)
    discriminator = DCGANDiscriminator(8, 1, width=2) if alpha else None
    module = GANCompressionModule(teacher, student, loss, discriminator)
    data = make_data(batch_size=27) if alpha else nothing(batch_size=27)
    make_trainer(max_epochs=1, limit_val_batches=0).fit(module, data)
    taught, learned = teacher.calls[-4:], student.calls[-4:]
    for (one, one_labels), (other, other_labels) in zip(taught, learned, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one_labels, other_labels)
    if alpha:  # labels of the real batch
        data = make_data(batch_size=27)
        data.prepare_data()
        data.setup("fit")
        real = [labels.bincount().tolist() for _, labels, _ in data.train_dataloader()]
        assert [labels.bincount().tolist() for _, labels in taught] == real
    else:
        assert set(torch.cat([labels for _, labels in taught]).tolist()) == {0, 1, 2}


def test_unknown_labels_of_synthetic_samples(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    """The samples of mixup have no class; the student gets each class equally often."""
    student = Recorder()
    module = GANCompressionModule(
        Recorder(), student, GeneratorDistillationLoss(0.5), DCGANDiscriminator(8, 1, width=2)
    )
    data = make_data(synthesizer=MixupSynthesizer(), p_fake=1.0, mix_mode="per_batch", batch_size=27)
    make_trainer(max_epochs=1, limit_val_batches=0).fit(module, data)
    assert [labels.bincount().tolist() for _, labels in student.calls[-4:]] == [[9, 9, 9]] * 4


@pytest.mark.parametrize("wrapped", [0, 1])
def test_compiled_generators_are_compared(wrapped: int) -> None:
    generators = [dcgan(latent_dim=6), dcgan(latent_dim=7)]
    generators[wrapped] = torch.compile(generators[wrapped], backend="eager")  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match=r"model\.student\.latent_dim: got 7, expected 6 as in model\.teacher"):
        GANCompressionModule(*generators)


def test_a_conditional_student_learns_every_class(make_trainer: Callable[..., Trainer]) -> None:
    teacher, student = Recorder(), Recorder()
    teacher.level.data = torch.tensor([0.5, -0.5, 0.25])
    module = GANCompressionModule(teacher, student, optimizer=partial(SGD, lr=0.5))
    make_trainer(max_epochs=20, limit_val_batches=0).fit(module, nothing())
    torch.testing.assert_close(student.level, teacher.level, atol=0.02, rtol=0)


def test_any_module_as_teacher(make_trainer: Callable[..., Trainer]) -> None:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(6, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
    student = dcgan()
    before = weights_of(student)
    make_trainer(max_epochs=1).fit(GANCompressionModule(teacher, student), nothing())
    assert not same(before, weights_of(student))
    with pytest.raises(ConfigurationError, match=r"got samples of shape \(1, 16, 16\), expected \(1, 8, 8\)"):
        make_trainer(max_epochs=1).fit(GANCompressionModule(teacher, dcgan(image_size=16)), nothing())
    with pytest.raises(ConfigurationError, match=r"model\.teacher does not accept the latents of shape \(2, 7\)"):
        make_trainer(max_epochs=1).fit(GANCompressionModule(teacher, dcgan(latent_dim=7)), nothing())


class Rescaled(nn.Module):
    """Rescale the images of a generator."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.network = dcgan(sharp=True)
        self.scale, self.shift = scale, shift

    def forward(self, latents: Tensor) -> Tensor:
        return self.network(latents) * self.scale + self.shift  # type: ignore[no-any-return]


def test_teachers_of_images_in_another_range(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(max_epochs=1)
    with pytest.raises(ConfigurationError, match=r"model\.teacher: got images in \[.*\], expected \[-1, 1\]; wrap"):
        trainer.fit(GANCompressionModule(Rescaled(127.5, 127.5), dcgan()), nothing())
    with pytest.raises(ConfigurationError, match=r"got images in \[nan, nan\], expected \[-1, 1\]"):
        trainer.fit(GANCompressionModule(Rescaled(1.0, float("nan")), dcgan()), nothing())
    with pytest.warns(UserWarning, match=r"if they are in \[0, 1\], wrap it in a module .* 2 \* images - 1"):
        trainer.fit(GANCompressionModule(Rescaled(0.5, 0.5), dcgan()), nothing())


def test_teachers_and_students_that_differ() -> None:
    for student, named in (
        (dcgan(latent_dim=7), r"latent_dim: got 7, expected 6"),
        (dcgan(image_size=16), r"sample_shape: got \(1, 16, 16\), expected \(1, 8, 8\)"),
        (ACGANGenerator(8, 1, 3, 6, 4), r"num_classes: got 3, expected 0"),
        (DCGANGenerator(8, 1, 6, 2, latent_std=0.5), r"latent_std: got 0\.5, expected 1\.0"),
    ):
        with pytest.raises(ConfigurationError, match=rf"model\.student\.{named}"):
            GANCompressionModule(dcgan(), student)


def test_loss_and_discriminator_go_together(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    joint, critic = GeneratorDistillationLoss(0.1), DCGANDiscriminator(8, 1, width=2)
    with pytest.raises(ConfigurationError, match=r"alpha is 0.1 but model.discriminator is not set"):
        GANCompressionModule(dcgan(), dcgan(), joint)
    with pytest.raises(ConfigurationError, match=r"model\.discriminator is set but model\.loss\.alpha is 0"):
        GANCompressionModule(dcgan(), dcgan(), discriminator=critic)
    with pytest.raises(ConfigurationError, match="needs real samples"):
        make_trainer(max_epochs=1).fit(GANCompressionModule(dcgan(), dcgan(), joint, critic), nothing())
    other_size = GANCompressionModule(dcgan(image_size=16), dcgan(image_size=16), joint, critic)
    with pytest.raises(ConfigurationError, match=r"model\.student: got samples of shape \(1, 16, 16\)"):
        make_trainer(max_epochs=1).fit(other_size, make_data())
    wrong_critic = GANCompressionModule(dcgan(), dcgan(), joint, DCGANDiscriminator(32, 1, width=2))
    with pytest.raises(ConfigurationError, match=r"model\.discriminator"):
        make_trainer(max_epochs=1).fit(wrong_critic, make_data())


def test_networks_are_separate(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    """A perceptual loss freezes its network, which must not be the trained discriminator."""
    critic = DCGANDiscriminator(8, 1, width=2)
    loss = GeneratorDistillationLoss(0.1, distance=PerceptualLoss(critic.layers[:2]))
    with pytest.raises(ConfigurationError, match=r"model\.loss shares layers with model\.discriminator"):
        make_trainer(max_epochs=1).fit(GANCompressionModule(dcgan(), dcgan(), loss, critic), make_data())
    network = dcgan()
    with pytest.raises(ConfigurationError, match=r"model\.student shares layers with the frozen model\.teacher"):
        make_trainer(max_epochs=1).fit(GANCompressionModule(network, network), nothing())


def test_a_perceptual_loss_of_other_images(make_trainer: Callable[..., Trainer]) -> None:
    loss = GeneratorDistillationLoss(distance=PerceptualLoss(nn.Conv2d(3, 1, 1)))
    with pytest.raises(
        ConfigurationError,
        match=r"model\.loss\.distance \(PerceptualLoss\) does not accept samples of shape",
    ):
        make_trainer(max_epochs=1).fit(GANCompressionModule(dcgan(), dcgan(), loss), nothing())


class Pair(nn.Module):
    """A teacher that returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.network = dcgan()

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        samples = self.network(latents)
        return samples, samples


def test_a_teacher_that_returns_more_than_samples(make_trainer: Callable[..., Trainer]) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.teacher returns a tuple, expected one tensor of samples"):
        make_trainer(max_epochs=1).fit(GANCompressionModule(Pair(), dcgan()), nothing())


def test_training_data_of_the_student_are_the_teachers(make_trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    """The training data are the teacher's, not those of the data-free run."""
    teacher, spec = dcgan(), DataSpec((1, 8, 8), 3, ("a", "b", "c"))
    set_training_data(teacher, spec)
    trainer = make_trainer(max_steps=1)
    trainer.fit(GANCompressionModule(teacher, dcgan()), nothing())
    trainer.save_checkpoint(tmp_path / "student.ckpt")
    checkpoint = torch.load(tmp_path / "student.ckpt", weights_only=True)
    assert DataSpec.from_state_dict(checkpoint["trained_on"]) == spec


def test_a_teacher_of_other_data_than_the_run(
    data_root: Path, make_run_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    """A joint student of an unconditional teacher is resumed and tested without comparing the teacher's data."""

    def module() -> GANCompressionModule:
        made = compression(0.5)
        mean, std = (torch.tensor([value], dtype=torch.float64) for value in (0.3, 0.25))
        set_training_data(made.teacher.network, DataSpec((1, 8, 8), 3, ("x", "y", "z"), Statistics(mean, std)))
        return made

    with np.load(data_root / "tiny.npz") as arrays:
        np.savez(tmp_path / "named.npz", **arrays, class_names=["a", "b", "c"])
    data = GANAugmentedDataModule(NpzFile(tmp_path / "named.npz"), batch_size=32)
    run, last = tmp_path / "run", tmp_path / "run" / "checkpoints" / "last.ckpt"
    make_run_trainer(run, max_epochs=1).fit(module(), data)
    trainer = make_run_trainer(run, max_epochs=2)
    trainer.fit(module(), data, ckpt_path=last)  # a warning would be an error
    assert trainer.current_epoch == 2
    assert data.spec.class_names == ("a", "b", "c")
    assert data.spec.statistics is not None
    assert make_run_trainer(run).test(module(), data, ckpt_path=last, verbose=False)[0]["test/mse"] > 0
