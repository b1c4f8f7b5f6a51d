from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from ganmc_lightning.callbacks import GeneratorEMA, GeneratorMetricsMonitor
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.evaluation import GeneratorEvaluator, samples_of_generator
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import ClassifierExtractor, FrechetInceptionDistance, InceptionScore, NearDuplicates
from ganmc_lightning.modules import ACGANModule
from ganmc_lightning.networks import ACGANDiscriminator, ACGANGenerator, MLPClassifier
from ganmc_lightning.runs.metrics_csv import read_metrics

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def extractor() -> ClassifierExtractor:
    return ClassifierExtractor(MLPClassifier(64, 3, hidden=(6,)))


def make_module() -> ACGANModule:
    torch.manual_seed(0)
    return ACGANModule(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))


def test_scores_are_the_metrics_on_the_validation_part(
    make_data: MakeData, make_trainer: MakeTrainer, extractor: ClassifierExtractor
) -> None:
    """Training uses the same random numbers as without the callback."""
    module, data = make_module(), make_data(validation_fraction=0.25)
    metrics = ("inception_score", "fid", "prdc", "kid", "near_duplicates", "laplacian_variance")
    trainer = make_trainer(callbacks=[GeneratorMetricsMonitor(extractor, metrics, num_samples=50)])
    state = torch.get_rng_state()
    (scores,) = trainer.validate(module, data, verbose=False)
    assert torch.equal(torch.get_rng_state(), state)
    samples = samples_of_generator(module.generator, data).sample(50, seed=0)
    real = data.samples("val")[0]
    fid, inception = FrechetInceptionDistance(extractor), InceptionScore(extractor)
    copies = NearDuplicates(extractor, real)
    for metric in (fid, inception):
        metric.update(samples, real=False)
        metric.update(real, real=True)
    copies.update(samples, real=False)
    copies.update(data.samples("train")[0], real=True)
    assert scores["val/fid"] == pytest.approx(fid.compute().item(), rel=1e-5, abs=1e-5)
    assert scores["val/inception_score"] == pytest.approx(
        inception.compute()["inception_score"].item(), rel=1e-5, abs=1e-6
    )
    assert scores["val/near_duplicate_rate"] == pytest.approx(
        copies.compute()["near_duplicate_rate"].item(), rel=1e-5, abs=1e-6
    )
    assert {"val/kid", "val/precision", "val/recall", "val/laplacian_variance_ratio"} <= set(scores)


@pytest.mark.parametrize(("limit", "num_samples"), [({"limit_val_batches": 2}, 1000), ({"fast_dev_run": True}, 500)])
def test_limit_of_validation_batches_applies_to_samples(
    make_data: MakeData, make_trainer: MakeTrainer, extractor: ClassifierExtractor, limit, num_samples
) -> None:
    module, data = make_module(), make_data()
    expected, limited = (
        make_trainer(callbacks=[GeneratorMetricsMonitor(extractor, ("fid",), num_samples=n)], **arguments)
        for n, arguments in ((num_samples, {}), (20_000, limit))
    )
    (expected_scores,) = expected.validate(module, data, verbose=False)
    (scores,) = limited.validate(module, data, verbose=False)
    assert scores["val/fid"] == expected_scores["val/fid"]


def test_statistics_are_shared_with_the_command(
    make_data: MakeData, make_trainer: MakeTrainer, extractor: ClassifierExtractor, tmp_path: Path
) -> None:
    data = make_data(root=str(tmp_path / "data"))
    trainer = make_trainer(callbacks=[GeneratorMetricsMonitor(extractor, ("fid", "near_duplicates"), num_samples=30)])
    trainer.validate(make_module(), data, verbose=False)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "data" / "statistics").iterdir()}
    assert len(files) == 2  # of the validation and of the training split
    evaluator = GeneratorEvaluator(data, extractor=extractor, real_split="val")
    assert evaluator.reference.count == 12
    assert evaluator.training.count == 108
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data" / "statistics").iterdir()} == files


class Fades(ACGANModule):
    """A generator that is unchanged in the first epoch and returns blank images from the second on."""

    def on_train_epoch_start(self) -> None:
        if self.current_epoch > 0:
            for parameter in self.generator.parameters():
                parameter.data.zero_()


def test_the_checkpoint_follows_the_score_of_the_averaged_generator(
    make_data: MakeData, make_run_trainer: MakeTrainer, extractor: ClassifierExtractor, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = Fades(ACGANGenerator(8, 1, 3, latent_dim=8, width=4), ACGANDiscriminator(8, 1, 3, width=2))
    data = make_data(batch_size=27)
    callbacks = [GeneratorMetricsMonitor(extractor, ("fid",), num_samples=30), GeneratorEMA(decay=0.5)]
    trainer = make_run_trainer(tmp_path, callbacks, {"monitor": "val/fid", "mode": "min"}, max_epochs=3)
    trainer.fit(module, data)
    scores = [float(row["val/fid"]) for row in read_metrics(tmp_path / "metrics.csv") if "val/fid" in row]
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] == scores.index(min(scores))
    generator = ACGANGenerator(8, 1, 3, latent_dim=8, width=4).eval()
    prefix = "generator."
    weights = {k.removeprefix(prefix): v for k, v in best["state_dict"].items() if k.startswith(prefix)}
    generator.load_state_dict(weights)  # the average: what load_generator gives
    metric = FrechetInceptionDistance(extractor)
    metric.update(samples_of_generator(generator, data).sample(30, seed=0), real=False)
    metric.update(data.samples("val")[0], real=True)
    assert min(scores) == pytest.approx(metric.compute().item(), rel=1e-4, abs=1e-5)
    assert not any("extractor" in name for name in best["state_dict"])


def test_test_samples_play_no_part(
    make_data: MakeData, make_trainer: MakeTrainer, extractor: ClassifierExtractor
) -> None:
    scores = []
    for spoil in (False, True):
        data = make_data()
        data.prepare_data()
        data.setup("fit")
        if spoil:
            data.samples("test")[0].zero_()
        trainer = make_trainer(
            callbacks=[GeneratorMetricsMonitor(extractor, ("fid", "near_duplicates"), num_samples=30)]
        )
        scores.append(trainer.validate(make_module(), data, verbose=False))
    assert scores[0] == scores[1]


def test_arguments_that_cannot_be(extractor: ClassifierExtractor) -> None:
    with pytest.raises(ConfigurationError, match=r"GeneratorMetricsMonitor\.metrics: got 'fidd', expected names from"):
        GeneratorMetricsMonitor(extractor, ("fidd",))
    with pytest.raises(ConfigurationError, match=r"GeneratorMetricsMonitor\.metrics: got none, expected names from"):
        GeneratorMetricsMonitor(extractor, ())
    with pytest.raises(ConfigurationError, match=r"GeneratorMetricsMonitor\.num_samples: got 1, expected at least 2"):
        GeneratorMetricsMonitor(extractor, num_samples=1)


def test_an_extractor_of_other_data_is_refused_before_training(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(
        max_epochs=1, callbacks=[GeneratorMetricsMonitor(ClassifierExtractor(MLPClassifier(60, 3)), num_samples=30)]
    )
    with pytest.raises(ConfigurationError, match="does not accept"):
        trainer.fit(make_module(), make_data())
    assert trainer.global_step == 0


def test_a_module_without_a_generator(
    make_data: MakeData, make_trainer: MakeTrainer, extractor: ClassifierExtractor
) -> None:
    trainer = make_trainer(callbacks=[GeneratorMetricsMonitor(extractor, num_samples=30, submodule="discriminator")])
    with pytest.raises(
        ConfigurationError, match=r"GeneratorMetricsMonitor\.submodule: 'discriminator' is not a generator"
    ):
        trainer.validate(make_module(), make_data(), verbose=False)
