"""Stages that run a command other than `fit`, and the tables and figures of their results."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.reproduce import reproduce

EXPERIMENT = """
experiment: forests
seeds: [0, 1, 2]
stages:
  gan: {config: gan.yaml, test: false}
  study:
    command: forest --config {config} --seed {seed} --out {run_dir} --gan "{gan}/check points/best.ckpt"
    config: forest.yaml
    quick_command: --trees 2
report:
  tables:
    title: One tree
    source: "GAN-MC Table 3"
    columns:
      - {metric: auc, label: AUC}
      - {metric: bytes, format: bytes}
      - {metric: nodes, format: count}
      - {metric: speedup, format: ratio}
    rows:
      - {name: Teacher, stage: study, model: teacher, paper: {auc: 0.935}}
      - {name: Real data, stage: study, model: real}
    scatter: {title: Quality against size, x: bytes, y: auc, log_x: true}
  result_curves:
    title: AUC over trees
    x_label: trees
    y_label: AUC
    stage: study
    curves: {Real data: real/auc}
    baselines: {Teacher: teacher/auc}
"""


class FakeCommand:
    """Fake entry point of the command line that writes the result of a forest study."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, argv: list[str]) -> int:
        self.calls.append(argv)
        if argv[0] == "fit":
            folder = Path(argv[argv.index("--trainer.default_root_dir") + 1])
            result = {"metrics": {"val/tree_auc": 0.9}, "train_seconds": 2}
        else:
            folder, seed = Path(argv[argv.index("--out") + 1]), int(argv[argv.index("--seed") + 1])
            scores = {
                "teacher/auc": 0.93,
                "real/auc": 0.88 + 0.01 * seed,
                "real/bytes": 181_000,
                "real/nodes": 2499,
                "real/speedup": 634.4,
            }
            result = {
                "metrics": {f"test/{name}": value for name, value in scores.items()},
                "curves": {"real/auc": {"1": 0.88, "2": 0.9 + 0.01 * seed, "20": 0.92}},
                "train_seconds": 3,
            }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(result))
        return 0


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "gan.yaml").write_text("model: {}\n")
    (folder / "forest.yaml").write_text("gan: runs/forests/gan/seed0/checkpoints/best.ckpt\n")
    (folder / "forests.experiment.yaml").write_text(EXPERIMENT)
    return folder / "forests.experiment.yaml"


def go(file, out, fake, quick=False):
    console = Console(file=io.StringIO(), width=80)
    command = "ganmc reproduce forests"
    return reproduce(file, out, command=command, run_command=fake, console=console, quick=quick)


def study_of(file, out, quick=False, seed=1):
    (run,) = (run for run in plan_runs(load_experiment(file), out, [seed], quick) if run.stage == "study")
    return run


def test_placeholders_are_filled_in(file, tmp_path):
    run = study_of(file, tmp_path / "runs")
    folder = tmp_path / "runs" / "forests"
    config = folder / "study" / "seed1" / "0_forest.yaml"
    assert run.command == (
        *("forest", "--config", str(config), "--seed", "1", "--out", str(folder / "study" / "seed1")),
        *("--gan", f"{folder}/gan/seed1/check points/best.ckpt"),
    )
    assert run.configs == {config: {"gan": f"{folder}/gan/seed1/checkpoints/best.ckpt"}}
    assert run.test is None
    assert not run.trains


def test_quick_command_is_appended(file, tmp_path):
    assert study_of(file, tmp_path, quick=True).command[-2:] == ("--trees", "2")


def test_fingerprint_follows_words_and_config(file, tmp_path):
    before = study_of(file, tmp_path).fingerprint.digest
    file.write_text(EXPERIMENT.replace("--gan", "--network"))
    changed = study_of(file, tmp_path).fingerprint.digest
    (file.parent / "forest.yaml").write_text("gan: runs/forests/gan/seed0/checkpoints/last.ckpt\n")
    assert len({before, changed, study_of(file, tmp_path).fingerprint.digest}) == 3


def test_finished_command_is_not_repeated(file, tmp_path):
    fake = FakeCommand()
    assert go(file, tmp_path / "runs", fake) == 0
    assert [argv[0] for argv in fake.calls] == ["fit", "forest"] * 3
    assert go(file, tmp_path / "runs", fake) == 0
    assert len(fake.calls) == 6


def test_report_contains_table_and_figures(file, tmp_path):
    assert go(file, tmp_path / "runs", FakeCommand()) == 0
    folder = tmp_path / "runs" / "forests"
    (table,) = json.loads((folder / "report.json").read_text())["tables"]
    rows = {(row["name"], row["metric"]): row for row in table["rows"]}
    assert set(rows) == {
        ("Teacher", "auc"),
        ("Real data", "auc"),
        ("Real data", "bytes"),
        ("Real data", "nodes"),
        ("Real data", "speedup"),
    }
    real = rows["Real data", "auc"]
    assert real["values"] == pytest.approx([0.88, 0.89, 0.90])
    assert real["mean"] == pytest.approx(0.89)
    assert real["ci95"] == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-5)
    assert rows["Teacher", "auc"]["paper"] == 0.935
    text = (folder / "report.md").read_text()
    assert "| Teacher | 0.9300 ± 0.0000 (paper 0.935) | - | - | - |" in text
    assert "| Real data | 0.8900 ± 0.0248 | 181 kB | 2,499 | 634 |" in text
    for name in ("scatter_1", "result_curves_1"):
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"figures/{name}.png" in text
    page = (folder / "report.html").read_text()
    assert "<small>paper 0.935</small>" in page


def test_unknown_column_is_an_error(file, tmp_path, capsys):
    file.write_text(EXPERIMENT.replace("metric: nodes", "metric: knots"))
    with pytest.raises(
        ConfigurationError, match=r"no 'test/teacher/knots' \(available: test/real/auc, .*test/teacher/auc\)"
    ):
        go(file, tmp_path / "runs", FakeCommand())


def test_unknown_curve_is_an_error(file, tmp_path):
    file.write_text(EXPERIMENT.replace("Real data: real/auc", "Real data: real/ac"))
    with pytest.raises(ConfigurationError, match=r"no curve 'real/ac' \(available: real/auc\)"):
        go(file, tmp_path / "runs", FakeCommand())


@pytest.mark.parametrize("curves", ["[1]", '{"a": 1}', '{"a": {"x": 1}}'])
def test_invalid_curves_are_an_error(file, tmp_path, curves):
    fake = FakeCommand()
    go(file, tmp_path / "runs", fake)
    result = tmp_path / "runs" / "forests" / "study" / "seed0" / "result.json"
    result.write_text(f'{{"curves": {curves}}}')
    with pytest.raises(ConfigurationError, match=r"result\.json: curves"):
        go(file, tmp_path / "runs", fake)


BAD = [
    ("--seed {seed}", "--seed {sed}", "stages.study: needs unknown stage 'sed', expected one of: gan"),
    (
        "config: forest.yaml",
        "config: [forest.yaml, gan.yaml]",
        "stages.study.config: got several files",
    ),
    ("config: forest.yaml", "overrides: {a: 1}", "stages.study.overrides: unexpected key next to 'command'"),
    ("config: forest.yaml", "quick: {a: 1}", "stages.study.quick: unexpected key next to 'command'"),
    ("test: false", "quick_command: x", "stages.gan.quick_command: unexpected key without 'command'"),
    ("quick_command: --trees 2", "quick_command: {a: 1}", r"stages.study.quick_command: got {'a': 1}, expected text"),
    ('"{gan}', "{gan}", r"stages.study.command: got .*\.\.\., expected a command line \(No closing quotation\)"),
    ("  gan: {config", "  run_dir: {config", "stages.run_dir: reserved for the placeholder {run_dir}"),
    (
        "format: bytes",
        "format: octets",
        r"tables\[0\].columns\[1\].format: got 'octets', expected 'number', 'count', 'bytes' or 'ratio'",
    ),
    (
        "x: bytes",
        "x: size",
        r"report.tables\[0\].scatter\[0\].x: 'size' is not a column of the table",
    ),
    ("log_x: true", "log: true", r"report.tables\[0\].scatter\[0\].log: unexpected key, did you mean 'log_x'\?"),
    (
        "name: Real data, stage",
        "name: Teacher, stage",
        r"report.tables\[0\].rows: got 2 rows named 'Teacher'",
    ),
    (
        "paper: {auc: 0.935}",
        "paper: {ac: 0.935}",
        r"tables\[0\].rows\[0\].paper: 'ac' is not a column ",
    ),
    (
        "stage: study, model: real",
        "stage: stud",
        r"tables\[0\].rows\[1\].stage: unknown stage 'stud', did you",
    ),
    (
        "curves: {Real data: real/auc}",
        "curves: {}",
        r"report.result_curves\[0\].curves: got {}, expected at least one entry",
    ),
    (
        "curves: {Real data: real/auc}",
        "curves: {Real data: 3}",
        r"report.result_curves\[0\].curves.Real data: got 3",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=range(len(BAD)))
def test_invalid_key_is_a_one_line_error(file, old, new, message):
    assert EXPERIMENT.count(old) == 1
    file.write_text(EXPERIMENT.replace(old, new))
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_experiment(file)
    assert "\n" not in str(caught.value)
