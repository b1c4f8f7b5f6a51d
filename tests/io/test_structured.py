from __future__ import annotations

import json
import math
import os
from dataclasses import field
from pathlib import Path

import pytest
from pydantic import ConfigDict, StrictInt
from pydantic.dataclasses import dataclass

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import load_yaml_mapping, read_json, validate, write_json, write_yaml


def test_interrupted_write_keeps_the_old_content(tmp_path, monkeypatch):
    file = tmp_path / "report.json"
    write_json(file, {"n": 1})

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(file, {"n": 2})
    monkeypatch.undo()
    assert read_json(file) == {"n": 1}
    write_json(file, {"n": 3})
    assert read_json(file) == {"n": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_written_json_is_valid(tmp_path):
    file = tmp_path / "a" / "b.json"
    write_json(file, {"values": [0.5, math.nan], "nested": {"x": -math.inf}})

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    content = json.loads(file.read_text(), parse_constant=refuse)
    assert content == {"values": [0.5, None], "nested": {"x": None}}


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b"\xff\xfe"])
def test_anything_but_a_json_object_is_none(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    assert read_json(tmp_path / "x.json") is None
    assert read_json(tmp_path / "missing.json") is None


def test_yaml_keeps_the_order_of_keys(tmp_path):
    content = {"b": [1, 2.5, None], "a": {"x": "text", "c": True}}
    write_yaml(tmp_path / "new" / "x.yaml", content)
    loaded = load_yaml_mapping(tmp_path / "new" / "x.yaml")
    assert loaded == content
    assert list(loaded) == ["b", "a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\na: 2", "x.yaml, line 2: duplicate key 'a'"),
        (b"a:\n- b: 1\n  b: 2", "x.yaml, line 3: duplicate key 'b'"),
        (b"a: [1", r"x.yaml: not valid YAML \("),
        (b"\xff", "x.yaml: byte 0 is not UTF-8, expected UTF-8 text"),
        (b"just text", "x.yaml: got 'just text', expected a mapping"),
        (b"", "x.yaml: got None, expected a mapping"),
        (b"- " + b"y" * 100, r"x.yaml: got \['y{55}\.\.\., expected a mapping$"),
    ],
)
def test_errors_of_yaml_files(tmp_path, content, message):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_yaml_mapping(tmp_path / "x.yaml")
    assert "\n" not in str(caught.value)


def test_a_missing_yaml_file(tmp_path):
    with pytest.raises(ConfigurationError, match=r"x\.yaml: file not found"):
        load_yaml_mapping(tmp_path / "x.yaml")


@dataclass(config=ConfigDict(extra="forbid"))
class Inner:
    size: StrictInt
    kinds: tuple[str, ...] = ()


@dataclass(config=ConfigDict(extra="forbid"))
class Outer:
    named: dict[str, Inner] = field(default_factory=dict)
    listed: tuple[Inner, ...] = ()


def test_valid_content_becomes_a_dataclass(tmp_path):
    value = validate(Outer, {"named": {"a": {"size": 1, "kinds": ["x"]}}}, tmp_path)
    assert value == Outer(named={"a": Inner(1, ("x",))})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"named": {"a": {"siez": 1}}}, "F: named.a.siez: unexpected key, did you mean 'size'?"),
        (
            {"listed": [{"size": 1}, {"z": 1}]},
            "F: listed[1].z: unexpected key, expected one of: size, kinds",
        ),
        ({"listed": [{}]}, "F: listed[0].size: required key is missing"),
        ({"listed": [{"size": "1"}]}, "F: listed[0].size: got '1', expected a whole number"),
        ({"listed": 3}, "F: listed: got 3, expected a list"),
        ([], "F: got [], expected a mapping"),
    ],
)
def test_validation_errors_name_file_key_and_value(content, message):
    with pytest.raises(ConfigurationError) as caught:
        validate(Outer, content, Path("F"))
    assert str(caught.value) == message
