from __future__ import annotations

import io

import numpy as np
import torch

from ganmc_lightning.data.schema import Field, TableSchema

SCHEMA = TableSchema(
    (Field("age"), Field("color", ("blue", "red", "white"), one_hot=True), Field("member", ("False", "True"))),
    "bought",
    ("no", "yes"),
)


def test_names_and_blocks_of_the_encoded_columns() -> None:
    assert SCHEMA.names == ("age", "color=blue", "color=red", "color=white", "member")
    assert SCHEMA.one_hot_blocks == ((1, 4),)
    assert TableSchema.unnamed(2).names == ("x0", "x1")
    assert TableSchema.unnamed(2).one_hot_blocks == ()


def test_rows_become_cells_of_the_table() -> None:
    rows = np.array([[41.0, 0, 1, 0, 1], [0.1, 0, 0, 1, 0]])
    header, columns = SCHEMA.to_table(rows, [1, 0])
    assert header == ["age", "color", "member", "bought"]
    assert columns == [["41", "0.1"], ["red", "white"], ["True", "False"], ["yes", "no"]]


def test_rows_without_classes_and_classes_without_names() -> None:
    assert SCHEMA.to_table(np.eye(5), None)[0] == ["age", "color", "member"]
    assert TableSchema.unnamed(1).to_table(np.array([[1.5]]), [3]) == (["x0", "label"], [["1.5"], ["3"]])


def test_state_survives_a_checkpoint() -> None:
    file = io.BytesIO()
    torch.save(SCHEMA.state_dict(), file)
    file.seek(0)
    assert TableSchema.from_state_dict(torch.load(file, weights_only=True)) == SCHEMA
