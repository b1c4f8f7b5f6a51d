from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganmc_lightning.runs.result import update_result


def test_entries_are_added_and_replaced(tmp_path: Path) -> None:
    update_result(tmp_path / "run", {"iterations": 3, "validation": {"val/accuracy": 0.5}})
    update_result(tmp_path / "run", {"test": {"test/accuracy": 0.25}})
    update_result(tmp_path / "run", {"iterations": 4})
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == {
        "iterations": 4,
        "validation": {"val/accuracy": 0.5},
        "test": {"test/accuracy": 0.25},
    }


def test_what_cannot_be_written_leaves_the_file(tmp_path: Path) -> None:
    update_result(tmp_path, {"iterations": 3})
    with pytest.raises(TypeError):
        update_result(tmp_path, {"bad": object()})
    assert json.loads((tmp_path / "result.json").read_text()) == {"iterations": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
