"""Names and types of the columns of data frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers import JitterSynthesizer
from ganmc_lightning.tabular import DistilledClassifier, compress_table
from ganmc_lightning.tabular.encoding import (
    decode_rows,
    encode_rows,
    encoded_names,
    fit_encoder,
    one_hot_blocks,
    to_numpy_types,
)

MODEL = DistilledClassifier(RandomForestClassifier(5, random_state=0), "tree", max_nodes=15, random_state=0)


@pytest.fixture
def table():
    random = np.random.default_rng(0)
    X = pd.DataFrame({"color": random.choice(["red", "blue"], 200), "size": random.normal(size=200)})
    return X, (X["size"] > 0).to_numpy().astype(int)


def test_encoded_columns_with_the_name_of_another_column(table):
    X, y = table
    X = X.rename(columns={"size": "color_red"})
    model = MODEL.fit(X, y)
    assert model.classifier_.feature_names_in_.tolist() == ["color_blue", "color_red_", "color_red"]
    assert model.score(X, y) > 0.9
    text = pd.DataFrame({"a": ["b_c", "d"], "a_b": ["c", "e"]})
    assert encoded_names(fit_encoder(text)) == ["a_b_c_", "a_d", "a_b_c", "a_b_e"]


def test_columns_without_names_of_text(table):
    X, y = table
    X.columns = [0, 1]
    assert MODEL.fit(X, y).score(X, y) > 0.9
    X.columns = [1, 0]
    with pytest.raises(ConfigurationError, match=r"X: got the column name 1, expected text; set X\.columns = "):
        MODEL.fit(X, y)
    X.columns = ["a", "a"]
    with pytest.raises(ConfigurationError, match="X: got two columns 'a', expected different names"):
        MODEL.fit(X, y)


@pytest.mark.parametrize("column", ["integers", "booleans", "text", "python text"])
def test_missing_values_of_pandas(table, column):
    X, y = table
    random = np.random.default_rng(0)
    values = {
        "integers": (random.integers(9, size=200), "Int64"),
        "booleans": (random.integers(2, size=200) > 0, "boolean"),
        "text": (X["color"].to_numpy(), "string"),
        "python text": (X["color"].to_numpy(), pd.StringDtype("python")),
    }[column]
    X["new"] = pd.Series(values[0].tolist(), dtype=values[1])
    X.loc[3, "new"] = pd.NA
    plain = to_numpy_types(X)
    assert plain["new"].isna().tolist() == X["new"].isna().tolist()
    assert plain["new"].dtype.kind == ("O" if "text" in column else "f")
    result = compress_table(MODEL.teacher, X, y, students=["tree"], max_nodes=15, seconds=0.01)
    assert result.encode(X).shape[0] == 200
    np.testing.assert_array_equal(result.model.predict(X), result.student.predict(plain))


def test_a_value_that_is_missing_in_a_part_of_the_rows(table):
    """In a validation part no row has the rare value: the column is constant in the others."""
    X, y = table
    X["rare"] = (np.arange(200) < 1).astype(float)
    model = DistilledClassifier(
        MODEL.teacher, "tree", max_nodes=15, synthesizer=JitterSynthesizer(), synthetic_ratio=1, random_state=0
    ).fit(X[["size", "rare"]], y)
    assert {candidate.training_data for candidate in model.selection_} == {"real", "synthetic", "both"}


def test_rows_are_decoded_to_their_types(table):
    X, _ = table
    encoder = fit_encoder(X)
    pd.testing.assert_frame_equal(decode_rows(encoder, encode_rows(encoder, X), X), X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, object])
def test_a_rare_missing_value_of_a_category_column_of_numbers(dtype):
    codes = np.random.default_rng(0).integers(40, size=400).astype(dtype)
    codes[:2] = np.nan
    X = pd.DataFrame({"code": pd.Categorical(codes), "size": np.arange(400.0)})
    encoder = fit_encoder(X)
    encoded = encode_rows(encoder, X)
    assert one_hot_blocks(encoder) == [(0, encoded.shape[1] - 1)]
    decoded = decode_rows(encoder, encoded, X)
    np.testing.assert_array_equal(decoded["size"], X["size"])
    frequent = encoded[:, -2] == 0
    assert decoded["code"][frequent].tolist() == codes[frequent].tolist()
