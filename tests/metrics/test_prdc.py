from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import PRDC, prdc


def ten_lines(real, fake, k):
    """Direct implementation of Naeem et al. 2020."""
    between = cdist(real, fake)
    real_radii = np.sort(cdist(real, real), axis=1)[:, k]
    fake_radii = np.sort(cdist(fake, fake), axis=1)[:, k]
    inside = between < real_radii[:, None]
    return {
        "precision": inside.any(axis=0).mean(),
        "recall": (between < fake_radii).any(axis=1).mean(),
        "density": inside.sum(axis=0).mean() / k,
        "coverage": (between.min(axis=1) < real_radii).mean(),
    }


def numbers(values):
    return {name: value.item() for name, value in values.items()}


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("block_rows", [7, 64, 2048])
@pytest.mark.parametrize(("n", "m"), [(90, 130), (130, 90)])
def test_as_ten_lines_of_numpy(make_rows, k, block_rows, n, m):
    real, fake = make_rows(n, 0), make_rows(m, 1, shift=0.4, scale=0.8)
    expected = ten_lines(real.double().numpy(), fake.double().numpy(), k)
    assert all(0 < value < 1 for value in expected.values())  # a comparison of zeros would show nothing
    assert numbers(prdc(real, fake, k, block_rows)) == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_as_torch_fidelity(make_rows):
    real, fake = make_rows(200, 0), make_rows(150, 1, shift=0.4)
    theirs = prc_features_to_metric(fake.double(), real.double(), prc_neighborhood=3, verbose=False)
    ours = prdc(real, fake, 3)
    assert ours["precision"].item() == pytest.approx(theirs[KEY_METRIC_PRECISION], rel=1e-5, abs=1e-6)
    assert ours["recall"].item() == pytest.approx(theirs[KEY_METRIC_RECALL], rel=1e-5, abs=1e-6)


def test_on_a_line_by_hand():
    """Real 0, 1, 2, 10 with balls of 1, 1, 1, 8; generated 0.5, 9, 100 with balls of 8.5, 8.5, 91."""
    real, fake = torch.tensor([[0.0], [1.0], [2.0], [10.0]]), torch.tensor([[0.5], [9.0], [100.0]])
    values = numbers(prdc(real, fake, 1))
    assert values == pytest.approx(
        {"precision": 2 / 3, "recall": 1, "density": 1, "coverage": 3 / 4}, rel=1e-9, abs=1e-10
    )


@pytest.mark.parametrize("block_rows", [16, 33, 2048])
def test_the_real_samples_themselves(make_rows, block_rows):
    """Every neighbor is on a border: exactly k samples are inside each ball despite rounding."""
    real = make_rows(100, 0) * 1e3 + 1e4
    shuffled = real[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    values = numbers(prdc(real, shuffled, 5, block_rows))
    assert values == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_far_away(make_rows):
    values = numbers(prdc(make_rows(50, 0), make_rows(50, 1, shift=100)))
    assert values == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_one_good_sample_over_and_over(make_rows):
    """High precision with low recall."""
    real = make_rows(200, 0)
    values = numbers(prdc(real, real[:1].expand(200, 6)))
    assert values["precision"] == 1
    assert values["recall"] == 0
    assert values["coverage"] < 0.1


def test_half_of_the_modes(make_rows):
    real = torch.cat([make_rows(100, 0), make_rows(100, 1, shift=50)])
    values = numbers(prdc(real, make_rows(200, 2)))
    assert values["recall"] <= 0.5
    assert 0.3 < values["coverage"] <= 0.5
    assert values["precision"] > 0.8


@pytest.mark.parametrize(("n", "m", "kind"), [(5, 9, "real"), (9, 5, "generated"), (0, 9, "real")])
def test_too_few(rows_extractor, make_rows, n, m, kind):
    message = f"k = 5: got {min(n, m)} {kind} samples, expected at least 6"
    with pytest.raises(ConfigurationError, match=message):
        prdc(make_rows(n, 0), make_rows(m, 1))
    metric = PRDC(rows_extractor)
    metric.update(make_rows(n, 0), real=True)
    metric.update(make_rows(m, 1), real=False)
    with pytest.raises(ConfigurationError, match=message):
        metric.compute()


def test_no_neighbor(rows_extractor):
    with pytest.raises(ConfigurationError, match=r"PRDC.k: got 0, expected at least 1"):
        PRDC(rows_extractor, k=0)


def test_metric(rows_extractor, make_rows):
    real, fake = make_rows(90, 0), make_rows(70, 1)
    metric = PRDC(rows_extractor, k=3)
    for part in real.split(40):
        metric.update(part, real=True)
    for part in fake.split(30):
        metric.update(part, real=False)
    assert numbers(metric.compute()) == pytest.approx(numbers(prdc(real, fake, 3)), rel=1e-9, abs=1e-10)
    settings = metric.settings()
    assert (settings["k"], settings["n_real"], settings["n_generated"]) == (3, 90, 70)


def test_constant_samples_give_a_warning(rows_extractor, make_rows):
    metric = PRDC(rows_extractor)
    metric.update(make_rows(1, 0).expand(20, 6), real=True)
    metric.update(make_rows(20, 1), real=False)
    metric.compute()
    assert metric.warnings == ("all real samples have equal features",)
