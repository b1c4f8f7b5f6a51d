"""Adversarial network compression: routing of gradients, loops by hand, layers, checkpoints, bad input."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import StepLR

from ganmc_lightning.batch import Batch
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import InvertedLabelRegularizer, L2Regularizer, NoRegularizer
from ganmc_lightning.modules import AdversarialCompressionModule
from ganmc_lightning.modules.saturation import DiscriminatorSaturationWarning
from ganmc_lightning.networks import (
    ConvFeatureDiscriminator,
    Discriminator,
    FeatureDiscriminator,
    FiveLayerCNN,
    MLPClassifier,
    PreActResNet,
    forward_with_features,
)
from ganmc_lightning.runs.metrics_csv import read_metrics
from ganmc_lightning.synthesizers import JitterSynthesizer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning"),  # the teacher
    pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization:UserWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty:UserWarning"),
]

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]
ADAM = partial(Adam, lr=0.01)


class Normalized(nn.Module):
    """A classifier with batch normalization and features of any size."""

    def __init__(self, size: int, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(64, size, bias=False), nn.BatchNorm1d(size), nn.ReLU())
        self.classifier = nn.Linear(size, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


class NormalizedDiscriminator(Discriminator):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.layers(inputs)
        return scores.squeeze(1)


def module_of(student_size: int = 8, **arguments: Any) -> AdversarialCompressionModule:
    teacher, student = Normalized(8, seed=1), Normalized(student_size, seed=2)
    settings: dict[str, Any] = {
        "discriminator": FeatureDiscriminator(8, (6, 5)),
        "student_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
    }
    return AdversarialCompressionModule(teacher, student, **(settings | arguments))


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    return {name for name, value in one.items() if not torch.equal(value, other[name])}


class WeightRecorder(Callback):
    """Record all weights before each optimizer step and after each iteration."""

    def __init__(self) -> None:
        self.moments: list[tuple[str, dict[str, dict[str, Tensor]]]] = []

    def _note(self, name: str, module: Any) -> None:
        parts = ("teacher", "student", "discriminator", "projection")
        self.moments.append((name, {part: weights_of(getattr(module, part)) for part in parts}))

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._note("start", pl_module)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        self._note("student" if optimizer is trainer.optimizers[0] else "discriminator", pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self._note("end", pl_module)


class TestRouting:
    def test_each_step_only_updates_its_network(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        recorder = WeightRecorder()
        module = module_of(student_size=5, dropout=0.0)
        make_trainer(max_steps=3, callbacks=[recorder]).fit(module, make_data())
        assert [name for name, _ in recorder.moments] == ["start", "discriminator", "student", "end"] * 3
        teacher = recorder.moments[0][1]["teacher"]
        for k in range(0, 12, 4):
            start, before, after, end = (moment for _, moment in recorder.moments[k : k + 4])
            assert not any(differing(teacher, moment["teacher"]) for moment in (start, before, after, end))
            assert set(before["discriminator"]) == differing(before["discriminator"], after["discriminator"])
            assert not differing(before["student"], after["student"])
            assert not differing(before["projection"], after["projection"])
            parameters = {name for name, _ in module.student.named_parameters()}
            assert parameters <= differing(after["student"], end["student"])
            assert differing(after["projection"], end["projection"]) == {"weight", "bias"}
            assert not differing(after["discriminator"], end["discriminator"])
        assert all(parameter.grad is None for parameter in module.teacher.parameters())
        assert all(parameter.requires_grad for parameter in module.student.parameters())
        assert all(parameter.requires_grad for parameter in module.discriminator.parameters())

    def test_batch_statistics_are_updated_once_per_batch(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        module = module_of(discriminator=NormalizedDiscriminator(8))
        before = weights_of(module.teacher)
        make_trainer(max_steps=3, limit_val_batches=0).fit(module, make_data())
        assert int(module.student.features[2].num_batches_tracked) == 3
        assert int(module.discriminator.layers[1].num_batches_tracked) == 3
        assert not differing(before, weights_of(module.teacher))

    def test_number_of_forward_passes(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        module = module_of()
        passes: dict[str, int] = {}

        def count(name: str, trainer: Trainer) -> Callable[..., None]:
            def hook(*_: Any) -> None:
                passes[name] = passes.get(name, 0) + trainer.training

            return hook

        trainer = make_trainer(max_steps=3, limit_val_batches=0)
        for name, network in (
            ("teacher", module.teacher.network),
            ("student", module.student),
            ("discriminator", module.discriminator),
        ):
            network.register_forward_pre_hook(count(name, trainer))
        module.validate_spec = lambda spec: None  # type: ignore[method-assign]  # it also forwards the networks
        trainer.fit(module, make_data())
        assert passes == {"teacher": 3, "student": 3, "discriminator": 6}
        assert trainer.global_step == module.iteration == 3


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("regularizer", [InvertedLabelRegularizer(), L2Regularizer(0.01)], ids=["samples", "l2"])
def test_two_iterations_equal_a_loop_by_hand(
    make_data: MakeData, make_trainer: MakeTrainer, regularizer: nn.Module, precision: str
) -> None:
    module = module_of(regularizer=regularizer, logits_weight=0.3, dropout=0.4)
    teacher, student = copy.deepcopy(module.teacher.network).eval(), copy.deepcopy(module.student)
    d = copy.deepcopy(module.discriminator)
    torch.manual_seed(9)
    make_trainer(max_steps=2, precision=precision, limit_val_batches=0).fit(module, make_data())

    data = make_data()
    data.prepare_data()
    data.setup("fit")
    batches = iter(data.train_dataloader())
    s_adam, d_adam = Adam(student.parameters(), lr=0.01), Adam(d.parameters(), lr=0.01)
    torch.manual_seed(9)
    for _ in range(2):
        inputs = data.augment_and_mix(*next(batches)).inputs
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            with torch.no_grad():
                f_t = teacher.features(inputs)
                z = teacher.classifier(f_t)
            f_s = student.features(inputs)
            g = student.classifier(f_s)
            logits = [d(f_t), d(f_s.detach())]
            truth = [torch.ones(32), torch.zeros(32)]
            d_loss = sum(F.binary_cross_entropy_with_logits(v.float(), y) for v, y in zip(logits, truth, strict=True))
            if isinstance(regularizer, InvertedLabelRegularizer):
                d_loss = d_loss + F.binary_cross_entropy_with_logits(logits[1].float(), torch.ones(32))
            else:
                d_loss = d_loss + 0.01 * sum(w.square().sum() for w in d.parameters())
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            scores = d(F.dropout(f_s, 0.4))
            s_loss = F.binary_cross_entropy_with_logits(scores.float(), torch.ones(32))
            s_loss = s_loss + 0.3 * (g - z).square().sum(dim=1).mean()
        s_adam.zero_grad()
        s_loss.backward()
        s_adam.step()
    for name, one, other in (("student", module.student, student), ("discriminator", module.discriminator, d)):
        for (key, value), reference in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            if precision == "32-true":
                torch.testing.assert_close(value, reference, rtol=1e-5, atol=1e-5, msg=f"{name}.{key}")
            else:  # Adam turns a gradient that rounds to the other sign into a full step of 0.01: so the mean
                assert (value - reference).double().abs().mean().item() == pytest.approx(0, abs=0.002), f"{name}.{key}"


def test_dropout_only_in_the_student_step(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    module = module_of(dropout=0.5)
    inputs: list[Tensor] = []
    module.discriminator.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].detach()))
    module.validate_spec = lambda spec: None  # type: ignore[method-assign]
    make_trainer(max_steps=1, limit_val_batches=0).fit(module, make_data())
    both, dropped = inputs
    features = both[32:]
    assert len(features) == len(dropped) == 32
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * features[kept], rtol=1e-5, atol=1e-6)
    assert 0.2 < ((features > 0) & ~kept).sum() / (features > 0).sum() < 0.8


class Scrambled(GANAugmentedDataModule):
    """A data module that permutes the labels."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        return batch._replace(labels=(batch.labels * 5 + 1) % 3)


def test_no_label_reaches_the_student(data_root: Path, make_trainer: MakeTrainer) -> None:
    students, scores = [], []
    for kind in (GANAugmentedDataModule, Scrambled):
        module = module_of(student_size=5)
        data = kind(
            NpzFile(data_root / "tiny.npz"), batch_size=32, p_fake=0.5, synthesizer=JitterSynthesizer(), augment=None
        )
        torch.manual_seed(4)
        trainer = make_trainer(max_epochs=3)
        trainer.fit(module, data)
        students.append(module.state_dict())
        scores.append(trainer.callback_metrics)
    assert not differing(*students)
    assert scores[0]["val/accuracy"] != scores[1]["val/accuracy"]  # the labels did differ
    for name in ("val/logits_loss", "val/agreement"):  # the checkpoint can be chosen by them without labels
        assert scores[0][name] == scores[1][name]


@pytest.mark.parametrize("p_fake", [0.0, 1.0])
def test_loss_decreases_on_32_samples_in_50_steps(
    make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, p_fake: float
) -> None:
    module = module_of(student_size=16, regularizer=InvertedLabelRegularizer())
    data = make_data(train_size=32, p_fake=p_fake, synthesizer=JitterSynthesizer(noise_std=0.05))
    make_run_trainer(tmp_path, max_epochs=50, limit_val_batches=0).fit(module, data)
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "train/loss" in row]
    assert len(rows) == module.iteration == 50
    first, last = (sum(float(row["train/loss_logits"]) for row in some) / 5 for some in (rows[:5], rows[-5:]))
    assert last < 0.3 * first
    assert float(rows[-1]["train/loss"]) < 0.7 * float(rows[0]["train/loss"])
    for row in rows:
        logits_loss, adversarial = float(row["train/loss_logits"]), float(row["train/loss_adversarial"])
        assert float(row["train/loss"]) == pytest.approx(adversarial + logits_loss, rel=1e-4, abs=1e-6)
        assert float(row["train/loss_ratio_adversarial_logits"]) == pytest.approx(
            adversarial / logits_loss, rel=1e-4, abs=1e-6
        )
        for name in ("teacher", "student"):
            assert 0 <= float(row[f"train/discriminator_accuracy_{name}"]) <= 1


def test_discriminator_separates_a_frozen_student(
    make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """Without regularization the discriminator separates the features, and the curves show it."""
    frozen_student = partial(SGD, lr=1e-12)
    module = module_of(regularizer=NoRegularizer(), student_optimizer=frozen_student)
    make_run_trainer(tmp_path, max_epochs=40, limit_val_batches=0).fit(module, make_data(batch_size=27))
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "train/loss" in row]
    for name in ("teacher", "student"):
        assert float(rows[-1][f"train/discriminator_accuracy_{name}"]) > 0.9
    assert float(rows[-1]["train/loss_discriminator"]) < 0.5 * float(rows[0]["train/loss_discriminator"])
    assert float(rows[-1]["train/loss_adversarial"]) > float(rows[0]["train/loss_adversarial"])


def test_features_by_hooks_and_by_the_network_itself_are_equal(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    class Own(Normalized):
        def forward_features_and_logits(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
            features = self.features(inputs)
            return features, self.classifier(features)

    states = []
    for kind in (Normalized, Own):
        torch.manual_seed(0)
        discriminator = FeatureDiscriminator(8, (6,))
        module = AdversarialCompressionModule(kind(8, 1), kind(8, 2), discriminator, student_optimizer=ADAM)
        torch.manual_seed(5)
        make_trainer(max_epochs=2).fit(module, make_data())
        states.append(weights_of(module))
    assert not differing(*states)


class TestLayers:
    def test_logits(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        module = module_of(5, discriminator=FeatureDiscriminator(3), teacher_layer="logits", student_layer="logits")
        make_trainer(max_steps=2).fit(module, make_data())
        assert isinstance(module.projection, nn.Identity)

    def test_maps_and_convolutions(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        """Feature maps with other channels than the teacher's are projected by a convolution."""
        teacher = PreActResNet(8, 1, 3, bottleneck=False)
        student = FiveLayerCNN(1, 8, 3, widths=(4, 6, 8, 8))
        module = AdversarialCompressionModule(
            teacher,
            student,
            ConvFeatureDiscriminator(64, (4, 4)),
            teacher_layer="features.5",
            student_layer="features.5",
        )
        make_trainer(max_steps=1).fit(module, make_data())
        assert tuple(module.projection.weight.shape) == (64, 6, 1, 1)  # type: ignore[union-attr, arg-type]

    @pytest.mark.filterwarnings("ignore:The 'weights' parameter:UserWarning")
    def test_torchvision(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        from torchvision.models import mobilenet_v3_small, resnet18

        def colored(network: nn.Module) -> nn.Module:
            return nn.Sequential(nn.Conv2d(1, 3, 1), nn.Upsample(32), network)

        teacher, student = colored(resnet18(num_classes=3)), colored(mobilenet_v3_small(num_classes=3))
        module = AdversarialCompressionModule(
            teacher, student, FeatureDiscriminator(512), teacher_layer="2.avgpool", student_layer="2.avgpool"
        )
        make_trainer(max_steps=1, limit_val_batches=0).fit(module, make_data(batch_size=4))
        assert tuple(module.projection.weight.shape) == (512, 576)  # type: ignore[union-attr, arg-type]


class TestCheckpoints:
    @pytest.fixture
    def train(self, make_data: MakeData, make_run_trainer: MakeTrainer) -> Callable[..., Trainer]:
        def run(folder: Path, epochs: int, resume: bool = False, **arguments: Any) -> Trainer:
            schedule = partial(StepLR, step_size=2, gamma=0.5)
            module = module_of(5, student_lr_scheduler=schedule, discriminator_lr_scheduler=schedule)
            trainer = make_run_trainer(folder, max_epochs=epochs, **arguments)
            torch.manual_seed(77 if resume else 1)
            path = folder / "checkpoints" / "last.ckpt" if resume else None
            trainer.fit(module, make_data(batch_size=27), ckpt_path=path)
            return trainer

        return run

    @pytest.mark.parametrize("at_epoch_end", [True, False])
    def test_three_and_three_epochs_are_six(
        self, train: Callable[..., Trainer], tmp_path: Path, at_epoch_end: bool
    ) -> None:
        saving = {"checkpoint": {"save_on_train_epoch_end": at_epoch_end}}
        whole = train(tmp_path / "whole", 6, **saving)
        train(tmp_path / "parts", 3, **saving)
        resumed = train(tmp_path / "parts", 6, resume=True, **saving)
        assert not differing(weights_of(whole.lightning_module), weights_of(resumed.lightning_module))
        for one, other in zip(whole.optimizers, resumed.optimizers, strict=True):
            assert (
                one.param_groups[0]["lr"] == other.param_groups[0]["lr"] == pytest.approx(0.01 / 8, rel=1e-9, abs=1e-10)
            )
        rows = [read_metrics(tmp_path / name / "metrics.csv") for name in ("whole", "parts")]
        assert rows[0] == rows[1]

    def test_without_the_teacher_and_loadable(self, train: Callable[..., Trainer], tmp_path: Path) -> None:
        trained = train(tmp_path, 1).lightning_module
        path = tmp_path / "checkpoints" / "last.ckpt"
        stored = torch.load(path, weights_only=True)["state_dict"]
        assert {name.partition(".")[0] for name in stored} == {"student", "discriminator", "projection"}
        loaded = AdversarialCompressionModule.load_from_checkpoint(
            path,
            weights_only=True,
            teacher=Normalized(8),
            student=Normalized(5),
            discriminator=FeatureDiscriminator(8, (6, 5)),
        )
        assert not differing(trained.state_dict(), loaded.state_dict())


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"logits_weight": -0.5}, r"model\.logits_weight \(lambda\): got -0\.5, expected a value >= 0"),
            ({"dropout": 1.0}, r"model\.dropout: got 1\.0, expected a value in \[0, 1\)"),
            ({"dropout": -0.1}, r"model\.dropout: got -0\.1, expected a value in \[0, 1\)"),
        ],
    )
    def test_values(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            module_of(**arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"student_layer": "featurez"}, r"model\.student \(Normalized\): got the layer 'featurez'"),
            ({"teacher_layer": "avgpool"}, r"model\.teacher \(Normalized\): got the layer 'avgpool'"),
            (
                {"discriminator": FeatureDiscriminator(7)},
                r"model\.discriminator does not accept the teacher's features \(8,\) of layer 'features'",
            ),
            (
                {"discriminator": nn.Linear(8, 1)},
                r"returned shape \(2, 1\) for .* 2 samples, expected \(2,\)",
            ),
            (
                {"student": FiveLayerCNN(1, 8, 3), "student_layer": "features.0"},
                r"model\.student_layer and model\.teacher_layer: .* expected two vectors",
            ),
        ],
    )
    def test_networks(self, make_data: MakeData, make_trainer: Any, arguments: dict[str, Any], message: str) -> None:
        module = module_of(**{name: value for name, value in arguments.items() if name != "student"})
        module.student = arguments.get("student", module.student)
        with pytest.raises(ConfigurationError, match=message) as caught:
            make_trainer(max_epochs=1).fit(module, make_data())
        assert "\n" not in str(caught.value)

    def test_unfrozen_teacher(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        module = module_of()
        module.teacher.requires_grad_(True)
        with pytest.raises(
            ConfigurationError, match=r"model\.teacher: network\.features\.1\.weight has requires_grad=True"
        ):
            make_trainer(max_epochs=1).fit(module, make_data())

    def test_student_without_trainable_parameters(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        network = Normalized(8)
        module = AdversarialCompressionModule(network, network, FeatureDiscriminator(8))
        with pytest.raises(ConfigurationError, match=r"model\.student shares layers with the frozen model\.teacher"):
            make_trainer(max_epochs=1).fit(module, make_data())
        module = module_of()
        module.student.requires_grad_(False)
        with pytest.raises(ConfigurationError, match=r"model\.student has no trainable parameter"):
            make_trainer(max_epochs=1).fit(module, make_data())


class TestSaturationWarning:
    def test_warns_once(self) -> None:
        warning = DiscriminatorSaturationWarning(accuracy=0.99, steps=5)
        for _ in range(4):
            warning.update(torch.tensor(1.0))
        with pytest.warns(UserWarning, match="adversarial gradient vanishes"):
            warning.update(torch.tensor(0.995))
        for _ in range(20):
            warning.update(torch.tensor(1.0))  # a second warning would be an error

    def test_a_step_below_the_threshold_resets_the_count(self) -> None:
        warning = DiscriminatorSaturationWarning(accuracy=0.99, steps=5)
        for accuracy in [1.0, 1.0, 1.0, 0.99, 1.0, 1.0, 1.0, 1.0, 0.5, 1.0] * 4:
            warning.update(torch.tensor(accuracy))

    def test_a_streak_that_ends_before_the_count_is_read(self) -> None:
        warning = DiscriminatorSaturationWarning(accuracy=0.99, steps=5)
        for accuracy in [0.0] * 3 + [1.0] * 6:
            warning.update(torch.tensor(accuracy))
        with pytest.warns(UserWarning, match=r"discriminator accuracy > 0\.99 for 5 steps"):
            warning.update(torch.tensor(0.0))

    def test_in_training(self, make_data: MakeData, make_trainer: MakeTrainer) -> None:
        module = module_of(regularizer=NoRegularizer(), student_optimizer=partial(SGD, lr=1e-12))
        module._saturation = DiscriminatorSaturationWarning(accuracy=0.6, steps=20)
        with pytest.warns(UserWarning, match=r"discriminator accuracy > 0\.6 for 20 steps"):
            make_trainer(max_epochs=60).fit(module, make_data(batch_size=27))


def test_default_optimizers() -> None:
    student, discriminator = module_of(student_optimizer=None, discriminator_optimizer=None).configure_optimizers()[0]
    for optimizer in (student, discriminator):
        assert isinstance(optimizer, SGD)
        assert [optimizer.defaults[key] for key in ("lr", "momentum", "weight_decay")] == [0.001, 0.9, 0.0002]


def test_predictions_are_those_of_the_student() -> None:
    module = module_of().eval()
    batch = Batch(torch.randn(3, 1, 8, 8), torch.zeros(3, dtype=torch.long), torch.zeros(3, dtype=torch.bool))
    expected = forward_with_features(module.student, [], batch.inputs).logits.softmax(dim=1)
    assert torch.equal(module.predict_step(batch, 0), expected)
    assert isinstance(MLPClassifier(64, 3)(batch.inputs), Tensor)
