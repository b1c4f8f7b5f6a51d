"""What the columns of encoded rows are called and stand for, so that generated rows can be written as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Field(NamedTuple):
    """One column of a table.

    Attributes:
        name: its name in the header.
        values: the texts that its codes 0, 1, ... mean; empty for a column of numbers.
        one_hot: whether it is encoded as one 0/1 column for each of ``values``; else as one column.
    """

    name: str
    values: tuple[str, ...] = ()
    one_hot: bool = False

    @property
    def width(self) -> int:
        """Columns of its encoding."""
        return len(self.values) if self.one_hot else 1

    def decode(self, block: NDArray[np.float64]) -> list[str]:
        """Cells of the table from the encoded columns (N, width), legal values in the units of the table."""
        if self.one_hot:
            return [self.values[code] for code in block.argmax(axis=1)]
        numbers = block[:, 0].tolist()
        if self.values:
            return [self.values[int(number)] for number in numbers]
        return [str(int(number)) if number.is_integer() else repr(number) for number in numbers]


class Schema(NamedTuple):
    """The columns of a table in the order of their encoding, its label column and its classes.

    Attributes:
        fields: the feature columns.
        label: name of the label column.
        classes: names of the classes in the order of the labels; empty where nobody named them.
    """

    fields: tuple[Field, ...]
    label: str = "label"
    classes: tuple[str, ...] = ()

    @classmethod
    def unnamed(cls, columns: int) -> Self:
        """The schema of a table without a header: ``x0``, ``x1``, ..."""
        return cls(tuple(Field(f"x{column}") for column in range(columns)))

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Self:
        """Rebuild the schema that :meth:`state_dict` describes."""
        fields = tuple(Field(name, tuple(values), one_hot) for name, values, one_hot in state["fields"])
        return cls(fields, state["label"], tuple(state["classes"]))

    def state_dict(self) -> dict[str, Any]:
        """Plain values, to be stored in a checkpoint."""
        return {"fields": [tuple(field) for field in self.fields], "label": self.label, "classes": self.classes}

    @property
    def categories(self) -> tuple[tuple[int, int], ...]:
        """First and last + 1 column of each one-hot block."""
        blocks, start = [], 0
        for field in self.fields:
            if field.one_hot:
                blocks.append((start, start + field.width))
            start += field.width
        return tuple(blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded columns.

        Example:
            >>> Schema((Field("age"), Field("color", ("blue", "red"), one_hot=True))).names
            ('age', 'color=blue', 'color=red')
        """
        names: list[str] = []
        for field in self.fields:
            names += [f"{field.name}={value}" for value in field.values] if field.one_hot else [field.name]
        return tuple(names)

    def decode(self, rows: NDArray[np.float64], labels: Sequence[int] | None) -> tuple[list[str], list[list[str]]]:
        """Rows as they would be written in the table.

        Args:
            rows: encoded, (N, D), legal values in the units of the table.
            labels: classes (N,), or None for rows without.

        Returns:
            The header, and the cells of each column.

        Example:
            >>> schema = Schema((Field("age"), Field("color", ("blue", "red"), one_hot=True)), "bought", ("no", "yes"))
            >>> schema.decode(np.array([[41.0, 0.0, 1.0]]), [1])
            (['age', 'color', 'bought'], [['41'], ['red'], ['yes']])
        """
        header, columns, start = [], [], 0
        for field in self.fields:
            header.append(field.name)
            columns.append(field.decode(rows[:, start : start + field.width]))
            start += field.width
        if labels is not None:
            header.append(self.label)
            columns.append([self.classes[label] if self.classes else str(label) for label in labels])
        return header, columns
