"""Reports committed under docs/results: their pictures, and what they say of one seed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "docs" / "results"


@pytest.fixture(params=sorted(path.name for path in RESULTS.iterdir()))
def folder(request: pytest.FixtureRequest) -> Path:
    return RESULTS / str(request.param)


def test_every_picture_is_linked_once_and_no_two_are_equal(folder: Path) -> None:
    linked = re.findall(r"^!\[.*\]\((.*)\)$", (folder / "report.md").read_text(encoding="utf-8"), re.MULTILINE)
    pictures = [path.relative_to(folder).as_posix() for path in (folder / "figures").glob("*")]
    assert sorted(linked) == sorted(pictures)
    digests = [hashlib.sha256((folder / picture).read_bytes()).hexdigest() for picture in pictures]
    assert len(set(digests)) == len(digests)


def test_one_seed_is_said_under_a_table_and_not_in_its_cells(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    lines = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    cells = [line for line in lines if line.startswith("|")]
    assert ("- n = 1: one seed" in "\n".join(lines)) == (len(report["seeds"]) == 1)
    assert not any("(n = 1)" in line for line in cells)


def test_numbers_of_the_table_are_those_of_the_json(folder: Path) -> None:
    """The mean of every row of the main table is the mean of its values, and stands in the table."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    text = (folder / "report.md").read_text(encoding="utf-8")
    for row in report["rows"]:
        assert row["mean"] == pytest.approx(sum(row["values"]) / row["n"], rel=1e-9, abs=1e-10)
        assert re.search(rf"^\| {re.escape(row['name'])} .*\| {row['mean']:.4f} ", text, re.MULTILINE)
