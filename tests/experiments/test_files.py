from __future__ import annotations

import json
import math
import os

import pytest

from ganmc_lightning.experiments.files import read_json_object, write_bytes, write_json


def test_a_kill_before_the_rename_leaves_the_old_content(tmp_path, monkeypatch):
    file = tmp_path / "report.json"
    write_json(file, {"n": 1})

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(file, {"n": 2})
    monkeypatch.undo()
    assert read_json_object(file) == {"n": 1}
    write_json(file, {"n": 3})
    assert read_json_object(file) == {"n": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_json_is_strict(tmp_path):
    file = tmp_path / "a" / "b.json"
    write_json(file, {"values": [0.5, math.nan], "nested": {"x": -math.inf}})

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    content = json.loads(file.read_text(), parse_constant=refuse)
    assert content == {"values": [0.5, None], "nested": {"x": None}}


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b"\xff\xfe"])
def test_what_is_no_json_object_reads_as_nothing(tmp_path, content):
    write_bytes(tmp_path / "x.json", content)
    assert read_json_object(tmp_path / "x.json") is None
    assert read_json_object(tmp_path / "missing.json") is None
