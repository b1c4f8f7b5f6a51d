"""Refusing columns that number the rows: they tell the classes apart where the rows were sorted by class."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.exceptions import ConfigurationError

FEWEST_ROWS = 10
"""In fewer rows, counts may be consecutive by chance."""
_INDEX_NAMES = re.compile(r"index|level_\d+|id|row|row[ _]?(id|number|num|names?)", re.IGNORECASE)


def check_no_row_numbers(rows: NDArray[np.float64], names: Sequence[str], where: str, fix: str) -> None:
    """Refuse rows with a column that is a row number or an index.

    It is one if its values, in any order, are 0..N-1 or 1..N; or if they are different whole numbers under a name that
    an index has, such as ``id``.

    Args:
        rows: (N, D), all of the table.
        names: of the columns.
        where: what to call the rows in a message.
        fix: what to do about it, where leaving the column out is meant.

    Raises:
        ConfigurationError: naming the first such column.
    """
    n = len(rows)
    if n < FEWEST_ROWS:
        return
    for column, name in enumerate(names):
        values = np.sort(rows[:, column])
        steps = np.diff(values)
        counted = values[0] in (0, 1) and (steps == 1).all()
        indexed = _INDEX_NAMES.fullmatch(name) and (steps > 0).all() and (values == np.round(values)).all()
        if counted or indexed:
            span = f"{values[0]:.0f}..{values[-1]:.0f}"
            raise ConfigurationError(
                f"{where}: column {name!r} numbers the rows ({span}, none twice), as an index does: {fix}"
            )
