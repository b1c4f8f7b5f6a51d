"""Scatter plots of a table: points, joined points, baselines; and the notes below the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments import figures, plots
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.plots import Baseline, ScatterGroup, plot_scatter
from ganmc_lightning.experiments.rendering import render_html, render_markdown
from ganmc_lightning.experiments.report_builder import make_report
from ganmc_lightning.experiments.results import StageResult
from ganmc_lightning.experiments.statistics import MeanCI
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.result import RunResult

EXPERIMENT = """
experiment: sizes
stages:
  comparison: {command: "compare {run_dir}"}
report:
  tables:
    title: Sizes
    source: "GAN-KD table 1"
    note: "Features of one's network: not comparable with others."
    columns: [{metric: parameters, format: count}, {metric: fid, label: FID}]
    rows:
      - {name: teacher, stage: comparison, model: teacher, paper: {fid: 7.42}}
      - {name: d = 8, stage: comparison, model: mse_8, join: MSE}
      - {name: d = 2, stage: comparison, model: mse_2, join: MSE}
      - {name: "d = 2, regular", stage: comparison, model: regular_2, join: regular}
      - {name: real, stage: comparison, model: real}
      - {name: unscored, stage: comparison, model: unscored}
    scatter: {title: FID over size, x: parameters, y: fid, log_x: true}
"""
SCORES = {
    "teacher": {"parameters": 900, "fid": 5.0},
    "mse_8": {"parameters": 90, "fid": 6.0},
    "mse_2": {"parameters": 20, "fid": 8.0},
    "regular_2": {"parameters": 20, "fid": 30.0},
    "real": {"fid": 0.5},
    "unscored": {"parameters": 7},
}


def one(value):
    return MeanCI(value, None, 1)


@pytest.fixture
def report(tmp_path):
    def make(text=EXPERIMENT, seeds=1):
        file = tmp_path / "sizes.experiment.yaml"
        file.write_text(text)
        test = {f"test/{name}/{metric}": value for name, row in SCORES.items() for metric, value in row.items()}
        runs = [StageResult("comparison", k, RunFolder(Path("run")), RunResult(metrics=test)) for k in range(seeds)]
        return make_report(load_experiment(file), {"comparison": runs}, "ganmc reproduce sizes", False)

    return make


def test_joined_rows_form_a_group_and_a_row_without_x_a_baseline(report, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "plot_scatter", lambda *arguments: drawn.append(arguments) or b"")
    report()
    assert drawn == [
        (
            [
                ScatterGroup("teacher", [(one(900), one(5.0))]),
                ScatterGroup("MSE", [(one(90), one(6.0)), (one(20), one(8.0))]),
                ScatterGroup("regular", [(one(20), one(30.0))]),
            ],
            [Baseline("real", 0.5)],
            "parameters",
            "FID",
            True,
        )
    ]


def test_groups_are_joined_from_left_to_right(monkeypatch):
    monkeypatch.setattr(plots, "to_png", lambda figure: figure.axes[0])
    groups = [
        ScatterGroup("teacher", [(one(900), one(5.0))]),
        ScatterGroup("MSE", [(one(90), MeanCI(6.0, 0.5, 3)), (one(20), MeanCI(8.0, 1.0, 3))]),
    ]
    axes = plot_scatter(groups, [Baseline("real", 0.5)], "parameters", "FID", log_x=True)
    (teacher, curve), real = (container[0] for container in axes.containers), axes.lines[-1]
    assert (teacher.get_linestyle(), curve.get_linestyle(), real.get_linestyle()) == ("None", "-", "--")
    assert list(curve.get_xdata()) == [20, 90]
    assert list(curve.get_ydata()) == [8.0, 6.0]
    (bars,) = axes.containers[1][2]
    assert [[tuple(end) for end in bar] for bar in bars.get_segments()] == [
        [(20, 7.0), (20, 9.0)],
        [(90, 5.5), (90, 6.5)],
    ]
    assert list(real.get_ydata()) == [0.5, 0.5]
    assert len({line.get_color() for line in (teacher, curve, real)}) == 3
    assert axes.get_xscale() == "log"
    assert axes.get_legend_handles_labels()[1] == ["real", "teacher", "MSE"]


def test_values_that_are_not_finite_are_omitted(monkeypatch):
    none = float("nan")
    groups = [
        ScatterGroup("collapsed", [(one(900), one(none))]),
        ScatterGroup("MSE", [(one(90), one(6.0)), (one(20), one(none))]),
    ]
    references = [Baseline("real", 0.5), Baseline("lost", none)]
    for drawn, labels in ((groups, ["real", "MSE"]), (groups[:1], ["real"])):
        assert plot_scatter(drawn, references, "parameters", "FID", log_x=True).startswith(b"\x89PNG")
        with monkeypatch.context() as patch:
            patch.setattr(plots, "to_png", lambda figure: figure.axes[0])
            axes = plot_scatter(drawn, references, "parameters", "FID", log_x=True)
        assert axes.get_legend_handles_labels()[1] == labels


def test_notes_below_the_table(report):
    found = report()
    one_seed = "n = 1: one seed, no interval; a difference between two such rows may be chance."
    notes = [
        "Features of one's network: not comparable with others.",
        one_seed,
        "Paper: GAN-KD table 1.",
    ]
    assert found.as_json()["tables"][0]["notes"] == notes
    assert "".join(f"- {note}\n" for note in notes) in render_markdown(found)
    page = render_html(found)
    assert "<li>Features of one&#39;s network: not comparable with others.</li>" in page
    assert "<li>Paper: GAN-KD table 1.</li>" in page


def test_no_notes(report):
    text = EXPERIMENT.replace(", paper: {fid: 7.42}", "").replace("    note:", "    # note:")
    found = report(text, seeds=2)
    assert found.as_json()["tables"][0]["notes"] == []
    assert "Paper" not in render_markdown(found)


def test_one_note_on_single_seeds_per_table(report):
    found = report()
    for text in (render_markdown(found), render_html(found)):
        assert text.count("n = 1") == 1
    assert "| d = 8 | 90 | 6.00 |" in render_markdown(found)
    assert "n = 1" not in render_markdown(report(seeds=2))


def test_counts_have_no_note_on_single_seeds(report):
    text = EXPERIMENT.replace(", label: FID}", ", label: FID, format: count}")
    assert "n = 1" not in render_markdown(report(text))


SAME_TWICE = "    scatter:\n" + "".join(
    f"      - {{title: {title}, x: {x}, y: fid, log_x: true}}\n"
    for title, x in (("All sizes", "parameters"), ("By itself", "fid"), ("Small sizes", "parameters"))
)


def test_equal_figures_are_merged(report):
    found = report(EXPERIMENT.partition("    scatter:")[0] + SAME_TWICE)
    shown = [(figure.file, figure.title) for figure in found.figures]
    assert shown == [
        ("figures/scatter_1.png", "All sizes; equal values: Small sizes"),
        ("figures/scatter_2.png", "By itself"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("join: regular", "join: 3", r"rows\[3\].join: got 3, expected text"),
        ("join: regular", "joins: regular", r"rows\[3\].joins: unexpected key, did you mean 'join'"),
        (
            'note: "Features',
            'notes: "Features',
            r"tables\[0\].notes: unexpected key, did you mean 'note'",
        ),
    ],
)
def test_errors(report, old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        report(EXPERIMENT.replace(old, new))
