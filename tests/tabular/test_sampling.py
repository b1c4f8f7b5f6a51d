"""Scale of heavy-tailed columns and missing values of synthetic rows."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import roc_auc_score

from ganmc_lightning.batch import DataSpec, Statistics
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import Generator
from ganmc_lightning.networks.training_data import set_training_data
from ganmc_lightning.synthesizers import (
    AdversarialForestSynthesizer,
    GeneratorSynthesizer,
    JitterSynthesizer,
    MungeSynthesizer,
    PooledSynthesizer,
    SmoteSynthesizer,
    StoredSynthesizer,
)
from ganmc_lightning.synthesizers.rescaled import statistics_to_arrays
from ganmc_lightning.tabular import DistilledClassifier
from ganmc_lightning.tabular.sampling import check_float32, fill_missing, robust_center_scale, sample_rows

SYNTHESIZERS = [JitterSynthesizer(0.1), SmoteSynthesizer(), MungeSynthesizer(), AdversarialForestSynthesizer(5)]


def heavy_rows(n=500):
    """A normal, a Cauchy and a log-normal column of scale 1e12; the class depends on the central values."""
    random = np.random.default_rng(0)
    X = np.column_stack([random.normal(size=n), random.standard_cauchy(n), 1e12 * np.exp(3 * random.normal(size=n))])
    return X, (np.arctan(X[:, 1]) + np.log(X[:, 2] / 1e12) / 3 + 0.2 * random.normal(size=n) > 0).astype(np.int64)


def test_scale_of_a_normal_column_is_its_standard_deviation():
    X = np.random.default_rng(0).normal(3, 7, (1000, 1))
    center, scale = robust_center_scale(X)
    np.testing.assert_array_equal(center, X.mean(axis=0))
    np.testing.assert_array_equal(scale, X.std(axis=0))


def test_a_column_with_equal_central_values_keeps_its_standard_deviation():
    X = np.zeros((100, 1))
    X[0] = 1e6
    center, scale = robust_center_scale(X)
    assert center == X.mean()
    assert scale == X.std() > 0


@pytest.mark.parametrize("synthesizer", SYNTHESIZERS, ids=lambda item: type(item).__name__)
def test_heavy_tails_keep_the_quantiles(synthesizer):
    """With mean and standard deviation, jitter moves the quantiles of the Cauchy column by its largest value."""
    X, y = heavy_rows()
    drawn = sample_rows(synthesizer, X, y, 2000, seed=0)
    assert np.isfinite(drawn).all()
    for column in range(3):
        low, high = np.quantile(X[:, column], (0.25, 0.75))
        np.testing.assert_allclose(np.quantile(drawn[:, column], (0.25, 0.75)), (low, high), atol=0.15 * (high - low))


@pytest.mark.parametrize("student", ["tree", "boosting"])
def test_a_student_of_heavy_tailed_rows(student):
    X, y = heavy_rows()
    model = DistilledClassifier(
        RandomForestClassifier(10, random_state=0),
        student,
        max_nodes=99,
        label_weight=0,
        teacher_labels="in_bag",
        synthesizer=JitterSynthesizer(),
        synthetic_ratio=2,
        training_data="both",
        random_state=0,
    ).fit(X[:300], y[:300])
    assert roc_auc_score(y[300:], model.predict_proba(X[300:])[:, 1]) > 0.85


def test_values_beyond_float32():
    with pytest.raises(ConfigurationError, match=r"X: column 1 has values up to 1e\+39, beyond the range of float32"):
        check_float32(np.array([[0, 1e39], [1, 2]]), None)


def test_float32_of_columns_with_missing_values():
    X = np.column_stack([np.full(100, np.nan), 1.7e9 + np.arange(100), np.arange(100)])
    X[0, 1:] = np.nan
    check_float32(X[:, [0, 2]], None)
    with pytest.raises(ConfigurationError, match=r"X: column 1 has values near 17000000.., which float32"):
        check_float32(X, None)


def test_float32_of_a_large_table_needs_copies_of_a_column_only():
    X = np.random.default_rng(0).normal(size=(20_000, 40))
    X[::7, 3] = np.nan
    tracemalloc.start()
    try:
        check_float32(X, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 4


def test_float32_of_tables_with_text():
    table = pd.DataFrame({"kind": ["p", "q"] * 50, "seconds": 1.7e9 + np.arange(100)})
    with pytest.raises(ConfigurationError, match=r"X: column 'seconds' has values near 17000000.., which float32"):
        DistilledClassifier(RandomForestClassifier(5), "tree").fit(table, np.arange(100) % 3 > 0)


def test_fill_missing_draws_from_the_class():
    random = np.random.default_rng(0)
    codes = np.repeat([0, 1], 300)
    X = np.column_stack([10.0 * codes + random.normal(size=600), np.full(600, np.nan)])
    X[random.random(600) < 0.4, 0] = np.nan
    filled = fill_missing(X, codes, random)
    given = ~np.isnan(X[:, 0])
    np.testing.assert_array_equal(filled[given, 0], X[given, 0])
    assert not filled[:, 1].any()
    for code in (0, 1):
        assert set(filled[codes == code, 0]) == set(X[given & (codes == code), 0])


@pytest.mark.parametrize("with_categories", [False, True])
def test_every_row_has_a_missing_value(with_categories):
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 4))
    y = (X[:, 0] + X[:, 2] > 0).astype(int)
    second = random.random(400) < 0.25
    X[second, :2], X[~second, 2:] = np.nan, np.nan
    table = pd.DataFrame(X, columns=list("abcd"))
    if with_categories:
        table["kind"] = np.where(random.random(400) < 0.5, "p", "q")
    model = DistilledClassifier(
        HistGradientBoostingClassifier(max_iter=10),
        HistGradientBoostingClassifier(max_iter=20),
        teacher_labels="in_bag",
        label_weight=0,
        synthesizer=JitterSynthesizer(),
        synthetic_ratio=5,
        training_data="synthetic",
        random_state=0,
    ).fit(table, y)
    assert model.score(table, y) > 0.7


def test_patterns_of_missing_values(monkeypatch):
    X, y = heavy_rows(400)
    X = X.copy()
    X[:100, :2] = np.nan
    seen = []
    teacher = HistGradientBoostingClassifier(max_iter=5).fit(X, y)
    predict = type(teacher).predict_proba
    monkeypatch.setattr(type(teacher), "predict_proba", lambda self, rows: seen.append(rows) or predict(self, rows))
    DistilledClassifier(
        teacher,
        HistGradientBoostingClassifier(max_iter=5),
        synthesizer=SmoteSynthesizer(),
        teacher_labels="in_bag",
        label_weight=0,
        training_data="synthetic",
        random_state=0,
    ).fit(X, y)
    drawn = max(seen, key=len)
    assert len(drawn) == 3600
    missing = np.isnan(drawn)
    np.testing.assert_array_equal(missing[:, 0], missing[:, 1])
    assert missing[:, 0].mean() == pytest.approx(0.25, abs=0.03)
    assert not missing[:, 2].any()


class OtherLibrary:
    """Fitted model of another library, such as SDV, that returns a data frame with NaN."""

    def __init__(self, table):
        self.table = table

    def sample(self, n):
        return self.table.sample(n, replace=True, random_state=0)[self.table.columns[::-1]]


def test_samples_of_another_library_may_contain_nan_as_the_table(binary):
    table = pd.DataFrame(binary[0].copy(), columns=list("abcdef"))
    table.iloc[::5, 2] = np.nan
    given = {"teacher_labels": "in_bag", "label_weight": 0, "training_data": "both", "random_state": 0}
    teacher = RandomForestClassifier(10, random_state=0)
    student = HistGradientBoostingClassifier(max_iter=20)
    model = DistilledClassifier(teacher, student, synthesizer=OtherLibrary(table), synthetic_ratio=1, **given)
    assert model.fit(table, binary[1]).score(table, binary[1]) > 0.7
    complete = table.fillna(0)
    with pytest.raises(ConfigurationError, match="synthesizer: samples of OtherLibrary: column 'c' contains NaN"):
        model.fit(complete, binary[1])


class OneRow(Generator):
    """Generator of the z-scores (1, -1), trained on columns with means 10 and 20 and standard deviations 2 and 5."""

    def __init__(self, quantiles=()):
        super().__init__(latent_dim=1, num_classes=2, sample_shape=(2,))
        trained_on = Statistics(torch.tensor([10.0, 20.0]).double(), torch.tensor([2.0, 5.0]).double(), quantiles)
        set_training_data(self, DataSpec((2,), 2, statistics=trained_on))

    def forward(self, latents, labels=None):
        return torch.tensor([[1.0, -1.0]]).expand(len(latents), 2)


@pytest.mark.parametrize("stored", [False, True])
def test_samples_of_a_gan_are_converted_from_its_training_data(stored, tmp_path):
    random = np.random.default_rng(0)
    X, y = random.normal((9, 22), (3, 4), (200, 2)), np.arange(200) % 2
    quantiles = (torch.tensor([[0.0, 30.0], [-3.0, 3.0]]).double(),) * 2

    def make(generator):
        if not stored:
            return GeneratorSynthesizer(generator)
        arrays = statistics_to_arrays(generator.trained_on.statistics)
        np.savez(tmp_path / "rows.npz", X_scaled=generator(np.zeros(5)).numpy(), labels=np.zeros(5, int), **arrays)
        return StoredSynthesizer(str(tmp_path / "rows.npz"))

    drawn = sample_rows(make(OneRow()), X, y, 7, seed=0)
    np.testing.assert_allclose(drawn, np.tile([12.0, 15.0], (7, 1)), rtol=1e-5)
    name = rf"the generator of {tmp_path / 'rows.npz'}: " if stored else ""
    with pytest.raises(ConfigurationError, match=f"^synthesizer: {name}trained with data.quantile_transform true"):
        sample_rows(make(OneRow(quantiles)), X, y, 7, seed=0)


def test_constant_columns_keep_their_value_and_the_others_their_index():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(100, 4)), np.arange(100) % 2
    X[:, 0] = 0.1  # whose mean is rounded
    X[:, 3] = random.integers(3, size=100)
    for synthesizer in (MungeSynthesizer(1.0, categorical_features=[3]), JitterSynthesizer(), SYNTHESIZERS[3]):
        drawn = sample_rows(synthesizer, X, y, 300, seed=0)
        assert (drawn[:, 0] == 0.1).all()
        assert (drawn[:, 1:3].std(axis=0) > 0.5).all()
        if not isinstance(synthesizer, JitterSynthesizer):
            np.testing.assert_allclose(drawn[:, 3], drawn[:, 3].round(), atol=1e-6)


def test_a_pool():
    X, y = heavy_rows(50)
    first, again, other = (
        sample_rows(PooledSynthesizer(JitterSynthesizer(), size=20), X, y, 200, seed=seed) for seed in (0, 0, 9)
    )
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first[:, 0])) == 20
    assert set(first[:, 0]).isdisjoint(other[:, 0])
