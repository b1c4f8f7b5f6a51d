from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric
from torchmetrics.image.inception import InceptionScore as TorchmetricsIS

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import Features, InceptionScore
from ganmc_lightning.metrics.base import sort_rows


def score(extractor, logits, splits=1, size=64):
    metric = InceptionScore(extractor, splits)
    for part in logits.split(size):
        metric.update(Features(torch.zeros(len(part), 6), part), real=False)
    return metric.compute(), metric


def probabilities(*rows, times=10):
    return torch.tensor(rows).log().repeat(times, 1)


class TestByHand:
    def test_sure_and_even(self, rows_extractor):
        """With certain predictions and equal class shares, the score is the number of classes."""
        logits = 1000 * torch.eye(4).repeat(25, 1)
        assert score(rows_extractor, logits)[0]["inception_score"].item() == pytest.approx(4, rel=1e-5, abs=1e-6)

    def test_two_kinds(self, rows_extractor):
        """KL((0.7, 0.1, 0.1, 0.1) | mean of both) and its mirror image."""
        logits = probabilities([0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1])
        divergence = 0.7 * math.log(0.7 / 0.4) + 0.1 * math.log(0.1 / 0.4)
        value = score(rows_extractor, logits)[0]
        assert value["inception_score"].item() == pytest.approx(math.exp(divergence), rel=1e-5, abs=1e-6)
        assert value["inception_score_std"].item() == 0

    def test_unsure(self, rows_extractor):
        logits = probabilities([0.4, 0.3, 0.2, 0.1], times=50)
        assert score(rows_extractor, logits)[0]["inception_score"].item() == pytest.approx(1, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("n", "splits"), [(200, 10), (203, 10), (50, 1), (17, 5)])
def test_as_torch_fidelity(rows_extractor, n, splits):
    logits = torch.randn(n, 4, generator=torch.Generator().manual_seed(0)) * 2
    value, _ = score(rows_extractor, logits, splits)
    theirs = isc_features_to_metric(sort_rows(logits), splits, shuffle=True, rng_seed=2020)
    assert value["inception_score"].item() == pytest.approx(theirs[KEY_METRIC_ISC_MEAN], rel=1e-9, abs=1e-10)
    assert value["inception_score_std"].item() == pytest.approx(theirs[KEY_METRIC_ISC_STD], rel=1e-9, abs=1e-10)
    assert value["inception_score"].dtype == torch.float64


@pytest.mark.parametrize(("n", "splits"), [(17, 5), (203, 10)])
def test_against_numpy(rows_extractor, n, splits):
    """Splits of the sorted and permuted samples; the standard deviation is that of the population."""
    logits = torch.randn(n, 4, generator=torch.Generator().manual_seed(0)) * 2
    rows = logits.double().numpy()
    rows = rows[np.argsort(rows @ np.cos(np.arange(1, 5)), kind="stable")]
    rows = log_softmax(rows[np.random.RandomState(2020).permutation(n)], axis=1)
    scores = []
    for k in range(splits):
        part = rows[k * n // splits : (k + 1) * n // splits]
        mean = np.log(np.exp(part).mean(axis=0))
        scores.append(np.exp((np.exp(part) * (part - mean)).sum(axis=1).mean()))
    value, _ = score(rows_extractor, logits, splits)
    assert value["inception_score"].item() == pytest.approx(np.mean(scores), rel=1e-9)
    assert value["inception_score_std"].item() == pytest.approx(np.std(scores, ddof=0), rel=1e-9)
    assert np.std(scores) > 0.05


def test_as_torchmetrics(rows_extractor):
    """With one split, the shuffle has no effect."""
    logits = torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) * 2
    with pytest.warns(UserWarning, match="large memory footprint"):
        theirs = TorchmetricsIS(torch.nn.Identity(), splits=1)
    theirs.update(logits)
    with pytest.warns(UserWarning, match="degrees of freedom"):
        expected = theirs.compute()[0].item()
    assert score(rows_extractor, logits)[0]["inception_score"].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_real_samples_are_passed_over(rows_extractor, make_rows):
    metric = InceptionScore(rows_extractor, splits=2)
    metric.update(make_rows(50, 0), real=True)
    metric.update(make_rows(30, 1), real=False)
    value = metric.compute()
    assert metric.counts == {"generated": 30}
    alone = InceptionScore(rows_extractor, splits=2)
    alone.update(make_rows(30, 1))
    assert value == alone.compute()


def test_a_single_class_is_flagged(rows_extractor):
    logits = torch.randn(40, 4, generator=torch.Generator().manual_seed(0)) + torch.tensor([50.0, 0.0, 0.0, 0.0])
    value, metric = score(rows_extractor, logits)
    assert value["inception_score"].item() == pytest.approx(1, rel=1e-5, abs=1e-6)
    assert metric.warnings == ("all samples in one class",)
    assert not score(rows_extractor, torch.eye(4).repeat(5, 1))[1].warnings


@pytest.mark.parametrize(("n", "splits", "least"), [(0, 1, 2), (1, 1, 2), (19, 10, 20)])
def test_too_few(rows_extractor, n, splits, least):
    with pytest.raises(
        ConfigurationError, match=f"InceptionScore: got {n} generated samples, expected at least {least}"
    ):
        score(rows_extractor, torch.randn(n, 4), splits)


def test_no_splits(rows_extractor):
    with pytest.raises(ConfigurationError, match=r"InceptionScore.splits: got 0, expected at least 1"):
        InceptionScore(rows_extractor, splits=0)


def test_random_state_is_left_alone(rows_extractor):
    before = torch.get_rng_state()
    score(rows_extractor, torch.ones(40, 4), 4)
    assert torch.equal(torch.get_rng_state(), before)


def test_logits_far_apart(rows_extractor):
    """A class of probability 0 for all samples adds 0; 0 times the logarithm of 0 would be NaN."""
    logits = torch.tensor([[0.0, 0, -5000, -5000], [0, 5000, 0, 0]]).repeat(20, 1)
    value, _ = score(rows_extractor, logits)
    likely = torch.tensor([[0.5, 0.5], [0.0, 1.0]]).double()
    mean = likely.mean(dim=0)
    expected = torch.where(likely > 0, likely * (likely / mean).log(), 0.0).sum(dim=1).mean().exp()
    assert value["inception_score"].item() == pytest.approx(expected.item(), rel=1e-9)


def test_half_precision_logits(rows_extractor):
    torch.manual_seed(0)
    logits = (4 * torch.randn(60, 4)).half()
    assert score(rows_extractor, logits)[0] == score(rows_extractor, logits.float())[0]
