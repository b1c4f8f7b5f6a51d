"""What the base class promises, on each of the modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.sources import NpzFile
from ganmc_lightning.errors import InputError
from ganmc_lightning.losses import HintLoss, KnowledgeDistillationLoss
from ganmc_lightning.modules import ACGANModule, ClassifierModule, CompressionModule, DistillationModule
from ganmc_lightning.networks import MLP, ACGANDiscriminator, ACGANGenerator, TabularDiscriminator, TabularGenerator
from ganmc_lightning.runs.metrics_csv import read_metrics

pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")

MakeModule = Callable[..., CompressionModule]
MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]
KINDS = ["classifier", "distillation", "acgan"]


@pytest.mark.parametrize("kind", KINDS)
def test_max_steps_counts_updates_of_the_product(
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
        assert by_epoch == pytest.approx([sum(values[:4]) / 4, sum(values[4:]) / 4], rel=1e-5)
        assert by_steps == pytest.approx([sum(values[:3]) / 3, sum(values[3:6]) / 3], rel=1e-5)


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
    module.check_spec(DataSpec((1, 8, 8), 3))
    for spec in (DataSpec((1, 16, 16), 3), DataSpec((3, 8, 8), 3), DataSpec((1, 8, 8), 4), DataSpec((7,), 3)):
        with pytest.raises(InputError, match=r"model\.\w+ .*the data"):
            module.check_spec(spec)
    assert all(part.training for name, part in module.named_modules() if "teacher" not in name)


@pytest.mark.parametrize("kind", KINDS)
def test_misfits_are_found_before_training(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, kind: str
) -> None:
    module = make_module(kind)
    part = "generator" if kind == "acgan" else module.product
    setattr(module, part, ACGANGenerator(12, 1, 3, 8, 4) if kind == "acgan" else MLP(64, 5))
    with pytest.raises(InputError, match=rf"model\.{part}"):
        make_run_trainer(tmp_path / "run", max_epochs=1).fit(module, make_data())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_product_inputs_fit_the_product(make_module: MakeModule, kind: str) -> None:
    module = make_module(kind)
    outputs = module.get_submodule(module.product).eval()(*module.product_inputs(DataSpec((1, 8, 8), 3)))
    assert outputs.shape == ((1, 1, 8, 8) if kind == "acgan" else (1, 3))


@pytest.mark.parametrize("other", ["distillation", "acgan", "wider"])
def test_checkpoint_of_another_model(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path, other: str
) -> None:
    """Loading is not strict, for the teacher is missing: without a check the student would stay untrained."""
    make_run_trainer(tmp_path, max_steps=1).fit(make_module("classifier"), make_data())
    path = tmp_path / "checkpoints" / "last.ckpt"
    module = ClassifierModule(MLP(64, 3, hidden=(17,))) if other == "wider" else make_module(other)
    trainer = make_run_trainer(tmp_path)
    with pytest.raises(InputError, match="not one of this model"):
        trainer.validate(module, make_data(), ckpt_path=path, verbose=False)


def test_clock_adds_up_over_sessions(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path
) -> None:
    module = make_module("classifier")
    assert module.seconds == 0
    make_run_trainer(tmp_path, max_epochs=1).fit(module, make_data())
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert 0 < checkpoint["seconds"] <= module.seconds
    module.on_load_checkpoint({**checkpoint, "seconds": 1000.0})
    assert module.seconds > 1000


def test_acgan_needs_classes_and_a_discriminator_that_knows_them(make_module: MakeModule) -> None:
    module = make_module("acgan")
    module.discriminator = ACGANDiscriminator(8, 1, num_classes=4, width=2)
    with pytest.raises(InputError, match=r"model\.discriminator .*\(4,\) where the data have 3 classes"):
        module.check_spec(DataSpec((1, 8, 8), 3))


@pytest.fixture
def weighted_rows(tmp_path: Path) -> NpzFile:
    """Two classes at the same places; the weights decide which of them wins there."""
    places = np.repeat(np.random.default_rng(0).normal(size=(60, 4)), 2, axis=0)
    labels = np.arange(120) % 2
    np.savez(tmp_path / "rows.npz", X=places, y=labels, sample_weight=np.where(labels == 1, 9.0, 1.0))
    return NpzFile(tmp_path / "rows.npz")


def mean_answer(network: torch.nn.Module) -> float:
    """The mean probability of class 1 at other places."""
    with torch.no_grad():
        rows = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
        return float(network(rows).softmax(dim=1)[:, 1].mean())


def test_a_classifier_learns_by_weight(weighted_rows: NpzFile, make_data: MakeData, make_trainer: MakeTrainer) -> None:
    network = MLP(4, 2, (8,))
    module = ClassifierModule(network, optimizer=partial(torch.optim.Adam, lr=0.02))
    make_trainer(max_epochs=15).fit(module, make_data(source=weighted_rows))
    assert mean_answer(network) == pytest.approx(0.9, abs=0.06)


def test_distillation_weighs_its_loss(weighted_rows: NpzFile, make_data: MakeData, make_trainer: MakeTrainer) -> None:
    student, labels_alone = MLP(4, 2, (8,)), KnowledgeDistillationLoss(alpha=0.0)
    module = DistillationModule(MLP(4, 2, (8,)), student, labels_alone, partial(torch.optim.Adam, lr=0.02))
    make_trainer(max_epochs=15).fit(module, make_data(source=weighted_rows))
    assert mean_answer(student) == pytest.approx(0.9, abs=0.06)


def test_weights_that_a_module_does_not_use_are_refused(
    weighted_rows: NpzFile, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    gan = ACGANModule(TabularGenerator(4, 2), TabularDiscriminator(4, 2))
    features = DistillationModule(MLP(4, 2, (8,)), MLP(4, 2, (8,)), HintLoss([("layers.0", "layers.0")]))
    for module in (gan, features):
        with pytest.raises(InputError, match=rf"gives its rows weights, which {type(module).__name__} does not use"):
            make_trainer(max_epochs=1).fit(module, make_data(source=weighted_rows))
