from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from ganmc_lightning.batch import to_float_images
from ganmc_lightning.callbacks import CompressionScoreMonitor
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import compression_score
from ganmc_lightning.modules import ACGANModule, ClassifierModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, Generator, MLPClassifier
from ganmc_lightning.runs.metrics_csv import read_metrics
from ganmc_lightning.synthesizers import GeneratorSynthesizer

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]
student = partial(MLPClassifier, 64, 3, hidden=(16,))


@pytest.fixture
def teacher(make_data: MakeData, make_trainer: MakeTrainer) -> MLPClassifier:
    network = MLPClassifier(64, 3, hidden=(16,))
    make_trainer(max_epochs=20).fit(ClassifierModule(network, partial(torch.optim.Adam, lr=0.01)), make_data())
    return network


class Recalling(Generator):
    """A generator that returns the data set, and noise from one epoch on."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        super().__init__(latent_dim=1, num_classes=3, sample_shape=(1, 8, 8))
        self.by_class = [images[labels == label] for label in range(3)]
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


def test_score_is_logged_and_the_checkpoint_follows_it(
    make_data: MakeData, make_run_trainer: MakeTrainer, teacher: MLPClassifier, tmp_path: Path
) -> None:
    """The generator is perfect in the first epoch and blank afterwards: the first is the best checkpoint."""
    data = make_data(batch_size=27)
    data.prepare_data()
    data.setup("fit")
    images, labels = data.samples("train")
    generator = Recalling(images.float() * (2 / 255) - 1, labels)
    module = FallsAsleep(generator, ACGANDiscriminator(8, 1, 3, width=2))
    trainer = make_run_trainer(
        tmp_path,
        [CompressionScoreMonitor(teacher, student, variant="5_epochs")],
        {"monitor": "val/compression_score", "mode": "max"},
        max_epochs=3,
    )
    trainer.fit(module, data)
    rows = [row for row in read_metrics(tmp_path / "metrics.csv") if "val/compression_score" in row]
    scores = [float(row["val/compression_score"]) for row in rows]
    assert scores[0] > 0.8
    assert scores[1] < 0.5
    assert scores[1] == pytest.approx(scores[2], rel=1e-5, abs=1e-6)  # the same samples, the same students
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 0
    assert best["state_dict"]["generator.asleep"] == 0
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2
    assert not any(name.startswith("teacher") for name in best["state_dict"])


def test_score_is_of_the_whole_generator_on_the_validation_part(
    make_data: MakeData, make_trainer: MakeTrainer, teacher: MLPClassifier
) -> None:
    """The value equals that of the metric for the number of the real samples; training is unchanged."""
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    data = make_data()
    trainer = make_trainer(callbacks=[CompressionScoreMonitor(teacher, student, num_students=2)])
    state = torch.get_rng_state()
    (scores,) = trainer.validate(module, data, verbose=False)
    assert torch.equal(torch.get_rng_state(), state)
    real, labels = data.samples("train")
    synthesizer = GeneratorSynthesizer(module.generator)
    synthesizer.fit(real, labels, data.spec)
    samples, _ = synthesizer.sample(108, torch.Generator().manual_seed(0))
    expected = compression_score(
        samples, real, data.samples("val"), teacher=teacher, student=student, variant="1_epoch", seeds=(0, 1)
    )
    assert scores["val/compression_score"] == pytest.approx(expected.mean.item(), rel=1e-5, abs=1e-6)


def test_training_of_the_students_and_submodule_are_those_of_the_arguments(
    make_data: MakeData, make_trainer: MakeTrainer, teacher: MLPClassifier
) -> None:
    data = make_data(validation_fraction=0.4)
    data.prepare_data()
    data.setup("fit")
    real, labels = data.samples("train")
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    images = to_float_images(real)
    module.student = Recalling((images + torch.randn_like(images)).clamp(-1, 1), labels)
    monitor = CompressionScoreMonitor(teacher, student, batch_size=16, learning_rate=0.02, submodule="student")
    (scores,) = make_trainer(callbacks=[monitor]).validate(module, data, verbose=False)
    synthesizer = GeneratorSynthesizer(module.student)
    synthesizer.fit(real, labels, data.spec)
    samples, _ = synthesizer.sample(len(real), torch.Generator().manual_seed(0))
    settings = {"teacher": teacher, "student": student, "variant": "1_epoch", "seeds": (0,)}

    def expected(**arguments: float) -> float:
        return compression_score(samples, real, data.samples("val"), **settings, **arguments).mean.item()

    by_hand = expected(batch_size=16, learning_rate=0.02)
    assert scores["val/compression_score"] == pytest.approx(by_hand, rel=1e-5)
    for other in ({"batch_size": 16}, {"learning_rate": 0.02}, {}):
        assert expected(**other) != pytest.approx(by_hand, rel=0.01)


def test_test_samples_play_no_part(make_data: MakeData, make_trainer: MakeTrainer, teacher: MLPClassifier) -> None:
    scores = []
    for spoil in (False, True):
        torch.manual_seed(0)
        module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
        data = make_data()
        data.prepare_data()
        data.setup("fit")
        if spoil:
            data.samples("test")[0].zero_()
        trainer = make_trainer(callbacks=[CompressionScoreMonitor(teacher, student)])
        scores.append(trainer.validate(module, data, verbose=False))
    assert scores[0] == scores[1]


def test_seeds_out_of_range(teacher: MLPClassifier) -> None:
    with pytest.raises(ConfigurationError, match=r"CompressionScoreMonitor\.num_students: got 0, expected at least 1"):
        CompressionScoreMonitor(teacher, student, num_students=0)


def test_students_at_chance_are_reported(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    """The score is NaN if the students of the real samples learn nothing, here from a constant teacher."""
    constant = MLPClassifier(64, 3)
    for parameter in constant.parameters():
        torch.nn.init.zeros_(parameter)
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    trainer = make_trainer(max_epochs=1, callbacks=[CompressionScoreMonitor(constant, student, learning_rate=1e-9)])
    with pytest.warns(UserWarning, match=r"val/compression_score is nan, because .* not above chance; use a smaller"):
        trainer.fit(module, make_data())


def test_two_monitors_are_refused(make_data: MakeData, make_trainer: MakeTrainer, teacher: MLPClassifier) -> None:
    """Lightning would log the mean of their scores."""
    module = ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    monitors = [CompressionScoreMonitor(teacher, student, variant) for variant in ("1_epoch", "5_epochs")]
    with pytest.raises(ConfigurationError, match=r"trainer\.callbacks: got 2 callbacks CompressionScoreMonitor"):
        make_trainer(max_epochs=1, callbacks=monitors).fit(module, make_data())
