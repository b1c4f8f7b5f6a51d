"""Cells become numbers, categories and classes, or raise an error with the column and an example."""

from __future__ import annotations

import numpy as np
import pytest

from ganmc_lightning.data.datasets.table_columns import encode_category, encode_column, encode_labels
from ganmc_lightning.data.schema import Field
from ganmc_lightning.exceptions import ConfigurationError

pd = pytest.importorskip("pandas", reason="tables need the extra `tabular`")


def series(values: list[object], dtype: object = None) -> object:
    return pd.Series(values, name="c", dtype=dtype)


@pytest.mark.parametrize(
    ("values", "example"),
    [
        (["1,234", "15", "2,000"], "1,234"),
        (["3,5", "4,25", "7,0"], "3,5"),
        (["1 234", "2 345"], "1 234"),
        (["1'234", "2'345"], "1'234"),
        (["5 %", "7%"], "5 %"),
        (["$3.50", "$12"], "$3.50"),
        (["3 \N{EURO SIGN}", "4 \N{EURO SIGN}"], "3 \N{EURO SIGN}"),
        (["EUR 3", "EUR 4"], "EUR 3"),
        (["(12)", "7", "8"], "(12)"),
        (["<5", "7", "8", "9"], "<5"),
        (["1", "2", "3", "unknown"], "unknown"),
        (["1", "2", "#DIV/0!"], "#DIV/0!"),
    ],
)
def test_numbers_written_as_text(values: list[str], example: str) -> None:
    import re

    with pytest.raises(ConfigurationError, match=re.escape(f"'c': got numbers written as text, e.g. {example!r}")):
        encode_column(series(values), "t.csv: column 'c'")
    assert encode_category(series(values), "c").field.one_hot  # on request they are one


@pytest.mark.parametrize("text", ["?", "", "NA", "n/a", "NaN", "null", "-", "None", " ? "])
def test_missing_numbers(text: str) -> None:
    with pytest.raises(ConfigurationError, match="'c': got 2 missing values"):
        encode_column(series(["1", text, "2.5", text, "3"]), "'c'")


@pytest.mark.parametrize("text", ["?", "", "NA", "nan"])
def test_missing_texts(text: str) -> None:
    with pytest.raises(ConfigurationError, match="'c': got 1 missing values"):
        encode_column(series(["red", text, "blue"]), "'c'")
    with pytest.raises(ConfigurationError, match="'c': got 1 missing values"):
        encode_labels(series(["red", "red", text, "blue", "blue"]), "'c'")


def test_question_mark_is_a_category_on_request() -> None:
    assert encode_category(series(["red", "?"]), "c").field == Field("c", ("?", "red"), one_hot=True)
    with pytest.raises(ConfigurationError, match="got 1 missing values"):
        encode_category(series(["red", " "]), "c")


def test_kinds_of_columns() -> None:
    numbers = encode_column(series([" 1.5", "2e3 "]), "c")
    assert numbers.numbers.tolist() == [[1.5], [2000.0]]
    assert numbers.field == Field("c")
    for values in (["TRUE", "false"], [True, False]):
        truth = encode_column(series(values), "c")
        assert truth.numbers.tolist() == [[1.0], [0.0]]
        assert truth.field == Field("c", ("False", "True"))
    text = encode_column(series(["red ", "blue", "red", "None"]), "c")
    assert text.field == Field("c", ("None", "blue", "red"), one_hot=True)
    assert text.numbers.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    ages = encode_column(series(["10-20", "20-30", "10-20"]), "c")
    assert ages.field.values == ("10-20", "20-30")


def test_categories_that_are_numbers_are_in_their_order() -> None:
    assert encode_category(series(["10", "9", "2"]), "c").field.values == ("2", "9", "10")
    assert encode_category(series([10, 9, 2]), "c").field.values == ("2", "9", "10")
    with pytest.raises(ConfigurationError, match="'01' and '1', two spellings of one number"):
        encode_category(series(["01", "1", "2"]), "c")


def test_integers_that_float64_cannot_represent() -> None:
    with pytest.raises(ConfigurationError, match="got 9007199254740993, which float64 rounds"):
        encode_column(series([2**53 + 1, 5]), "c")
    nanoseconds = series([1_700_000_000_000_000_000 + 256 * k for k in range(4)])
    assert len(np.unique(encode_column(nanoseconds, "c").numbers)) == 4


def test_labels_of_any_type() -> None:
    for values, names in [
        (["None", " yes", "None ", "yes"], ("None", "yes")),
        (["10", "9", "10", "9"], ("9", "10")),
        ([10, 9, 10, 9], ("9", "10")),
        ([1.0, 0.0, 1.0, 0.0], ("0.0", "1.0")),
        ([True, False, True, False], ("False", "True")),
    ]:
        labels, classes = encode_labels(series(values), "c")
        assert classes == names
        assert sorted(labels.tolist()) == [0, 0, 1, 1]
        assert labels[0] == labels[2]


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("values", [np.arange(40) / 10, 17 + np.arange(40), np.arange(40) * 1000])
def test_continuous_targets(values: np.ndarray, as_text: bool) -> None:
    twice = np.tile(values, 2).tolist()
    column = series([str(value) for value in twice] if as_text else twice)
    with pytest.raises(ConfigurationError, match=r"'c': got a continuous target \(40 distinct numbers in 80 rows"):
        encode_labels(column, "'c'")


def test_many_classes_numbered_from_0_or_1() -> None:
    for first in (0, 1):
        assert len(encode_labels(series([*range(first, first + 100)] * 2), "c")[1]) == 100


@pytest.mark.parametrize(
    "pair", [("yes", "Yes"), ("New York", "New  York"), ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\u0301")]
)
def test_names_that_are_probably_one_class(pair: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"got the classes .* expected one spelling"):
        encode_labels(series([*pair, *pair]), "c")


def test_numbers_that_are_one_class() -> None:
    with pytest.raises(ConfigurationError, match=r"'1' and '1\.0', two spellings of one number"):
        encode_labels(series(["1", "1.0", "2", "1", "1.0", "2"]), "c")
