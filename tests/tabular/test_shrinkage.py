from __future__ import annotations

import numpy as np
import pytest

from ganmc_lightning.tabular.shrinkage import score_table, shrink_scores


def make_scores(interactions, noise):
    """Scores (5, 20, 5) with effects of estimators and training sets, interactions and noise."""
    random = np.random.default_rng(0)
    true = random.normal(size=(20, 1)) + random.normal(size=5) + interactions * random.normal(size=(20, 5))
    return true, true + noise * random.normal(size=(5, 20, 5))


def test_noise_is_removed():
    true, scores = make_scores(0, 1)
    error, mean_error = (np.square(values - true).mean() for values in (shrink_scores(scores), scores.mean(axis=0)))
    assert error < 0.5 * mean_error


def test_interactions_are_kept():
    _, scores = make_scores(1, 0.01)
    np.testing.assert_allclose(shrink_scores(scores), scores.mean(axis=0), atol=1e-3)


@pytest.mark.parametrize("part", [np.s_[:1], np.s_[:, :1], np.s_[:, :, :1]])
def test_means_of_one_part_estimator_or_training_set(part):
    scores = make_scores(1, 1)[1][part]
    np.testing.assert_array_equal(shrink_scores(scores), scores.mean(axis=0))


def test_equal_scores():
    np.testing.assert_array_equal(shrink_scores(np.full((2, 2, 2), 0.5)), 0.5)


def test_each_kind_is_shrunken_alone():
    _, scores = make_scores(0, 1)
    found = {("tree", f"t{e}", r): scores[:, e, r].tolist() for r in range(5) for e in range(3)}
    found |= {("boosting", f"b{e}", r): scores[:, e, r].tolist() for e in range(3, 20) for r in range(5)}
    table = score_table(found)
    assert table.keys() == found.keys()
    for kind, estimators in (("tree", slice(0, 3)), ("boosting", slice(3, 20))):
        expected = shrink_scores(scores[:, estimators])
        for i, e in enumerate(range(20)[estimators]):
            assert [table[kind, f"{kind[0]}{e}", r] for r in range(5)] == pytest.approx(expected[i].tolist())


@pytest.mark.parametrize("change", ["absent", "fewer parts"])
def test_means_where_a_candidate_is_absent_or_has_fewer_parts(change):
    _, scores = make_scores(0, 1)
    found = {("tree", e, r): scores[:, e, r].tolist() for e in range(3) for r in range(3)}
    if change == "absent":
        del found["tree", 1, 1]
    else:
        found["tree", 1, 1].pop()
    assert score_table(found) == {key: pytest.approx(np.mean(values)) for key, values in found.items()}
