"""Reports in docs/results: links of figures, notes on single seeds, values; and the README table computed from them."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"


@pytest.fixture(params=sorted(path.name for path in RESULTS.iterdir()))
def folder(request: pytest.FixtureRequest) -> Path:
    return RESULTS / str(request.param)


def test_every_figure_is_linked_once_and_no_two_are_equal(folder: Path) -> None:
    linked = re.findall(r"^!\[.*\]\((.*)\)$", (folder / "report.md").read_text(encoding="utf-8"), re.MULTILINE)
    figures = [path.relative_to(folder).as_posix() for path in (folder / "figures").glob("*")]
    assert sorted(linked) == sorted(figures)
    digests = [hashlib.sha256((folder / figure).read_bytes()).hexdigest() for figure in figures]
    assert len(set(digests)) == len(digests)


def test_single_seeds_are_noted_below_the_table(folder: Path) -> None:
    """In a table with several seeds, the rows with one seed are also marked."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    text = (folder / "report.md").read_text(encoding="utf-8")
    single = [row["name"] for row in report["rows"] if row["n"] == 1]
    assert ("- n = 1: one seed" in text) == (len(report["seeds"]) == 1 or bool(single))
    marked = re.findall(r"^\| ([^|]*) \| [\d.]+ \(n = 1\) ", text, re.MULTILINE)
    assert marked == ([] if len(single) == len(report["rows"]) else single)


def test_values_of_table_and_json_are_equal(folder: Path) -> None:
    """The mean of every row of the main table is the mean of its values, and is shown in the table."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    text = (folder / "report.md").read_text(encoding="utf-8")
    for row in report["rows"]:
        assert row["mean"] == pytest.approx(sum(row["values"]) / row["n"], rel=1e-9, abs=1e-10)
        assert re.search(rf"^\| {re.escape(row['name'])} .*\| {row['mean']:.4f} ", text, re.MULTILINE)


def test_readme_table_is_computed_from_the_reports() -> None:
    table = runpy.run_path(str(ROOT / "scripts" / "readme_results.py"))["results_table"]()
    assert f"\n\n{table}\n\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("path", "update"), [("docs/speed.md", "with_tables"), ("README.md", "with_readme_table")])
def test_tables_of_speed_are_those_of_the_results(path: str, update: str) -> None:
    report = runpy.run_path(str(ROOT / "benchmarks" / "report.py"))
    page = (ROOT / path).read_text(encoding="utf-8")
    assert report["START"] in page
    assert report[update](page) == page
