from __future__ import annotations

import pytest
import torch
from torch import nn
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance as TorchmetricsFID

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import ClassifierExtractor, Features, FrechetInceptionDistance


def distance(extractor, real, fake, size=64):
    metric = FrechetInceptionDistance(extractor)
    for part in real.split(size):
        metric.update(part, real=True)
    for part in fake.split(size):
        metric.update(part, real=False)
    return metric.compute(), metric


def test_as_torch_fidelity_and_torchmetrics(rows_extractor, make_rows):
    real, fake = make_rows(500, 0), make_rows(300, 1, shift=0.3, scale=1.2)
    value, metric = distance(rows_extractor, real, fake)
    statistics = [fid_features_to_statistics(rows.double()) for rows in (fake, real)]
    assert value.item() == pytest.approx(
        fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID], rel=1e-8, abs=1e-8
    )
    assert value.dtype == torch.float64
    network = nn.Identity()
    network.num_features = 6
    theirs = TorchmetricsFID(network, normalize=True)
    theirs.update(real, real=True)
    theirs.update(fake, real=False)
    assert value.item() == pytest.approx(theirs.compute().item(), rel=1e-5, abs=1e-6)  # the features are float32
    assert not metric.singular
    assert metric.warnings == ()


def test_shift_by_hand(rows_extractor, make_rows):
    """Moving every feature by 2 moves six means by 2, and no covariance."""
    real = make_rows(300, 0)
    assert distance(rows_extractor, real, real + 2)[0].item() == pytest.approx(6 * 4, rel=1e-5, abs=1e-4)


def test_moments_are_exact_far_from_zero(rows_extractor, make_rows):
    real, fake = make_rows(300, 0, shift=1000), make_rows(300, 1, shift=1000, scale=1.1)
    expected = distance(rows_extractor, real - 1000, fake - 1000)[0].item()
    assert distance(rows_extractor, real, fake)[0].item() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("n_real", "n_fake"), [(6, 300), (300, 6), (2, 2)])
def test_fewer_samples_than_features_give_a_warning(rows_extractor, make_rows, n_real, n_fake):
    value, metric = distance(rows_extractor, make_rows(n_real, 0), make_rows(n_fake, 1))
    assert value.isfinite()
    assert metric.singular
    assert metric.warnings == ("singular covariance: not more samples than the 6 features that vary",)
    assert metric.settings()["singular"] is True


def test_seven_samples_of_six_features_are_enough(rows_extractor, make_rows):
    assert not distance(rows_extractor, make_rows(7, 0), make_rows(7, 1))[1].singular


def test_features_that_hang_together_give_a_warning(rows_extractor, make_rows):
    real, fake = make_rows(100, 0), make_rows(100, 1)
    fake[:, 0] = fake[:, 1] + fake[:, 2]
    metric = distance(rows_extractor, real, fake)[1]
    assert metric.warnings == ("singular covariance: dependent features",)


def test_one_generated_image_over_and_over_is_flagged(rows_extractor, make_rows):
    value, metric = distance(rows_extractor, make_rows(100, 0), make_rows(1, 1).expand(100, 6))
    assert metric.singular
    assert value > 0


def test_features_dead_in_both_sets_are_no_reason_for_a_flag(rows_extractor, make_rows):
    real, fake = make_rows(100, 0), make_rows(100, 1)
    for rows in (real, fake):
        rows[:, 3] = 0
    value, metric = distance(rows_extractor, real, fake)
    assert not metric.singular
    kept = [0, 1, 2, 4, 5]
    five = ClassifierExtractor(nn.Linear(5, 2))
    assert value.item() == pytest.approx(distance(five, real[:, kept], fake[:, kept])[0].item(), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize(
    ("n_real", "n_fake", "kind"), [(1, 9, "real"), (9, 1, "generated"), (0, 9, "real"), (9, 0, "generated")]
)
def test_too_few(rows_extractor, make_rows, n_real, n_fake, kind):
    with pytest.raises(ConfigurationError, match=f"got {min(n_real, n_fake)} {kind} samples, expected at least 2"):
        distance(rows_extractor, make_rows(n_real, 0), make_rows(n_fake, 1))


def test_features_of_another_extractor(rows_extractor):
    metric = FrechetInceptionDistance(rows_extractor)
    with pytest.raises(
        ConfigurationError, match=r"features: got shape \(9, 5\), expected \(N, 6\) from rows \(Linear\)"
    ):
        metric.update(Features(torch.zeros(9, 5), torch.zeros(9, 4)), real=True)
    with pytest.raises(ConfigurationError, match=r"logits: got shape \(9, 3\)"):
        metric.update(Features(torch.zeros(9, 6), torch.zeros(9, 3)), real=True)


def test_broken_features(rows_extractor):
    features = torch.zeros(9, 6)
    features[4, 2] = torch.nan
    with pytest.raises(ConfigurationError, match="got NaN or infinite features"):
        FrechetInceptionDistance(rows_extractor).update(Features(features, torch.zeros(9, 4)), real=True)


def test_settings_count_the_samples(rows_extractor, make_rows):
    settings = distance(rows_extractor, make_rows(50, 0), make_rows(30, 1))[1].settings()
    assert (settings["n_real"], settings["n_generated"]) == (50, 30)
    assert settings["extractor_digest"] == rows_extractor.digest
