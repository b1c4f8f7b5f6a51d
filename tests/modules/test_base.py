"""Behavior of the base class in each module."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile, TableFile
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import HintLoss, KnowledgeDistillationLoss
from ganmc_lightning.modules import (
    ACGANModule,
    AdversarialCompressionModule,
    ClassifierModule,
    CompressionModule,
    DistillationModule,
    GANModule,
)
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    FeatureDiscriminator,
    MLPClassifier,
    TabularDiscriminator,
    TabularGenerator,
    load_network,
)
from ganmc_lightning.networks.training_data import get_training_data
from ganmc_lightning.runs.metrics_csv import read_metrics
from ganmc_lightning.synthesizers import MixupSynthesizer

pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")

MakeModule = Callable[..., CompressionModule]
MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]
KINDS = ["classifier", "distillation", "acgan"]


@pytest.mark.parametrize("kind", KINDS)
def test_max_steps_counts_updates_of_the_trained_module(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, kind: str
) -> None:
    module, trainer = make_module(kind), make_run_trainer(tmp_path, max_steps=7)
    trainer.fit(module, make_data(batch_size=27))
    assert trainer.global_step == module.iteration == 7
    for optimizer in trainer.optimizers:
        updates = {int(state["step"]) for state in optimizer.state_dict()["state"].values()}
        assert updates == {7}
    rows = read_metrics(tmp_path / "metrics.csv")
    # Every third step and, at steps 4, the end of an epoch; steps count from 0 in the file.
    assert {(row["step"], row["trainer/iteration"]) for row in rows if "trainer/iteration" in row} >= {
        ("2", "3.0"),
        ("3", "4.0"),
        ("5", "6.0"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_logged_losses_are_means_over_their_steps(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, kind: str
) -> None:
    losses: list[dict[str, float]] = []

    class Spy(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
            record = pl_module.record

            def note(**values: torch.Tensor) -> None:
                losses.append({name: value.item() for name, value in values.items()})
                record(**values)

            pl_module.record = note if len(losses) == 0 else pl_module.record

    trainer = make_run_trainer(tmp_path, [Spy()], max_epochs=2)
    trainer.fit(make_module(kind), make_data(batch_size=27))
    assert len(losses) == 8
    rows = read_metrics(tmp_path / "metrics.csv")
    for name in losses[0]:
        by_epoch = [float(row[f"train/{name}"]) for row in rows if f"train/{name}" in row]
        by_steps = [float(row[f"train/{name}_step"]) for row in rows if f"train/{name}_step" in row]
        values = [entry[name] for entry in losses]
        assert by_epoch == pytest.approx([sum(values[:4]) / 4, sum(values[4:]) / 4], rel=1e-5, abs=1e-6)
        assert by_steps == pytest.approx([sum(values[:3]) / 3, sum(values[3:6]) / 3], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16(make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer, kind: str) -> None:
    module, full = make_module(kind), make_module(kind)
    make_trainer(max_epochs=1, precision="bf16-mixed").fit(module, make_data())
    make_trainer(max_epochs=1).fit(full, make_data())
    for name, one in module.named_parameters():
        assert one.dtype == torch.float32, name
        assert one.isfinite().all(), name
    assert any(not torch.equal(one, other) for one, other in zip(module.parameters(), full.parameters(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_data_of_another_shape_or_class_count(make_module: MakeModule, kind: str) -> None:
    module = make_module(kind)
    module.validate_spec(DataSpec((1, 8, 8), 3))
    for spec in (DataSpec((1, 16, 16), 3), DataSpec((3, 8, 8), 3), DataSpec((1, 8, 8), 4), DataSpec((7,), 3)):
        with pytest.raises(ConfigurationError, match=r"model\.\w+.* the data"):
            module.validate_spec(spec)
    assert all(part.training for name, part in module.named_modules() if "teacher" not in name)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_are_validated_before_training(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, kind: str
) -> None:
    module = make_module(kind)
    part = "generator" if kind == "acgan" else module.trained_module
    setattr(module, part, ACGANGenerator(12, 1, 3, 8, 4) if kind == "acgan" else MLPClassifier(64, 5))
    with pytest.raises(ConfigurationError, match=rf"model\.{part}"):
        make_run_trainer(tmp_path / "run", max_epochs=1).fit(module, make_data())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_example_inputs(make_module: MakeModule, kind: str) -> None:
    module = make_module(kind)
    outputs = module.get_submodule(module.trained_module).eval()(*module.example_inputs(DataSpec((1, 8, 8), 3)))
    assert outputs.shape == ((1, 1, 8, 8) if kind == "acgan" else (1, 3))


@pytest.mark.parametrize("other", ["distillation", "acgan", "wider"])
def test_checkpoint_of_another_model(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, other: str
) -> None:
    """Loading is not strict because the teacher is missing: unchecked, the student would stay untrained."""
    make_run_trainer(tmp_path, max_steps=1).fit(make_module("classifier"), make_data())
    path = tmp_path / "checkpoints" / "last.ckpt"
    module = ClassifierModule(MLPClassifier(64, 3, hidden=(17,))) if other == "wider" else make_module(other)
    trainer = make_run_trainer(tmp_path)
    with pytest.raises(ConfigurationError, match="checkpoint does not match the model"):
        trainer.validate(module, make_data(), ckpt_path=path, verbose=False)


@pytest.mark.parametrize("key", ["iteration", "train_seconds", "running_means", "random_state"])
def test_checkpoint_of_another_program(
    make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path, key: str
) -> None:
    trainer = make_trainer(max_steps=1)
    trainer.fit(make_module("classifier"), make_data())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    del checkpoint[key]
    torch.save(checkpoint, tmp_path / "a.ckpt")
    message = f"--ckpt_path: the checkpoint has no key '{key}', expected a checkpoint of ClassifierModule"
    with pytest.raises(ConfigurationError, match=message):
        make_trainer(max_steps=2).fit(make_module("classifier"), make_data(), ckpt_path=tmp_path / "a.ckpt")


class Widened(ClassifierModule):
    """A subclass with plain and live arguments."""

    def __init__(self, width: int = 16, activation: nn.Module | None = None, sizes: tuple[int, ...] = (3,)) -> None:
        super().__init__(
            nn.Sequential(nn.Flatten(), nn.Linear(64, width), activation or nn.ReLU(), nn.Linear(width, 3))
        )


def test_hyperparameters_of_a_module_built_in_python(
    make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """Plain arguments of the class are stored; live objects and arguments of its base class are not."""
    module = Widened(5, nn.Tanh(), (1, 2))
    assert dict(module.hparams) == {"width": 5, "sizes": (1, 2)}
    trainer = make_trainer(max_steps=1)
    trainer.fit(module, make_data())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    loaded = Widened.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True, activation=nn.Tanh())
    inputs = torch.randn(4, 1, 8, 8)
    assert torch.equal(loaded(inputs), module.eval()(inputs))


def test_steps_that_are_not_counted(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    """They update the parameters but not ``global_step``."""

    class Uncounted(ClassifierModule):
        def __init__(self) -> None:
            super().__init__(MLPClassifier(64, 3), partial(torch.optim.SGD, lr=0.1))
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            loss = nn.functional.cross_entropy(self(batch.inputs), batch.labels)
            self.step(self.optimizers(), loss, counted=self.iteration % 2 == 0)  # type: ignore[arg-type]
            self.record(loss=loss)

    module = Uncounted()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    trainer = make_trainer(max_epochs=1, limit_train_batches=1)
    trainer.fit(module, make_data())
    assert (module.iteration, trainer.global_step) == (1, 0)
    assert all(not torch.equal(one, other) for one, other in zip(before, module.parameters(), strict=True))
    trainer = make_trainer(max_epochs=1, limit_train_batches=3)
    trainer.fit(Uncounted(), make_data())
    assert trainer.global_step == 1


def test_train_seconds_add_up_over_resumed_runs(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path
) -> None:
    module = make_module("classifier")
    assert module.train_seconds == 0
    make_run_trainer(tmp_path, max_epochs=1).fit(module, make_data())
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert 0 < checkpoint["train_seconds"] <= module.train_seconds
    module.on_load_checkpoint({**checkpoint, "train_seconds": 1000.0})
    assert module.train_seconds > 1000


def test_acgan_discriminator_with_another_number_of_classes(make_module: MakeModule) -> None:
    module = make_module("acgan")
    module.discriminator = ACGANDiscriminator(8, 1, num_classes=4, width=2)
    with pytest.raises(ConfigurationError, match=r"model\.discriminator .*returned shape \(2, 4\) .*expected \(2, 3\)"):
        module.validate_spec(DataSpec((1, 8, 8), 3))


def rows_file(folder: Path, shift: float = 0.0, names: tuple[str, ...] = ("a", "b", "c")) -> NpzFile:
    """Rows of three classes around different centers, in a file."""
    rng = np.random.default_rng(0)
    parts: dict[str, np.ndarray] = {"class_names": np.array(names)}
    for part, n in (("train", 90), ("test", 30)):
        labels = np.arange(n) % 3
        parts[f"X_{part}"] = (rng.normal(size=(n, 64)) + labels[:, None] + shift).astype(np.float32)
        parts[f"y_{part}"] = labels
    path = folder / f"rows_{shift}_{'_'.join(names)}.npz"
    np.savez(path, **parts)
    return NpzFile(path)


class TestTrainedOn:
    @pytest.mark.parametrize("kind", KINDS)
    def test_classes_and_statistics_are_in_the_checkpoint(
        self,
        make_module: MakeModule,
        make_data: MakeData,
        make_run_trainer: MakeTrainer,
        tmp_path: Path,
        kind: str,
    ) -> None:
        module, data = make_module(kind), make_data()
        make_run_trainer(tmp_path, max_steps=1).fit(module, data)
        checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
        read = DataSpec.from_state_dict(checkpoint["trained_on"])
        assert read[:3] == data.spec[:3]
        assert read.statistics is not None
        assert data.spec.statistics is not None
        assert torch.equal(read.statistics.mean, data.spec.statistics.mean)
        assert get_training_data(module.get_submodule(module.trained_module)) == data.spec

    def test_other_class_order_is_refused(self, make_trainer: MakeTrainer, tmp_path: Path) -> None:
        data = GANAugmentedDataModule(rows_file(tmp_path))
        other = GANAugmentedDataModule(rows_file(tmp_path, names=("b", "a", "c")))
        teacher = ClassifierModule(MLPClassifier(64, 3))
        trainer = make_trainer(max_steps=1)
        trainer.fit(teacher, data)
        trainer.save_checkpoint(tmp_path / "teacher.ckpt")
        with pytest.raises(ConfigurationError, match=r"model\.teacher: class 0 of its training data is 'a'"):
            make_trainer(max_steps=1).fit(DistillationModule(teacher.network, MLPClassifier(64, 3)), other)
        with pytest.raises(ConfigurationError, match="the model of the checkpoint: class 0 of its training data is"):
            make_trainer().test(
                ClassifierModule(MLPClassifier(64, 3)), other, ckpt_path=tmp_path / "teacher.ckpt", weights_only=True
            )

    def test_other_columns_are_refused(self, make_trainer: MakeTrainer, tmp_path: Path) -> None:
        """Whose order or categories differ: their values would be used as those of other columns."""
        tables = {}
        for name, header, colors in (("a", "x,y,color", "rb"), ("b", "y,x,color", "rb"), ("c", "x,y,color", "rg")):
            lines = [f"{k % 7}.5,{k % 5}.25,{colors[k % 3 % 2]},{'no' if k % 2 else 'yes'}" for k in range(60)]
            (tmp_path / f"{name}.csv").write_text("\n".join([f"{header},bought", *lines]))
            tables[name] = GANAugmentedDataModule(TableFile(tmp_path / f"{name}.csv", "bought", ["color"]))
        teacher = ClassifierModule(MLPClassifier(4, 2))
        trainer = make_trainer(max_steps=1)
        trainer.fit(teacher, tables["a"])
        trainer.save_checkpoint(tmp_path / "teacher.ckpt")
        fresh = partial(ClassifierModule, MLPClassifier(4, 2))
        make_trainer().test(fresh(), tables["a"], ckpt_path=tmp_path / "teacher.ckpt", weights_only=True)
        for name, message in (("b", "column 0 .* is 'x', got 'y'"), ("c", "column 2 .* is 'color=b', got 'color=g'")):
            with pytest.raises(ConfigurationError, match=f"the model of the checkpoint: {message} in the data"):
                make_trainer().test(fresh(), tables[name], ckpt_path=tmp_path / "teacher.ckpt", weights_only=True)
            with pytest.raises(ConfigurationError, match=rf"model\.teacher: {message} in the data"):
                make_trainer(max_steps=1).fit(DistillationModule(teacher.network, MLPClassifier(4, 2)), tables[name])

    def test_a_pretrained_backbone_does_not_determine_the_classes(
        self, make_trainer: MakeTrainer, tmp_path: Path
    ) -> None:
        backbone = ClassifierModule(MLPClassifier(64, 3))
        make_trainer(max_steps=1).fit(backbone, GANAugmentedDataModule(rows_file(tmp_path)))
        other = GANAugmentedDataModule(rows_file(tmp_path, names=("d", "e", "f")))
        teacher = ClassifierModule(nn.Sequential(backbone.network, nn.Linear(3, 3)))
        make_trainer(max_steps=1).fit(teacher, other)
        make_trainer(max_steps=1).fit(DistillationModule(teacher.network, MLPClassifier(64, 3)), other)

    @pytest.mark.parametrize("seed", range(4))
    def test_unlabeled_samples_of_some_batches(
        self, seed: int, make_data: MakeData, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A first batch without labels is no error if later ones contain real samples; it depends on the seed."""
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        data = make_data(synthesizer=MixupSynthesizer(), p_fake=0.5, mix_mode="per_batch")
        make_trainer(max_epochs=1).fit(ClassifierModule(MLPClassifier(64, 3)), data)

    def test_inputs_of_a_teacher_with_another_scaling_are_rescaled(
        self, make_trainer: MakeTrainer, tmp_path: Path
    ) -> None:
        """It predicts the same for a row as in its own data, where the row has other z-scores."""
        data = GANAugmentedDataModule(rows_file(tmp_path), train_size=60)
        teacher = ClassifierModule(MLPClassifier(64, 3))
        make_trainer(max_steps=1).fit(teacher, data)
        other = GANAugmentedDataModule(rows_file(tmp_path), train_size=30)
        module = DistillationModule(copy.deepcopy(teacher.network), MLPClassifier(64, 3))
        make_trainer(max_steps=1).fit(module, other)
        one, another = data.samples("test")[0], other.samples("test")[0]
        assert not torch.allclose(one, another, atol=1e-3)
        expected = teacher.network.eval()(one)
        torch.testing.assert_close(module.teacher(another), expected.detach(), rtol=1e-4, atol=1e-4)
        scores = GANAugmentedDataModule(rows_file(tmp_path), train_size=30, quantile_transform=True)
        with pytest.raises(ConfigurationError, match=r"model\.teacher: trained with data\.quantile_transform false"):
            make_trainer(max_steps=1).fit(module, scores)

    @pytest.mark.filterwarnings("ignore:.*the training samples differ from those of the checkpoint")
    def test_scale_is_restored_from_the_checkpoint(self, make_trainer: MakeTrainer, tmp_path: Path) -> None:
        """A resumed run scales rows by the checkpoint's scaler, which the teacher's scale is compared with."""
        teacher = ClassifierModule(MLPClassifier(64, 3))
        data = GANAugmentedDataModule(rows_file(tmp_path))
        make_trainer(max_steps=1).fit(teacher, data)
        trainer = make_trainer(max_steps=1)
        trainer.fit(DistillationModule(teacher.network, MLPClassifier(64, 3)), data)
        trainer.save_checkpoint(tmp_path / "student.ckpt")
        shifted = GANAugmentedDataModule(rows_file(tmp_path, shift=0.5))
        module = DistillationModule(teacher.network, MLPClassifier(64, 3))
        make_trainer(max_steps=2).fit(module, shifted, ckpt_path=tmp_path / "student.ckpt", weights_only=True)
        assert isinstance(module.teacher.normalize, nn.Identity)
        assert data.spec.statistics is not None
        assert shifted.spec.statistics is not None
        assert torch.equal(shifted.spec.statistics.mean, data.spec.statistics.mean)


@pytest.mark.parametrize("compiled_first", [True, False])
def test_compiled_runs_resume_plain_ones_and_the_reverse(
    make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path, compiled_first: bool
) -> None:
    def module(compiled: bool) -> ClassifierModule:
        torch.manual_seed(0)
        network: Any = MLPClassifier(64, 3)
        return ClassifierModule(torch.compile(network, backend="eager") if compiled else network)

    first, second = module(compiled_first), module(not compiled_first)
    trainer, path = make_trainer(max_steps=2), tmp_path / "first.ckpt"
    trainer.fit(first, make_data())
    trainer.save_checkpoint(path)
    extracted = load_network(str(path), "network", MLPClassifier(64, 3))
    make_trainer(max_steps=3).fit(second, make_data(), ckpt_path=path, weights_only=True)
    assert second.iteration == 3
    inputs = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(extracted(inputs), first.network.eval()(inputs))
    torch.compiler.reset()


class Changed(nn.Module):
    """A network that does not return logits."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        super().__init__()
        self.network = MLPClassifier(64, 3)
        self.change = change

    def forward(self, inputs: torch.Tensor) -> Any:
        return self.change(self.network(inputs))


@pytest.mark.parametrize("role", ["network", "teacher", "student"])
@pytest.mark.parametrize("change", [lambda z: z.softmax(dim=1), lambda z: (z, z), lambda z: {"logits": z}])
def test_outputs_other_than_logits_are_refused_before_training(
    make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, role: str, change: Callable[[Any], Any]
) -> None:
    odd, plain = Changed(change), MLPClassifier(64, 3)
    modules = {
        "network": lambda: ClassifierModule(odd),
        "teacher": lambda: DistillationModule(odd, plain),
        "student": lambda: DistillationModule(plain, odd),
    }
    with pytest.raises(ConfigurationError, match=rf"model\.{role} \(Changed\): returned .*expected"):
        make_run_trainer(tmp_path / "run", max_epochs=1).fit(modules[role](), make_data())
    assert not (tmp_path / "run").exists()


def test_discriminator_without_two_outputs(make_module: MakeModule) -> None:
    module = make_module("acgan")
    module.discriminator = MLPClassifier(64, 3)
    with pytest.raises(
        ConfigurationError, match=r"model\.discriminator \(MLPClassifier\) returns a Tensor, expected a tuple"
    ):
        module.validate_spec(DataSpec((1, 8, 8), 3))


@pytest.fixture
def weighted_rows(tmp_path: Path) -> NpzFile:
    """Two classes with equal inputs; sample weights determine the predicted probability."""
    places = np.repeat(np.random.default_rng(0).normal(size=(60, 4)), 2, axis=0)
    labels = np.arange(120) % 2
    np.savez(tmp_path / "rows.npz", X=places, y=labels, sample_weight=np.where(labels == 1, 9.0, 1.0))
    return NpzFile(tmp_path / "rows.npz")


def mean_probability(network: torch.nn.Module) -> float:
    """Return the mean probability of class 1 at random inputs."""
    with torch.no_grad():
        rows = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
        return float(network(rows).softmax(dim=1)[:, 1].mean())


def test_sample_weights_in_classification(
    weighted_rows: NpzFile, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    network = MLPClassifier(4, 2, (8,))
    module = ClassifierModule(network, optimizer=partial(torch.optim.Adam, lr=0.02))
    make_trainer(max_epochs=15).fit(module, make_data(dataset=weighted_rows))
    assert mean_probability(network) == pytest.approx(0.9, abs=0.06)


def test_sample_weights_in_distillation(weighted_rows: NpzFile, make_data: MakeData, make_trainer: MakeTrainer) -> None:
    student, hard_loss = MLPClassifier(4, 2, (8,)), KnowledgeDistillationLoss(alpha=0.0)
    module = DistillationModule(MLPClassifier(4, 2, (8,)), student, hard_loss, partial(torch.optim.Adam, lr=0.02))
    make_trainer(max_epochs=15).fit(module, make_data(dataset=weighted_rows))
    assert mean_probability(student) == pytest.approx(0.9, abs=0.06)


def test_weights_that_a_module_does_not_use_are_refused(
    weighted_rows: NpzFile, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    gan = ACGANModule(TabularGenerator(4, 2), TabularDiscriminator(4, 2))
    features = DistillationModule(
        MLPClassifier(4, 2, (8,)), MLPClassifier(4, 2, (8,)), HintLoss([("features.2", "features.2")])
    )
    for module in (gan, features):
        with pytest.raises(
            ConfigurationError,
            match=rf"data\.dataset: got sample weights, expected none because {type(module).__name__} does not",
        ):
            make_trainer(max_epochs=1).fit(module, make_data(dataset=weighted_rows))


def with_batch_norm(kind: str) -> CompressionModule:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    if kind == "classifier":
        return ClassifierModule(network)
    if kind == "distillation":
        return DistillationModule(MLPClassifier(64, 3), network)
    if kind == "adversarial compression":
        return AdversarialCompressionModule(
            MLPClassifier(64, 3), network, FeatureDiscriminator(3), None, "logits", "logits"
        )
    critic = DCGANDiscriminator(8, 1, width=4)
    critic.register_module("layers", nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)))
    return GANModule(DCGANGenerator(8, 1, 6, 4), critic)


@pytest.mark.parametrize("kind", ["classifier", "distillation", "adversarial compression", "gan"])
def test_batches_of_one_sample_and_batch_normalization(
    kind: str, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    """A BatchNorm1d layer cannot normalize one vector; the message names it."""
    pattern = r"2 \(BatchNorm1d\): got one value per channel in training, .* set data\.batch_size to 2 or more"
    with pytest.raises(ConfigurationError, match=pattern):
        make_trainer(max_epochs=1).fit(with_batch_norm(kind), make_data(batch_size=1))
    make_trainer(max_steps=2).fit(with_batch_norm(kind), make_data(batch_size=2))


def test_batches_of_one_sample_of_maps(make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer) -> None:
    """Feature maps have several values per channel; the hooks are removed after the first step."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    module = ClassifierModule(network)
    make_trainer(max_steps=3).fit(module, make_data(batch_size=1))
    assert not network[1]._forward_pre_hooks


def test_epoch_loss_under_autocast(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    """The mean of a large loss over 54 steps is that of the steps' losses, not one of a sum rounded to 8 bits."""
    losses: list[float] = []

    class Large(DistillationModule):
        def record(self, **values: torch.Tensor) -> None:
            losses.append(values["loss"].item())
            super().record(**values)

    teacher = MLPClassifier(64, 3)
    with torch.no_grad():
        teacher.classifier.weight.mul_(40)
    trainer = make_trainer(max_epochs=1, precision="bf16-mixed")
    trainer.fit(
        Large(teacher, MLPClassifier(64, 3), optimizer=partial(torch.optim.SGD, lr=0.0)), make_data(batch_size=2)
    )
    assert len(losses) == 54
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(sum(losses) / 54, rel=1e-5)


class DeviceBeforeTheNetworks(Callback):
    """As on a GPU, where ``module.device`` is the GPU in ``setup``, before Lightning moves the networks there."""

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        pl_module._device = torch.device("meta")


@pytest.mark.parametrize("kind", ["classifier", "distillation", "hints", "anc", "gan", "acgan", "gan_compression"])
def test_networks_are_validated_where_they_are(
    make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer, kind: str
) -> None:
    module = make_module(kind)
    data = make_data(batch_size=27)
    make_trainer(max_steps=1, callbacks=[DeviceBeforeTheNetworks()]).fit(module, data)
    module._device = torch.device("meta")
    assert all(tensor.device.type == "cpu" for tensor in module.example_inputs(data.spec))
