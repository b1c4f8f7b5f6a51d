"""Scores of trees trained on a generator's rows, while the generator trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import roc_auc_score
from torch import Tensor

from ganmc_lightning.callbacks.tree_score import TreeScoreMonitor
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules import ACGANModule
from ganmc_lightning.networks import (
    ACGANDiscriminator,
    ACGANGenerator,
    Generator,
    TabularDiscriminator,
    TabularGenerator,
)
from ganmc_lightning.runs.metrics_csv import read_metrics
from ganmc_lightning.synthesizers import GeneratorSynthesizer

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]


class Recalling(Generator):
    """A generator that returns the real rows, and one constant row from one epoch on."""

    def __init__(self, rows: Tensor, labels: Tensor, num_classes: int) -> None:
        super().__init__(latent_dim=1, num_classes=num_classes, sample_shape=(rows.shape[1],))
        self.by_class = [rows[labels == label] for label in range(num_classes)]
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("asleep", torch.zeros(()))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        pick = (latents.flatten().abs() * 1000).long()
        rows = [self.by_class[label][k % len(self.by_class[label])] for k, label in zip(pick, labels, strict=True)]
        return torch.stack(rows) * (1 - self.asleep) + self.weight * 0


class FallsAsleep(ACGANModule):
    def on_train_epoch_start(self) -> None:
        if self.current_epoch > 0:
            self.generator.asleep.fill_(1.0)


def write_rows(path: Path, num_classes: int) -> Path:
    """Overlapping clouds, one class three times as frequent as the others."""
    random = np.random.default_rng(0)
    parts = {}
    for part, n in (("train", 200), ("test", 60)):
        labels = np.maximum(np.arange(n) % (num_classes + 2) - 2, 0)
        parts[f"X_{part}"] = random.normal(size=(n, 2)) + 1.5 * labels[:, None] * np.array([1, -1])
        parts[f"y_{part}"] = labels
    np.savez(path, **parts)
    return path


def made(make_data: MakeData, path: Path) -> tuple[GANAugmentedDataModule, ACGANModule]:
    data = make_data(dataset=NpzFile(path), validation_fraction=0.3)
    data.prepare_data()
    data.setup("fit")
    generator = Recalling(*data.samples("train"), data.spec.num_classes)
    return data, FallsAsleep(generator, TabularDiscriminator(2, data.spec.num_classes))


def test_score_is_logged_and_the_checkpoint_follows_it(
    make_data: MakeData, make_run_trainer: MakeTrainer, tmp_path: Path
) -> None:
    """The generator is perfect in the first epoch and constant afterwards: the first is the best checkpoint."""
    data, module = made(make_data, write_rows(tmp_path / "rows.npz", 2))
    monitor = TreeScoreMonitor(teacher_trees=20, synthetic_ratio=3)
    make_run_trainer(tmp_path, [monitor], {"monitor": "val/tree_auc", "mode": "max"}, max_epochs=2).fit(module, data)
    scores = [float(row["val/tree_auc"]) for row in read_metrics(tmp_path / "metrics.csv") if "val/tree_auc" in row]
    assert scores[0] > 0.75
    assert scores[1] == 0.5
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 0
    assert not any(name.startswith("teacher") for name in best["state_dict"])


def test_auc_as_computed_by_hand(make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    """Trees fitted to equal numbers of rows per class, with the forest's labels; training is unchanged."""
    data, module = made(make_data, write_rows(tmp_path / "rows.npz", 2))
    state = torch.get_rng_state()
    trainer = make_trainer(callbacks=[TreeScoreMonitor(teacher_trees=20, synthetic_ratio=3, num_students=2)])
    (scores,) = trainer.validate(module, data, verbose=False)
    assert torch.equal(torch.get_rng_state(), state)

    rows, labels = (part.numpy() for part in data.samples("train"))
    forest = RandomForestClassifier(20, random_state=0).fit(rows, labels)
    synthesizer = GeneratorSynthesizer(module.generator)
    synthesizer.fit(None, torch.tensor([0, 1]), data.spec)
    drawn, classes = synthesizer.sample(3 * len(rows), torch.Generator().manual_seed(0))
    assert abs(classes.float().mean().item() - 0.5) < 0.1 < abs(labels.mean() - 0.5)
    targets = forest.predict_proba(drawn.numpy())[:, 1]
    held_out, truth = data.samples("val")
    aucs = []
    for seed in range(2):
        tree = RandomForestRegressor(1, random_state=seed).fit(drawn.numpy(), targets)
        aucs.append(roc_auc_score(truth, tree.predict(held_out.numpy())))
    assert scores["val/tree_auc"] == pytest.approx(np.mean(aucs), rel=1e-5, abs=1e-6)


def test_accuracy_for_more_classes(make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    data, module = made(make_data, write_rows(tmp_path / "rows.npz", 3))
    # The forest is certain of its own rows, but not of others: probabilities then differ from classes.
    module.generator.by_class = [rows + torch.randn_like(rows) for rows in module.generator.by_class]
    trainer = make_trainer(callbacks=[TreeScoreMonitor(teacher_trees=20, synthetic_ratio=3)])
    (awake,) = trainer.validate(module, data, verbose=False)
    module.generator.asleep.fill_(1.0)
    (asleep,) = trainer.validate(module, data, verbose=False)
    held_out, labels = (part.numpy() for part in data.samples("val"))
    shares = np.bincount(labels) / len(labels)

    module.generator.asleep.fill_(0.0)
    rows, train_labels = (part.numpy() for part in data.samples("train"))
    forest = RandomForestClassifier(20, random_state=0).fit(rows, train_labels)
    synthesizer = GeneratorSynthesizer(module.generator)
    synthesizer.fit(None, torch.arange(3), data.spec)
    drawn = synthesizer.sample(3 * len(rows), torch.Generator().manual_seed(0))[0].numpy()
    targets = forest.predict_proba(drawn)
    accuracies = []
    for seed in range(3):
        tree = RandomForestRegressor(1, random_state=seed).fit(drawn, targets)
        accuracies.append(np.mean(tree.predict(held_out).argmax(axis=1) == labels))
    assert len(set(accuracies)) > 1
    assert awake["val/tree_accuracy"] == pytest.approx(np.mean(accuracies), rel=1e-5)
    assert awake["val/tree_accuracy"] > 0.6
    assert asleep["val/tree_accuracy"] == pytest.approx(float(shares.max()), abs=0.35)
    assert asleep["val/tree_accuracy"] in [pytest.approx(float(share), abs=1e-6) for share in shares]


def test_the_test_part_plays_no_part(make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    data, module = made(make_data, write_rows(tmp_path / "rows.npz", 2))
    trainer = make_trainer(callbacks=[TreeScoreMonitor(teacher_trees=5, synthetic_ratio=1)])
    before = trainer.validate(module, data, verbose=False)
    data.samples("test")[0].zero_()
    assert trainer.validate(module, data, verbose=False) == before


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true", "16-true", "64-true"])
@pytest.mark.filterwarnings("ignore:.*eps of .* is raised:UserWarning")
def test_precisions(precision: str, make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    data = make_data(dataset=NpzFile(write_rows(tmp_path / "rows.npz", 3)), validation_fraction=0.3)
    module = ACGANModule(TabularGenerator(2, 3, 4, (8,)), TabularDiscriminator(2, 3, (8,)))
    with torch.no_grad():  # rows of the initial weights are so similar that every tree predicts one class
        for parameter in module.generator.parameters():
            parameter.mul_(5)
    trainer = make_trainer(max_epochs=1, precision=precision, callbacks=[TreeScoreMonitor(5, 1, 1)])
    trainer.fit(module, data)
    score = trainer.callback_metrics["val/tree_accuracy"].item()
    exact = make_trainer(callbacks=[TreeScoreMonitor(5, 1, 1)])
    (expected,) = exact.validate(module.float(), data, verbose=False)
    assert score == pytest.approx(expected["val/tree_accuracy"], abs=0.05)


def test_images_are_refused(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    with pytest.raises(ConfigurationError, match=r"TreeScoreMonitor: got samples of shape \(1, 8, 8\), expected rows"):
        make_trainer(callbacks=[TreeScoreMonitor()]).validate(module, make_data(), verbose=False)


def test_validation_rows_of_one_class(make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    labels = (np.arange(40) == 0).astype(int)  # the split is stratified, and leaves the row in the training set
    np.savez(tmp_path / "rows.npz", X_train=rows, y_train=labels, X_test=rows, y_test=labels)
    module = ACGANModule(TabularGenerator(2, 2, 4, (8,)), TabularDiscriminator(2, 2, (8,)))
    data = make_data(dataset=NpzFile(tmp_path / "rows.npz"))
    with pytest.raises(ConfigurationError, match="TreeScoreMonitor: got validation rows of one class, expected both"):
        make_trainer(max_epochs=1, callbacks=[TreeScoreMonitor()]).fit(module, data)


@pytest.mark.parametrize("name", ["teacher_trees", "synthetic_ratio", "num_students"])
def test_numbers_out_of_range(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"TreeScoreMonitor\.{name}: got 0, expected a positive number"):
        TreeScoreMonitor(**{name: 0})
