from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest, norm

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import MungeSynthesizer
from ganmc_lightning.synthesizers.munge import swap_schedule

# On a line: 0 <-> 1 are mutual neighbors, 1 is also the neighbor of 3, and 4 <-> 2.
ROWS = torch.tensor([[0.0, 1.0], [1.0, 2.0], [100.0, 4.0], [6.0, 1.5], [101.0, 5.0]])
NEAREST = [1, 0, 4, 1, 2]
LABELS = torch.tensor([0, 1, 0, 1, 1])


def fitted(rows=ROWS, labels=LABELS, **arguments):
    synthesizer = MungeSynthesizer(**arguments)
    synthesizer.fit(rows, labels, DataSpec((rows.shape[1],), 2))
    return synthesizer


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def one_by_one(probability, passes, rng):
    """The paper's loop over the rows: who a row last exchanged its first value with; -1 for none."""
    last = np.full((passes, len(NEAREST)), -1)
    for run in range(passes):
        for row, neighbor in enumerate(NEAREST):
            if rng.random() < probability:
                last[run, row], last[run, neighbor] = neighbor, row
    return last


def test_partners_are_those_of_the_loop_over_rows():
    passes, probability = 4000, 0.4
    # Without noise, a value identifies its row; samples of a row are in the order of the passes.
    samples, _ = fitted(swap_probability=probability, local_variance=1e9).sample(passes * len(ROWS), seeded(0))
    sources = (samples[:, :1] - ROWS[:, 0]).abs().argmin(dim=1).view(passes, len(ROWS)).numpy()
    wanted = one_by_one(probability, passes, np.random.default_rng(0))
    for row in range(len(ROWS)):
        counts = np.bincount(sources[:, row], minlength=len(ROWS))
        expected = np.bincount(np.where(wanted[:, row] < 0, row, wanted[:, row]), minlength=len(ROWS))
        assert (counts[expected == 0] == 0).all()
        spread = np.sqrt(2 * expected[expected > 0])
        assert (np.abs(counts - expected)[expected > 0] < 4 * spread).all(), row


def test_noise_is_a_share_of_the_difference():
    samples, _ = fitted(swap_probability=1, local_variance=2.0).sample(3000 * len(ROWS), seeded(0))
    first = samples.view(3000, len(ROWS), 2)[:, 2]  # row 2 meets row 4 alone
    assert kstest(first[:, 0], norm(101, 1 / 2).cdf).pvalue > 0.01
    assert kstest(first[:, 1], norm(5, 1 / 2).cdf).pvalue > 0.01


def test_columns_change_independently():
    samples, _ = fitted(swap_probability=0.5, local_variance=1e9).sample(4000 * len(ROWS), seeded(0))
    moved = (samples.view(4000, len(ROWS), 2)[:, 2] - ROWS[2]).abs() > 0.5
    # Two chances of one half each: a column stays in a quarter of the passes.
    counts = [int((moved == torch.tensor(pair)).all(dim=1).sum()) for pair in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert chisquare(counts, [250, 750, 750, 2250]).pvalue > 0.01


def test_each_pass_uses_every_row_once():
    rows = torch.randn(50, 3, generator=seeded(0))
    labels = torch.arange(50)
    synthesizer = MungeSynthesizer()
    synthesizer.fit(rows, labels, DataSpec((3,), 50))
    _, drawn = synthesizer.sample(9 * 50 + 20, seeded(0))
    assert drawn.bincount(minlength=50).min() == 9
    assert drawn.bincount(minlength=50).max() == 10


def test_categories_are_swapped_whole():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 3, 60)
    one_hot = np.eye(3)[levels] * 2 - 0.7
    rows = torch.from_numpy(np.column_stack([500 * rng.normal(size=60), one_hot, rng.integers(0, 4, 60)])).float()
    synthesizer = fitted(
        rows, torch.zeros(60, dtype=torch.int64), swap_probability=0.5, categorical_features=[[1, 2, 3], 4]
    )
    samples, _ = synthesizer.sample(600, seeded(0))
    assert {tuple(row) for row in samples[:, 1:4].tolist()} == {tuple(row) for row in rows[:, 1:4].tolist()}
    assert set(samples[:, 4].tolist()) <= set(rows[:, 4].tolist())
    own = rows.repeat(10, 1)
    assert ((samples[:, 1:4] != own[:, 1:4]).any(dim=1)).float().mean() > 0.2
    assert (samples[:, 4] != own[:, 4]).float().mean() > 0.2
    assert torch.unique(samples[:, 0]).numel() > 300


def test_encounters_by_hand():
    met = swap_schedule(torch.tensor(NEAREST))
    partners = [met.partners[met.first[row] : met.first[row + 1]].tolist() for row in range(5)]
    # Row 1 is met by 3, then it meets 0 itself, and first of all it was met by 0.
    assert partners == [[1, 1], [3, 0, 0], [4, 4], [1], [2, 2]]


def test_seeds_and_the_real_rows():
    before = ROWS.clone()
    synthesizer = fitted()
    first, again, other = (synthesizer.sample(40, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(ROWS, before)


def test_share_of_changed_values():
    """A value is unchanged if each of its exchanges fails: those of its row, and of the rows nearest to it."""
    rows = torch.randn(2000, 10, generator=seeded(0))
    labels = torch.arange(2000) % 2
    samples, drawn = fitted(rows, labels).sample(9 * 2000, seeded(0))
    assert torch.equal(drawn, labels.repeat(9))
    distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
    exchanges = 1 + distances.argmin(dim=1).bincount(minlength=2000)
    unchanged = (samples.view(9, 2000, 10) == rows).double().mean(dim=(0, 2))
    for count in exchanges.unique():
        values = 90 * (exchanges == count).sum()
        expected = 0.9**count
        spread = (expected * (1 - expected) / values).sqrt()
        assert (unchanged[exchanges == count].mean() - expected).abs() < 4 * spread


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"swap_probability": 0}, r"MungeSynthesizer\.swap_probability: got 0, expected a value in \(0, 1\]"),
        ({"local_variance": 0}, r"MungeSynthesizer\.local_variance: got 0, expected a positive value"),
        ({"categorical_features": [2]}, "categorical_features: got column 2, expected 0 to 1"),
        ({"categorical_features": [1, [0, 1]]}, "categorical_features: got column 1 twice"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        fitted(**arguments)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "got data read from files, expected data in memory"),
        (torch.zeros(4, 1, 8, 8, dtype=torch.uint8), r"got samples of shape \(1, 8, 8\), expected rows"),
        (torch.tensor([[0.0, 1.0], [2.0, torch.nan]]), "got NaN or infinity in column 1"),
        (torch.zeros(1, 2), "got 1 rows, expected more than 1"),
    ],
)
def test_bad_data(inputs, message):
    with pytest.raises(ConfigurationError, match=message):
        MungeSynthesizer().fit(inputs, LABELS, DataSpec((2,), 2))


def test_not_fitted():
    with pytest.raises(ConfigurationError, match="MungeSynthesizer: not fitted"):
        MungeSynthesizer().sample(1)
