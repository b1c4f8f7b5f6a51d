from __future__ import annotations

from html.parser import HTMLParser

import pytest

from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.rendering import render_html, render_markdown
from ganmc_lightning.experiments.report_builder import make_report
from ganmc_lightning.experiments.results import StageResult
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.result import RunResult

EXPERIMENT = """
experiment: page
title: "<script>alert(1)</script> & more"
stages: {a: {command: "train {run_dir}"}, b: {command: "train {run_dir}"}}
report:
  rows:
    - {name: "<b>bold</b> | first", stage: a, paper: 0.5, source: "Table <1>"}
    - {name: second, stage: b}
  tables:
    title: "T < U"
    note: "a < b"
    columns: [{metric: accuracy}, {metric: fid, format: count}]
    rows: {name: x, stage: a}
"""


@pytest.fixture
def make(tmp_path):
    """Return a function that computes the report of two runs with given precisions."""
    file = tmp_path / "page.experiment.yaml"
    file.write_text(EXPERIMENT)
    metrics = {"test/accuracy": 0.75, "test/fid": float("nan")}

    def make(*precisions):
        results = {}
        for stage, precision in zip(("a", "b"), precisions, strict=True):
            result = RunResult(metrics=metrics, train_seconds=90.0, precision=precision)
            results[stage] = [StageResult(stage, 0, RunFolder(tmp_path), result)]
        return make_report(load_experiment(file), results, "ganmc reproduce 'a <b>'", quick=False)

    return make


@pytest.fixture
def report(make):
    return make(None, None)


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_html_escapes_text_from_the_experiment_file(report):
    page = Text()
    page.feed(render_html(report))
    assert not {"script", "b"} & set(page.tags)
    for text in ("<script>alert(1)</script> & more", "<b>bold</b> | first", "Table <1>", "T < U", "a < b"):
        assert text in page.text
    assert "ganmc reproduce 'a <b>'" in page.text


def test_markdown(report):
    text = render_markdown(report)
    assert (
        text
        == f"""# <script>alert(1)</script> & more

Experiment `page`, seed 0, 2 runs, 3 min 0 s of training.

| method | accuracy, test | paper |
| :--- | ---: | ---: |
| <b>bold</b> \\| first | 0.7500 | 0.500 (Table <1>) |
| second | 0.7500 | - |

- n = 1: one seed, no interval; a difference between two such rows may be chance.
- Paper: value in the paper; its data, networks and budget may differ.

## T < U

|  | accuracy | fid |
| :--- | ---: | ---: |
| x | 0.7500 | none |

- a < b
- n = 1: one seed, no interval; a difference between two such rows may be chance.

## All runs

| stage | seed | test | time |
| :--- | ---: | ---: | ---: |
| a | 0 | 0.7500 | 90.0 s |
| b | 0 | 0.7500 | 90.0 s |

## Environment

- command: `{report.command}`
- device: `unknown`
- threads: `unknown`
- versions: ``
"""
    )


def test_precision_of_all_runs(make):
    report = make("bf16-mixed", "bf16-mixed")
    assert report.as_json()["environment"]["precision"] == "bf16-mixed"
    text = render_markdown(report)
    assert "- precision: `bf16-mixed`\n" in text
    assert "| stage | seed | test | time |" in text


def test_different_precisions(make):
    report = make("bf16-mixed", "32-true")
    assert report.as_json()["environment"]["precision"] == "32-true, bf16-mixed"
    text = render_markdown(report)
    assert "- precision: `32-true, bf16-mixed`\n" in text
    assert "| stage | seed | test | precision | time |" in text
    assert "| a | 0 | 0.7500 | bf16-mixed | 90.0 s |\n| b | 0 | 0.7500 | 32-true | 90.0 s |" in text
