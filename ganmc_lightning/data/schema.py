"""Names and categories of table columns, to write generated rows as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Field(NamedTuple):
    """One column of a table.

    Attributes:
        name: column name in the header.
        values: cell texts of the codes 0, 1, ...; empty for a numeric column.
        one_hot: whether the column is encoded as one 0/1 column per value, else as one column.
    """

    name: str
    values: tuple[str, ...] = ()
    one_hot: bool = False

    @property
    def width(self) -> int:
        """Number of columns of the encoding."""
        return len(self.values) if self.one_hot else 1

    def to_cells(self, block: NDArray[np.float64]) -> list[str]:
        """Return the table cells of encoded columns (N, width), valid values in the units of the table.

        Example:
            >>> Field("color", ("blue", "red"), one_hot=True).to_cells(np.array([[0.0, 1.0]]))
            ['red']
        """
        if self.one_hot:
            return [self.values[code] for code in block.argmax(axis=1)]
        numbers = block[:, 0].tolist()
        if self.values:
            return [self.values[int(number)] for number in numbers]
        return [str(int(number)) if number.is_integer() else repr(number) for number in numbers]


class TableSchema(NamedTuple):
    """Columns of a table in the order of their encoding, its label column and its classes.

    Attributes:
        fields: the feature columns.
        label: name of the label column.
        classes: class names in the order of the labels; empty for unnamed classes.

    Example:
        >>> schema = TableSchema((Field("age"), Field("color", ("blue", "red"), one_hot=True)), "bought", ("no", "yes"))
        >>> schema.names, schema.one_hot_blocks
        (('age', 'color=blue', 'color=red'), ((1, 3),))
    """

    fields: tuple[Field, ...]
    label: str = "label"
    classes: tuple[str, ...] = ()

    @classmethod
    def unnamed(cls, columns: int) -> Self:
        """Return the schema of a table without a header: ``x0``, ``x1``, ..."""
        return cls(tuple(Field(f"x{column}") for column in range(columns)))

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the schema from :meth:`state_dict`."""
        fields = tuple(Field(name, tuple(values), one_hot) for name, values, one_hot in state["fields"])
        return cls(fields, state["label"], tuple(state["classes"]))

    def state_dict(self) -> dict[str, Any]:
        """Return the fields by name as plain values, for a checkpoint."""
        return {"fields": [tuple(field) for field in self.fields], "label": self.label, "classes": self.classes}

    @property
    def one_hot_blocks(self) -> tuple[tuple[int, int], ...]:
        """First column and end (exclusive) of each one-hot block."""
        blocks, start = [], 0
        for field in self.fields:
            if field.one_hot:
                blocks.append((start, start + field.width))
            start += field.width
        return tuple(blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        names: list[str] = []
        for field in self.fields:
            names += [f"{field.name}={value}" for value in field.values] if field.one_hot else [field.name]
        return tuple(names)

    def to_table(self, rows: NDArray[np.float64], labels: Sequence[int] | None) -> tuple[list[str], list[list[str]]]:
        """Return encoded rows as table columns of text.

        Args:
            rows: (N, D), valid values in the units of the table.
            labels: classes (N,), or None for rows without labels.

        Returns:
            The header, and the cells of each column.

        Example:
            >>> schema = TableSchema((Field("age"), Field("color", ("blue", "red"), one_hot=True)), "bought")
            >>> schema.to_table(np.array([[41.0, 0.0, 1.0]]), [1])
            (['age', 'color', 'bought'], [['41'], ['red'], ['1']])
        """
        header, columns, start = [], [], 0
        for field in self.fields:
            header.append(field.name)
            columns.append(field.to_cells(rows[:, start : start + field.width]))
            start += field.width
        if labels is not None:
            header.append(self.label)
            columns.append([self.classes[label] if self.classes else str(label) for label in labels])
        return header, columns
