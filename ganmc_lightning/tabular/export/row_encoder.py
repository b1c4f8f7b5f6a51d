"""C source that encodes a row of a table with text categories for an exported student."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer

from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.tabular.encoding import is_nan, number_columns, one_hot_blocks, split_categories
from ganmc_lightning.tabular.export.target import writing

_TEMPLATE = """\
/* Encode a row of the table for {name}_predict. Written by ganmc_lightning.
 *
 * Text columns, NULL is a missing value:
{text_columns}
 * Columns of numbers, NaN is a missing value:
{number_columns}
 * An unknown category is encoded as scikit-learn does: as a rare category, or as zeros.
 */
#ifndef {guard}_ENCODE_H
#define {guard}_ENCODE_H
#include <string.h>

static const char *const {name}_categories[] = {{{categories}}}; /* NULL: missing */
static const int {name}_category_columns[] = {{{columns}}};
static const int {name}_category_starts[] = {{{starts}}};
static const int {name}_unknown_columns[] = {{{unknown}}}; /* -1: zeros */

/* text: {n_text} strings; numbers: {n_numbers} values; out: {n_encoded} values, a row of {name}_predict. */
static void {name}_encode(const char *const *text, const double *numbers, {dtype} *out)
{{
    int column, k;
    for (k = 0; k < {n_one_hot}; k++)
        out[k] = 0;
    for (column = 0; column < {n_text}; column++) {{
        int found = {name}_unknown_columns[column];
        for (k = {name}_category_starts[column]; k < {name}_category_starts[column + 1]; k++) {{
            const char *category = {name}_categories[k];
            if (text[column] && category ? !strcmp(text[column], category) : !text[column] && !category)
                found = {name}_category_columns[k];
        }}
        if (found >= 0)
            out[found] = 1;
    }}
    for (k = 0; k < {n_numbers}; k++)
        out[{n_one_hot} + k] = ({dtype})numbers[k];
}}
#endif
"""


def to_c_encoder(encoder: ColumnTransformer, path: Path | str, name: str, feature_bytes: int) -> Path:
    """Write the one-hot encoding of a table as a C header, for the rows of a student written by :func:`to_c`.

    Categories that are numbers are given as text, such as ``"3"`` and ``"0.5"``, booleans as ``"0"`` and ``"1"``.

    Args:
        encoder: encoder of a fitted :class:`~ganmc_lightning.tabular.DistilledClassifier`, ``encoder_``.
        path: header file.
        name: prefix of the C symbols of the student, such as ``"student"``.
        feature_bytes: 4 where the student receives float, 8 for double.

    Returns:
        Path of the file.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    path = Path(path)
    names = [str(column) for column in encoder.transformers_[0][2]]
    numbers = [str(column) for column in number_columns(encoder)]
    categories: list[str] = []
    columns: list[int] = []
    starts, unknown = [0], []
    blocks = one_hot_blocks(encoder)
    split = split_categories(encoder.named_transformers_["categories"])
    for (start, stop), (frequent, rare) in zip(blocks, split, strict=True):
        for place, value in enumerate([*frequent, *rare]):
            categories.append(_literal(value))
            columns.append(start + min(place, len(frequent)))
        starts.append(len(categories))
        unknown.append(stop - 1 if rare else -1)
    text = _TEMPLATE.format(
        name=name,
        guard=name.upper(),
        text_columns=_listed(names),
        number_columns=_listed(numbers),
        categories=", ".join(categories),
        columns=", ".join(map(str, columns)),
        starts=", ".join(map(str, starts)),
        unknown=", ".join(map(str, unknown)),
        n_text=len(names),
        n_numbers=len(numbers),
        n_one_hot=blocks[-1][1],
        n_encoded=blocks[-1][1] + len(numbers),
        dtype="float" if feature_bytes == 4 else "double",
    )
    with writing(path), atomic_write(path) as file:
        file.write(text)
    return path


def _literal(value: Any) -> str:
    """Format a category, as text, as a C string of UTF-8 bytes; NULL for a missing value."""
    if value is None or is_nan(value):
        return "NULL"
    if isinstance(value, float | np.floating) and value.is_integer():  # of integers with missing values
        value = int(value)
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in str(value).encode()
    )
    return f'"{escaped}"'


def _listed(names: list[str]) -> str:
    shown = [repr(name).replace("*/", "* /").encode("ascii", "backslashreplace").decode() for name in names]
    return "\n".join(f" *   {number}  {name}" for number, name in enumerate(shown)) or " *   none"
