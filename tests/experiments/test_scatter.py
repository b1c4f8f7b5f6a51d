"""Figures of a table's lines: points, curves through some of them, dashed lines, and the remarks under the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments import figures, plots
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.html import render_html
from ganmc_lightning.experiments.markdown import render_markdown
from ganmc_lightning.experiments.plots import Points, Reference, scatter_figure
from ganmc_lightning.experiments.report_builder import make_report
from ganmc_lightning.experiments.results import StageResult
from ganmc_lightning.experiments.statistics import Estimate
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.result import RunResult

EXPERIMENT = """
experiment: sizes
stages:
  comparison: {run: compare}
report:
  tables:
    title: Sizes
    source: "GAN-KD table 1"
    note: "EvaluationResult in features of one's own: no others stand beside them."
    columns: [{metric: parameters, format: count}, {metric: fid, label: FID}]
    rows:
      - {name: teacher, stage: comparison, model: teacher, paper: {fid: 7.42}}
      - {name: d = 8, stage: comparison, model: mse_8, curve: MSE}
      - {name: d = 2, stage: comparison, model: mse_2, curve: MSE}
      - {name: "d = 2, regular", stage: comparison, model: regular_2, curve: regular}
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
    return Estimate(value, None, 1)


@pytest.fixture
def report(tmp_path):
    def make(text=EXPERIMENT, seeds=1):
        file = tmp_path / "sizes.experiment.yaml"
        file.write_text(text)
        test = {f"test/{name}/{metric}": value for name, row in SCORES.items() for metric, value in row.items()}
        runs = [StageResult("comparison", k, RunFolder(Path("run")), RunResult(metrics=test)) for k in range(seeds)]
        return make_report(load_experiment(file), {"comparison": runs}, [], "ganmc reproduce sizes", False)

    return make


def test_lines_of_a_curve_belong_together_and_one_without_a_place_is_dashed(report, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "scatter_figure", lambda *arguments: drawn.append(arguments) or b"")
    report()
    assert drawn == [
        (
            [
                Points("teacher", [(one(900), one(5.0))]),
                Points("MSE", [(one(90), one(6.0)), (one(20), one(8.0))]),
                Points("regular", [(one(20), one(30.0))]),
            ],
            [Reference("real", 0.5)],
            "parameters",
            "FID",
            True,
        )
    ]


def test_curves_run_from_left_to_right(monkeypatch):
    monkeypatch.setattr(plots, "_png", lambda figure: figure.axes[0])
    groups = [
        Points("teacher", [(one(900), one(5.0))]),
        Points("MSE", [(one(90), Estimate(6.0, 0.5, 3)), (one(20), Estimate(8.0, 1.0, 3))]),
    ]
    axes = scatter_figure(groups, [Reference("real", 0.5)], "parameters", "FID", log_x=True)
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


def test_scores_that_could_not_be_computed_are_left_out(monkeypatch):
    none = float("nan")
    groups = [
        Points("collapsed", [(one(900), one(none))]),
        Points("MSE", [(one(90), one(6.0)), (one(20), one(none))]),
    ]
    references = [Reference("real", 0.5), Reference("lost", none)]
    for drawn, labels in ((groups, ["real", "MSE"]), (groups[:1], ["real"])):
        assert scatter_figure(drawn, references, "parameters", "FID", log_x=True).startswith(b"\x89PNG")
        with monkeypatch.context() as patch:
            patch.setattr(plots, "_png", lambda figure: figure.axes[0])
            axes = scatter_figure(drawn, references, "parameters", "FID", log_x=True)
        assert axes.get_legend_handles_labels()[1] == labels


def test_remarks_stand_under_the_table(report):
    found = report()
    one_seed = "n = 1: one seed, no interval; a difference between two such rows may be chance."
    remarks = [
        "EvaluationResult in features of one's own: no others stand beside them.",
        one_seed,
        "Paper: GAN-KD table 1.",
    ]
    assert found.as_json()["tables"][0]["notes"] == remarks
    assert "".join(f"- {remark}\n" for remark in remarks) in render_markdown(found)
    page = render_html(found)
    assert "<li>EvaluationResult in features of one&#x27;s own: no others stand beside them.</li>" in page
    assert "<li>Paper: GAN-KD table 1.</li>" in page


def test_no_remarks_where_there_is_nothing_to_say(report):
    text = EXPERIMENT.replace(", paper: {fid: 7.42}", "").replace("    note:", "    # note:")
    found = report(text, seeds=2)
    assert found.as_json()["tables"][0]["notes"] == []
    assert "Paper" not in render_markdown(found)


def test_one_seed_is_said_once_a_table(report):
    found = report()
    for text in (render_markdown(found), render_html(found)):
        assert text.count("n = 1") == 1
    assert "| d = 8 | 90 | 6.00 |" in render_markdown(found)
    assert "n = 1" not in render_markdown(report(seeds=2))


def test_counts_of_one_seed_need_no_interval(report):
    text = EXPERIMENT.replace(", label: FID}", ", label: FID, format: count}")
    assert "n = 1" not in render_markdown(report(text))


SAME_TWICE = "    scatter:\n" + "".join(
    f"      - {{title: {title}, x: {x}, y: fid, log_x: true}}\n"
    for title, x in (("All sizes", "parameters"), ("By itself", "fid"), ("Small sizes", "parameters"))
)


def test_the_same_figure_is_shown_once(report):
    found = report(EXPERIMENT.partition("    scatter:")[0] + SAME_TWICE)
    shown = [(picture.file, picture.title) for picture in found.pictures]
    assert shown == [
        ("figures/scatter_1.png", "All sizes; the same values: Small sizes"),
        ("figures/scatter_2.png", "By itself"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("curve: regular", "curve: 3", r"rows\[3\].curve: got 3, expected text"),
        ("curve: regular", "curves: regular", r"rows\[3\].curves: unexpected key, did you mean 'curve'"),
        (
            'note: "EvaluationResult',
            'notes: "EvaluationResult',
            r"tables\[0\].notes: unexpected key, did you mean 'note'",
        ),
    ],
)
def test_mistakes(report, old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        report(EXPERIMENT.replace(old, new))
