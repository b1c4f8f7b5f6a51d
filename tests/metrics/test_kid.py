from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import KernelInceptionDistance
from ganmc_lightning.metrics.base import sort_rows


def distance(extractor, real, fake, subsets=10, subset_size=50):
    metric = KernelInceptionDistance(extractor, subsets, subset_size)
    for part in real.split(64):
        metric.update(part, real=True)
    for part in fake.split(64):
        metric.update(part, real=False)
    return metric.compute(), metric


def test_as_torch_fidelity_subset_by_subset(rows_extractor, make_rows):
    real, fake = make_rows(200, 0), make_rows(150, 1, shift=0.3)
    value, _ = distance(rows_extractor, real, fake)
    theirs = kid_features_to_metric(
        sort_rows(fake.double()),
        sort_rows(real.double()),
        kid_subsets=10,
        kid_subset_size=50,
        verbose=False,
    )
    assert value["kid"].item() == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9, abs=1e-10)
    assert value["kid_std"].item() == pytest.approx(theirs[KEY_METRIC_KID_STD], rel=1e-9, abs=1e-10)
    assert value["kid"].dtype == torch.float64


def test_formula_by_hand(rows_extractor, make_rows):
    """All samples in one subset: the unbiased estimator, term by term."""
    x, y = make_rows(20, 0).double().numpy(), make_rows(20, 1, shift=1).double().numpy()

    def kernel(a, b):
        return (a @ b / 6 + 1) ** 3

    pairs = [(i, j) for i in range(20) for j in range(20)]
    within = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in pairs if i != j) / (20 * 19)
    across = sum(kernel(x[i], y[j]) for i, j in pairs) / 20**2
    value, _ = distance(rows_extractor, torch.from_numpy(x), torch.from_numpy(y), subsets=1, subset_size=20)
    assert value["kid"].item() == pytest.approx(within - 2 * across, rel=1e-6, abs=1e-7)


def test_equal_laws_are_near_zero_and_others_far(rows_extractor, make_rows):
    near, _ = distance(rows_extractor, make_rows(500, 0), make_rows(500, 1))
    far, _ = distance(rows_extractor, make_rows(500, 0), make_rows(500, 1, shift=1))
    assert abs(near["kid"]) < 0.1 * far["kid"]


def test_random_states_are_unchanged(rows_extractor, make_rows):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    distance(rows_extractor, make_rows(60, 0), make_rows(60, 1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize(("n_real", "n_fake", "kind"), [(49, 60, "real"), (60, 49, "generated"), (60, 0, "generated")])
def test_fewer_samples_than_a_subset(rows_extractor, make_rows, n_real, n_fake, kind):
    with pytest.raises(
        ConfigurationError, match=f"{kind} samples, expected at least 50: add more or reduce subset_size"
    ):
        distance(rows_extractor, make_rows(n_real, 0), make_rows(n_fake, 1))


def test_a_subset_of_one(rows_extractor, make_rows):
    with pytest.raises(ConfigurationError, match="got 1 real samples, expected at least 2"):
        distance(rows_extractor, make_rows(1, 0), make_rows(5, 1), subset_size=1)
    with pytest.raises(ConfigurationError, match=r"subset_size: got 1, expected at least 2"):
        distance(rows_extractor, make_rows(5, 0), make_rows(5, 1), subset_size=1)


def test_constant_samples_give_a_warning(rows_extractor, make_rows):
    value, metric = distance(rows_extractor, make_rows(60, 0), make_rows(1, 1).expand(60, 6))
    assert value["kid"].isfinite()
    assert metric.warnings == ("all generated samples have equal features",)


def test_settings(rows_extractor, make_rows):
    settings = distance(rows_extractor, make_rows(60, 0), make_rows(70, 1))[1].settings()
    expected = {"subsets": 10, "subset_size": 50, "n_real": 60, "n_generated": 70}
    assert {key: settings[key] for key in expected} == expected
