from __future__ import annotations

import pickle
import tracemalloc
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import AdversarialForestSynthesizer
from ganmc_lightning.synthesizers.adversarial_forest import _Leaves


def make_rows(n=600):
    """Two classes, one dependent pair of columns and a one-hot block."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(n, generator=generator) < 0.3).long()
    first = torch.randn(n, generator=generator) + 2 * labels
    second = first.square() + 0.1 * torch.randn(n, generator=generator)
    block = torch.eye(3)[torch.randint(3, (n,), generator=generator)]
    return torch.column_stack([first, second, block]), labels


def fit(rows, labels, **arguments):
    synthesizer = AdversarialForestSynthesizer(categorical_features=[[2, 3, 4]], **arguments)
    synthesizer.fit(rows, labels, DataSpec((rows.shape[1],), 2))
    return synthesizer


@pytest.fixture(scope="module")
def fitted():
    return fit(*make_rows())


def test_samples_resemble_real_rows(fitted):
    """Reference: a forest that tells rows with independent columns from real rows, but not samples."""
    rows, labels = make_rows()
    samples, drawn = fitted.sample(600, torch.Generator().manual_seed(1))
    random = np.random.default_rng(0)
    independent = np.column_stack([random.permutation(column) for column in rows.numpy().T])
    forest = RandomForestClassifier(30, min_samples_leaf=5, random_state=0)
    y = np.repeat([0, 1], 600)
    accuracy = {
        name: cross_val_score(forest, np.concatenate([rows.numpy(), other]), y, cv=4).mean()
        for name, other in (("independent", independent), ("samples", samples.numpy()))
    }
    assert accuracy["independent"] > 0.8
    assert accuracy["samples"] < 0.65
    assert drawn.float().mean().item() == pytest.approx(labels.float().mean().item(), abs=0.06)
    assert samples[drawn == 1, 0].mean() > 1.2
    assert samples[drawn == 0, 0].mean() < 0.6


def test_a_one_hot_block_and_the_values_of_a_column_are_real(fitted):
    rows, _ = make_rows()
    samples, _ = fitted.sample(300, torch.Generator().manual_seed(0))
    assert samples[:, 2:].sum(dim=1).eq(1).all()
    assert set(samples[:, 0].tolist()) <= set(rows[:, 0].tolist())


def test_samples_depend_on_the_generator_only(fitted):
    first, again, other = (fitted.sample(50, torch.Generator().manual_seed(seed))[0] for seed in (3, 3, 4))
    assert first.equal(again)
    assert not first.equal(other)
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.sample(50, torch.Generator().manual_seed(3))[0].equal(first)


class Scripted(RandomForestClassifier):
    """A forest whose out-of-bag accuracies are given, and which records its arguments, rows and labels."""

    accuracies: ClassVar[list[float]] = []
    fitted: ClassVar[list[Scripted]] = []

    def fit(self, rows, labels):
        super().fit(rows, labels)
        self.rows, self.labels = rows, labels
        self.oob_score_ = self.accuracies[len(self.fitted)]
        self.fitted.append(self)
        return self


@pytest.mark.parametrize(
    ("accuracies", "max_rounds", "forests", "used"),
    [
        ([0.9, 0.8, 0.5, 0.9], 10, 3, 1),  # the third forest does not recognize samples of the second
        ([0.9, 0.8, 0.51, 0.6], 4, 4, 3),
        ([0.4, 0.9, 0.4], 10, 3, 1),  # the first forest is always used
        ([0.4, 0.4], 1, 1, 0),
    ],
)
def test_forests_are_fitted_until_one_is_no_better_than_chance(monkeypatch, accuracies, max_rounds, forests, used):
    monkeypatch.setattr("sklearn.ensemble.RandomForestClassifier", Scripted)
    monkeypatch.setattr(Scripted, "accuracies", accuracies)
    monkeypatch.setattr(Scripted, "fitted", [])
    rows, labels = make_rows(100)
    synthesizer = fit(rows, labels, max_rounds=max_rounds, n_trees=7, min_samples_leaf=4)
    assert len(Scripted.fitted) == forests
    real = torch.column_stack([rows, labels]).numpy()
    for forest in Scripted.fitted:
        assert len(forest.estimators_) == 7
        assert forest.min_samples_leaf == 4
        assert np.array_equal(forest.rows[:100], real)
        assert forest.labels.tolist() == [1] * 100 + [0] * 100
    assert len({forest.random_state for forest in Scripted.fitted}) == forests
    expected = _Leaves(real, synthesizer._leaves.groups, Scripted.fitted[used].apply(real))
    assert np.array_equal(synthesizer._leaves.order, expected.order)


def test_accuracy_decides_when_rounds_end(monkeypatch):
    """With real accuracies, all forests but the last recognize the samples of their predecessor."""
    found = []

    class Recording(RandomForestClassifier):
        def fit(self, rows, labels):
            super().fit(rows, labels)
            found.append(self.oob_score_)
            return self

    monkeypatch.setattr("sklearn.ensemble.RandomForestClassifier", Recording)
    fit(*make_rows(300))
    assert found[0] > 0.7
    assert 1 < len(found) < 10
    assert min(found[:-1]) > 0.5 >= found[-1]


def test_seed_of_the_forests():
    rows, labels = make_rows(100)
    one, equal, other = (
        fit(rows, labels, n_trees=3, seed=seed).sample(50, torch.Generator().manual_seed(0))[0] for seed in (1, 1, 2)
    )
    assert one.equal(equal)
    assert not one.equal(other)


def test_one_leaf_draws_independent_columns():
    rows, labels = make_rows()
    samples, _ = fit(rows, labels, min_samples_leaf=1200, max_rounds=1).sample(4000, torch.Generator().manual_seed(0))
    assert abs(np.corrcoef(samples[:, 0].abs(), samples[:, 1])[0, 1]) < 0.1


def test_memory_of_many_columns():
    """Values of all columns of the drawn rows, per column, would take as much again."""
    rows = torch.randn(400, 500, generator=torch.Generator().manual_seed(0))
    synthesizer = AdversarialForestSynthesizer(n_trees=2, max_rounds=1)
    synthesizer.fit(rows, torch.zeros(400, dtype=torch.int64), DataSpec((500,), 1))
    tracemalloc.start()
    try:
        samples, _ = synthesizer.sample(4000, torch.Generator().manual_seed(0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.3 * samples.nbytes
    for column in (0, 250, 499):
        assert torch.isin(samples[:, column], rows[:, column]).all()


def test_errors():
    with pytest.raises(ConfigurationError, match="n_trees: got 0, expected at least 1"):
        AdversarialForestSynthesizer(n_trees=0)
    with pytest.raises(ConfigurationError, match="AdversarialForestSynthesizer: not fitted"):
        AdversarialForestSynthesizer().sample(1)
    with pytest.raises(ConfigurationError, match=r"got samples of shape \(1, 2, 2\), expected rows"):
        AdversarialForestSynthesizer().fit(torch.zeros(3, 1, 2, 2), torch.zeros(3), DataSpec((1, 2, 2), 2))
