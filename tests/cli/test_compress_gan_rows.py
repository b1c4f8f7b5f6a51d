"""Rows of a GAN for the table of `ganmc compress`."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from ganmc_lightning.cli.compress_gan_rows import load_table_synthesizer
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.schema import Field, TableSchema
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import TabularGenerator

COLOR = Field("color", ("blue", "red"), one_hot=True)


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint of a GAN whose rows are all near the given one."""

    def write(fields, row):
        real = torch.tensor([row, row]) + torch.tensor([[-0.01], [0.01]])
        generator = TabularGenerator(len(row), 2)
        with torch.no_grad():
            for parameter in generator.network.parameters():
                parameter.zero_()
        torch.save(
            {
                "state_dict": {f"generator.{key}": value for key, value in generator.state_dict().items()},
                "hyper_parameters": {
                    "generator": {
                        "class_path": "ganmc_lightning.networks.TabularGenerator",
                        "init_args": {"num_features": len(row), "num_classes": 2},
                    }
                },
                "GANAugmentedDataModule": {
                    "step": 1,
                    "scaler": RowScaler.fit(real).state_dict(),
                    "schema": TableSchema(tuple(fields), "y", ("no", "yes")).state_dict(),
                },
            },
            tmp_path / "gan.ckpt",
        )
        return str(tmp_path / "gan.ckpt")

    return write


def test_columns_in_another_order(save):
    table = pd.DataFrame({"b": [0.0, 1.0], "a": [0.0, 1.0], "c": [0.0, 1.0]})
    path = save([Field("a"), Field("b"), Field("c")], [1.0, 20.0, 300.0])
    rows, labels = load_table_synthesizer(path, table, "train.csv").sample(4)
    assert list(rows.columns) == ["b", "a", "c"]
    np.testing.assert_allclose(rows.to_numpy(), [[20.0, 1.0, 300.0]] * 4, rtol=0.01)
    assert labels.shape == (4,)


def test_categories_are_decoded(save):
    level = Field("level", ("1", "2"), one_hot=True)
    path = save([Field("size"), COLOR, level], [5.0, 0.0, 1.0, 1.0, 0.0])
    table = pd.DataFrame({"color": ["red", "blue"], "level": [2.0, 1.0], "size": [1.0, 2.0]})
    rows, _ = load_table_synthesizer(path, table, "train.csv").sample(3)
    assert rows["color"].tolist() == ["red"] * 3
    assert rows["level"].tolist() == [1.0] * 3
    np.testing.assert_allclose(rows["size"], 5, rtol=0.01)


def test_unnamed_columns_are_those_of_the_table(save):
    path = save([Field("x0"), Field("x1")], [1.0, 20.0])
    rows, _ = load_table_synthesizer(path, pd.DataFrame({"b": [0.0], "a": [0.0]}), "train.csv").sample(2)
    np.testing.assert_allclose(rows[["b", "a"]].to_numpy(), [[1.0, 20.0]] * 2, rtol=0.01)
    with pytest.raises(ConfigurationError, match=r"was trained on 2 columns, train\.csv has 1"):
        load_table_synthesizer(path, pd.DataFrame({"b": [0.0]}), "train.csv")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([Field("age"), COLOR], "was trained on the column 'age', which is no feature of train.csv"),
        ([COLOR], "was not trained on the column 'size' of train.csv"),
        ([Field("size"), Field("color")], "was trained on the column 'color' as numbers, train.csv has text"),
        ([Field("size", ("s", "m"), True), COLOR], "was trained on the column 'size' as text, e.g. 's', train.csv has"),
        ([Field("size"), Field("color", ("x", "y"), True)], "with the categories 'x', 'y', none of which"),
    ],
)
def test_other_columns(save, fields, message):
    path = save(fields, [0.0] * sum(field.width for field in fields))
    table = pd.DataFrame({"size": [1.0, 2.0], "color": ["red", "blue"]})
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        load_table_synthesizer(path, table, "train.csv")


class TestCommand:
    @pytest.fixture
    def compress(self, ganmc, tmp_path):
        random = np.random.default_rng(0)
        table = pd.DataFrame(random.normal(size=(120, 2)), columns=["b", "a"])
        table["color"] = random.choice(["red", "blue"], 120)
        table["y"] = np.where((table["a"] > 0) ^ (table["color"] == "red"), "yes", "no")
        table[:80].to_csv(tmp_path / "train.csv", index=False)
        table[80:].to_csv(tmp_path / "test.csv", index=False)

        def run(gan, *options):
            fast = ("--students", "tree", "--max-nodes", "15", "--time", "20", "--out", tmp_path / "small")
            inputs = (tmp_path / "train.csv", "--teacher", "forest", "--target", "y", "--gan", gan)
            return ganmc("compress", *inputs, *fast, *options)

        return run

    def test_other_columns_are_an_error(self, compress, save):
        outcome = compress(save([Field("a"), Field("z"), COLOR], [0.0] * 4))
        assert outcome.status == 2
        assert "was trained on the column 'z', which is no feature of" in outcome.err

    @pytest.mark.parametrize("test", [(), ("--test", "test.csv")])
    def test_rows_of_a_gan_are_used(self, compress, save, tmp_path, monkeypatch, test):
        monkeypatch.chdir(tmp_path)
        outcome = compress(save([Field("a"), Field("b"), COLOR], [0.5, 0.5, 1.0, 0.0]), *test)
        assert outcome.status == 0, outcome.err
        result = json.loads((tmp_path / "small" / "result.json").read_text())
        assert "gan" not in result["settings"]["unusable"]
        assert not any("gan" in text for text in result["settings"]["skipped"])
        text = (tmp_path / "small" / "card.html").read_text()
        assert ("The GAN may have been trained on the test rows" in text) == (not test)
