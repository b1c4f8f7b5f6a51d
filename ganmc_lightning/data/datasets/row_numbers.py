"""Reject columns that number the rows, which reveal the class if rows are sorted by class."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError

MIN_ROWS = 10
"""Minimum number of rows for the check; in fewer rows, counts may be consecutive by chance."""
_INDEX_NAMES = re.compile(r"index|level_\d+|id|row|row[ _]?(id|number|num|names?)", re.IGNORECASE)


def check_no_row_numbers(rows: NDArray[np.float64], names: Sequence[str], name: str, fix: str) -> None:
    """Check that no column is a row number or an index.

    A column numbers the rows if its values, in any order, are 0..N-1 or 1..N, or if they are distinct integers and its
    name is typical of an index, e.g. ``id``.

    Args:
        rows: (N, D), all rows of the table.
        names: names of the columns.
        name: file, for error messages.
        fix: how to remove the column, for error messages.

    Raises:
        ConfigurationError: a column numbers the rows.
    """
    n = len(rows)
    if n < MIN_ROWS:
        return
    for column, column_name in enumerate(names):
        values = np.sort(rows[:, column])
        steps = np.diff(values)
        counted = values[0] in (0, 1) and (steps == 1).all()
        indexed = _INDEX_NAMES.fullmatch(column_name) and (steps > 0).all() and (values == np.round(values)).all()
        if counted or indexed:
            span = f"{values[0]:.0f}..{values[-1]:.0f}"
            raise ConfigurationError(
                f"{name}: column {column_name!r} numbers the rows ({span}, all distinct) like an index; {fix}"
            )
