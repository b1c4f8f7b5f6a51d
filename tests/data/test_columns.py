"""Generated values are projected onto valid rows of the table."""

from __future__ import annotations

import pytest
import torch

from ganmc_lightning.data.columns import MAX_LEVELS, ColumnConstraints

# height (continuous) | number (integer) | true/false | odd levels | color: red, green, blue
CATEGORIES = ((4, 7),)


@pytest.fixture
def rows() -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    n = 3 * (MAX_LEVELS + 1)
    color = torch.arange(n) % 3
    return torch.stack(
        [
            torch.randn(n, generator=random),
            torch.arange(n) * 2.0,
            (torch.arange(n) % 2).float(),
            torch.tensor([0.0, 0.3, 2.0])[color],
            *[(color == k).float() for k in range(3)],
        ],
        dim=1,
    )


def test_kinds(rows: torch.Tensor) -> None:
    table = ColumnConstraints.fit(rows, CATEGORIES)
    assert table.is_integer.tolist() == [False, True, True, False, True, True, True]
    assert [len(levels) for levels in table.levels] == [0, 0, 2, 3, 2, 2, 2]
    assert torch.equal(table.min, rows.double().amin(dim=0))
    assert torch.equal(table.max, rows.double().amax(dim=0))


def test_by_hand(rows: torch.Tensor) -> None:
    table = ColumnConstraints.fit(rows, CATEGORIES)
    made = torch.tensor(
        [
            [0.25, 7.4, 0.4, 0.2, 0.1, 0.7, 0.2],
            [0.5, -3.0, 0.6, 1.2, -5.0, -6.0, -4.0],  # the greatest wins, however small
            [0.0, 1e9, 7.0, 1.1, 9.0, 8.0, 7.0],
        ]
    )
    expected = [
        [0.25, 7.0, 0.0, 0.3, 0.0, 1.0, 0.0],
        [0.5, 0.0, 1.0, 2.0, 0.0, 0.0, 1.0],
        [0.0, 2.0 * (len(rows) - 1), 1.0, 0.3, 1.0, 0.0, 0.0],
    ]
    valid = table.project(made)
    assert valid.dtype == torch.float32
    torch.testing.assert_close(valid, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_nearest_level_of_integers() -> None:
    table = ColumnConstraints.fit(torch.tensor([[0.0, 0.0], [2.0, 3.0], [2.0, 7.0]]))
    assert table.project(torch.tensor([[1.4, 5.2], [0.9, 4.9], [5.0, 1.4]])).tolist() == [[2, 7], [0, 3], [2, 0]]


def test_real_rows_stay_as_they_are(rows: torch.Tensor) -> None:
    assert torch.equal(ColumnConstraints.fit(rows, CATEGORIES).project(rows), rows)


def test_projection_is_idempotent(rows: torch.Tensor) -> None:
    table = ColumnConstraints.fit(rows, CATEGORIES)
    valid = table.project(100 * torch.randn(500, 7, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(table.project(valid), valid)
    assert (valid[:, 4:].sum(dim=1) == 1).all()
    assert set(valid[:, 3].tolist()) == set(rows[:, 3].tolist())
    assert (valid[:, 1] == valid[:, 1].round()).all()
    assert ((valid >= rows.amin(dim=0)) & (valid <= rows.amax(dim=0))).all()
    assert (valid[:, 0] > rows[:, 0].min()).any()  # and not everything lies on the border
    assert (valid[:, 4:].mean(dim=0) > 0.2).all()


def test_the_argument_is_left_alone(rows: torch.Tensor) -> None:
    made = torch.full((2, 7), 0.4)
    ColumnConstraints.fit(rows, CATEGORIES).project(made)
    assert torch.equal(made, torch.full((2, 7), 0.4))


def test_equals(rows: torch.Tensor) -> None:
    table = ColumnConstraints.fit(rows, CATEGORIES)
    assert table.equals(ColumnConstraints.fit(rows.flip(0), CATEGORIES))
    assert not table.equals(ColumnConstraints.fit(rows))
    assert not table.equals(ColumnConstraints.fit(rows[1:] * 2, CATEGORIES))
