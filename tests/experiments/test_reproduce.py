from __future__ import annotations

import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from ganmc_lightning.exceptions import ConfigurationError, Terminated
from ganmc_lightning.experiments import figures, fingerprint
from ganmc_lightning.experiments.reproduce import reproduce


@pytest.fixture
def go(experiment_file, tmp_path, fake):
    """Reproduce the tiny experiment; return the exit code and the terminal output."""

    def run(seeds=(0, 1), run_command=fake, **options):
        shown = io.StringIO()
        console = Console(file=shown, width=60)
        code = reproduce(
            experiment_file,
            tmp_path / "runs",
            command="ganmc reproduce tiny",
            run_command=run_command,
            console=console,
            seeds=seeds,
            **options,
        )
        return code, shown.getvalue()

    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "tiny"


def test_stages_run_in_order_and_only_once(go, fake):
    code, shown = go(seeds=(0,))
    assert code == 0
    assert fake.stages == [
        "fit teacher/seed0",
        "test teacher/seed0",
        "fit gan/seed0",
        "fit alone/seed0",
        "test alone/seed0",
        "fit mixed_02/seed0",
        "test mixed_02/seed0",
        "fit mixed_05/seed0",
        "test mixed_05/seed0",
    ]
    assert "✓ teacher   seed 0  val 0.9000  test 0.8000       12 s  1/5\n" in shown
    code, shown = go(seeds=(0,))
    assert code == 0
    assert len(fake.calls) == 9
    assert "· teacher   seed 0  val 0.9000  test 0.8000       12 s  1/5\n" in shown


def test_selected_stages_run_with_those_that_they_need(go, fake, folder):
    code, shown = go(seeds=(0,), stages=["mixed_02", "alone"])
    assert code == 0
    assert [stage for stage in fake.stages if stage.startswith("fit")] == [
        "fit teacher/seed0",
        "fit gan/seed0",
        "fit alone/seed0",
        "fit mixed_02/seed0",
    ]
    assert "4 stages, 1 seed, 4 runs" in shown
    report = json.loads((folder / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["teacher", "labels only"]  # the other selects from both mixed
    assert report["sweeps"] == []  # one point
    assert report["notes"][0] == "Partial report; stages omitted by --stages: 1."
    go(seeds=(0,))
    assert fake.stages[7:] == ["fit mixed_05/seed0", "test mixed_05/seed0"]


def test_report_of_selected_stages_contains_finished_others(go, fake, folder):
    go(seeds=(0,))
    complete = json.loads((folder / "report.json").read_text())
    count = len(fake.calls)
    go(seeds=(0,), stages=["alone"])
    assert len(fake.calls) == count
    report = json.loads((folder / "report.json").read_text())
    note = "Results of earlier commands: teacher, gan, mixed_02, mixed_05."
    assert report == {**complete, "notes": [note, *complete["notes"]]}


def test_stages_with_unfinished_or_damaged_runs_are_not_reported_beside_selected_ones(go, fake, folder):
    go()
    (folder / "mixed_05" / "seed1" / "result.json").write_text("{")
    shutil.rmtree(folder / "teacher" / "seed1")
    assert go(stages=["alone"])[0] == 0
    report = json.loads((folder / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["labels only"]
    assert report["notes"][:2] == [
        "Results of earlier commands: gan, mixed_02.",
        "Partial report; stages omitted by --stages: 2.",
    ]


def test_outdated_results_are_not_reported_beside_selected_stages(go, fake, folder, experiment_file):
    go(seeds=(0,))
    (experiment_file.parent / "gan.yaml").write_text("model: {name: better}\n")
    assert (folder / "figures" / "sweep_1.png").is_file()
    (folder / "figures" / "own.png").touch()
    go(seeds=(0,), stages=["alone"])
    report = json.loads((folder / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["teacher", "labels only"]
    assert report["notes"][:2] == [
        "Results of earlier commands: teacher.",
        "Partial report; stages omitted by --stages: 3.",
    ]
    names = {path.name for path in (folder / "figures").iterdir()}
    assert "sweep_1.png" not in names  # a figure of the earlier report only
    assert "own.png" in names
    assert all(f"figures/{name}" in (folder / "report.md").read_text() for name in names - {"own.png"})


def test_unknown_stage_is_an_error(go, fake):
    with pytest.raises(ConfigurationError, match="--stages: got 'techer', did you mean 'teacher'"):
        go(seeds=(0,), stages=["alone", "techer"])
    assert not fake.calls


def test_further_seed_adds_its_runs_only(go, fake):
    go(seeds=(0,))
    go(seeds=(0, 1))
    assert all(stage.endswith("seed1") for stage in fake.stages[9:])
    assert len(fake.calls) == 18


def test_changed_config_repeats_dependent_stages(go, fake, experiment_file):
    go(seeds=(0,))
    (experiment_file.parent / "gan.yaml").write_text("model: {name: better}\n")
    go(seeds=(0,))
    assert {stage.split()[1] for stage in fake.stages[9:]} == {
        "gan/seed0",
        "mixed_02/seed0",
        "mixed_05/seed0",
    }


@pytest.mark.parametrize("code", [1, 2])
def test_no_stage_runs_after_a_failure(go, fake, folder, capsys, code):
    fake.exit_codes = {"alone": code}
    assert go(seeds=(0,))[0] == code
    assert fake.stages[-1] == "fit alone/seed0"
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "stage 'alone'" in error
    assert str(folder / "alone" / "seed0") in error
    assert f"exit code {code}" in error
    assert not (folder / "report.json").exists()


def test_no_stage_runs_after_a_failed_test(go, fake, capsys):
    fake.test_exit_codes = {"teacher": 1}
    assert go()[0] == 1
    assert fake.stages == ["fit teacher/seed0", "test teacher/seed0"]
    assert "stage 'teacher'" in capsys.readouterr().err


def test_keep_going_reports_what_is_available(go, fake, folder, capsys, experiment_file):
    text = experiment_file.read_text()
    experiment_file.write_text(
        f"{text}  tables:\n    title: T\n    columns: {{metric: accuracy}}\n    rows:\n"
        "      - {name: g, stage: mixed_02}\n      - {name: t, stage: teacher}\n"
    )
    fake.exit_codes = {"gan": 3}
    assert go(seeds=(0, 1), keep_going=True)[0] == 1
    assert {stage.split()[1] for stage in fake.stages} == {
        f"{stage}/seed{seed}" for stage in ("teacher", "gan", "alone") for seed in (0, 1)
    }
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 6
    assert "stage 'gan', seed 0" in errors[0]
    assert errors[1].startswith("stage 'mixed_02', seed 0 ")
    assert errors[1].endswith(" skipped: it needs gan seed 0")
    report = json.loads((folder / "report.json").read_text())
    assert [row["name"] for row in report["rows"]] == ["teacher", "labels only"]
    assert [row["name"] for row in report["tables"][0]["rows"]] == ["t"]
    assert report["sweeps"] == []
    names = "gan seed 0, mixed_02 seed 0, mixed_05 seed 0, gan seed 1, mixed_02 seed 1, mixed_05 seed 1"
    assert report["notes"][0] == f"Incomplete report: 6 runs failed or were skipped ({names})."
    fake.exit_codes = {}
    assert go(seeds=(0, 1), keep_going=True)[0] == 0
    report = json.loads((folder / "report.json").read_text())
    assert len(report["rows"]) == 3
    assert not any("Incomplete" in note for note in report["notes"])


def test_keep_going_keeps_a_stage_with_some_seeds(go, fake, folder):
    def fail_second_seed(argv):
        return 3 if "gan/seed1" in " ".join(argv) else fake(argv)

    assert go(seeds=(0, 1), keep_going=True, run_command=fail_second_seed)[0] == 1
    rows = json.loads((folder / "report.json").read_text())["rows"]
    assert [(row["name"], row["n"]) for row in rows] == [("teacher", 2), ("labels only", 2), ("real + GAN", 1)]


def test_keep_going_selects_a_stage_on_common_seeds(go, fake, folder):
    """Every seed has a higher accuracy than the one before, so the failure of its first seed would favor mixed_05."""
    fake.scores = {"mixed_02": (0.905, 0.8), "mixed_05": (0.9, 0.8)}
    failing = {"mixed_05/seed0"}

    def fail(argv):
        return 2 if any("/".join(Path(word).parts[-2:]) in failing for word in argv) else fake(argv)

    assert go(seeds=(0, 1, 2), keep_going=True, run_command=fail)[0] == 1
    row = json.loads((folder / "report.json").read_text())["rows"][2]
    assert (row["stage"], row["n"]) == ("mixed_02", 3)
    assert row["chosen_from"] == pytest.approx({"mixed_02": 0.92, "mixed_05": 0.915})
    failing |= {"mixed_02/seed1", "mixed_02/seed2"}
    shutil.rmtree(folder)
    assert go(seeds=(0, 1, 2), keep_going=True, run_command=fail)[0] == 1
    assert [row["name"] for row in json.loads((folder / "report.json").read_text())["rows"]] == [
        "teacher",
        "labels only",
    ]


def test_keep_going_without_any_result_writes_no_report(go, fake, folder):
    assert go(seeds=(0,), keep_going=True, run_command=lambda argv: 2)[0] == 2
    assert not (folder / "report.json").exists()


def test_reason_for_a_repeated_run_is_printed(go, fake, experiment_file, monkeypatch):
    go(seeds=(0,))
    monkeypatch.setattr(fingerprint, "hash_source", lambda: "another")
    (experiment_file.parent / "gan.yaml").write_text("model: {name: better}\n")
    shown = go(seeds=(0,))[1]
    assert "  teacher   seed 0  earlier result archived, changed: package source\n" in shown
    assert "  gan       seed 0  earlier result archived, changed: config, package source\n" in shown
    assert "  mixed_02  seed 0  earlier result archived, changed: config of stage 'gan', package source\n" in shown


def test_report_names_results_of_older_code(go, fake, folder, monkeypatch):
    go(seeds=(0,))
    calls = len(fake.calls)
    monkeypatch.setattr(fingerprint, "hash_source", lambda: "another")
    assert go(seeds=(0, 1), accept_older_code=True)[0] == 0
    assert len(fake.calls) == 2 * calls
    older = "teacher seed 0, gan seed 0, alone seed 0, mixed_02 seed 0, mixed_05 seed 0"
    assert json.loads((folder / "report.json").read_text())["environment"]["older_code"] == older
    for file in ("report.md", "report.html"):
        assert f"results of another version of this package: {older}" in (folder / file).read_text()


@pytest.mark.parametrize("how", ["code", "exception"])
@pytest.mark.parametrize(("code", "exception"), [(130, KeyboardInterrupt()), (143, Terminated())])
def test_interrupted_run_can_be_continued(go, fake, capsys, how, code, exception):
    if how == "code":
        fake.exit_codes = {"gan": code}
    else:
        fake.raises = {2: exception}
    assert go()[0] == code
    assert "interrupted in stage 'gan'" in capsys.readouterr().err
    fake.exit_codes = {}
    assert go()[0] == 0


def test_stage_with_exception_is_named_below_its_traceback(go, fake, capsys):
    fake.raises = {2: RuntimeError("out of memory")}
    assert go()[0] == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-2] == "RuntimeError: out of memory"
    assert "stage 'gan', seed 0" in lines[-1]


def test_success_without_result_is_a_failure(go, capsys):
    assert go(run_command=lambda argv: 0)[0] == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "stage 'teacher'" in error
    assert "result.json" in error


def test_report_json_has_the_documented_keys(go, folder):
    go(seeds=(0, 1, 2))
    report = json.loads((folder / "report.json").read_text())
    assert report["experiment"] == "tiny"
    assert report["command"] == "ganmc reproduce tiny"
    assert set(report["environment"]) == {"versions", "device", "threads", "git"}
    assert report["seconds"] == pytest.approx(15 * 12.3, abs=0.1)
    row = report["rows"][1]
    assert row["values"] == pytest.approx([0.80, 0.81, 0.82])
    assert row["ci95"] == pytest.approx(4.3027 * 0.01 / 3**0.5, rel=1e-4)
    wanted = {"name": "labels only", "metric": "accuracy", "split": "test", "paper": 0.662, "steps": 2500}
    assert wanted.items() <= row.items()
    assert (row["mean"], row["parameters"], row["flops"]) == (pytest.approx(0.81), 4810, None)
    assert report["rows"][2]["stage"] == "mixed_02"
    assert [point["x"] for point in report["sweeps"][0]["points"]] == [0.2, 0.5]
    assert report["sweeps"][0]["split"] == "test"


def test_seeds_of_values_are_in_the_json_file(go, edited, fake, folder):
    """Values are in the order of the seeds; shared stages have their own seed, failed runs none."""
    table = "report:\n  tables: {title: t, columns: {metric: accuracy}, rows: [{name: a, stage: alone}]}\n"
    edited("report:\n", table)
    edited("teacher: {config", "teacher: {shared: true, config")

    def fail(argv):
        return 2 if any(word.endswith("alone/seed7") for word in argv) else fake(argv)

    assert go(seeds=(9, 5, 7), keep_going=True, run_command=fail)[0] == 1
    report = json.loads((folder / "report.json").read_text())
    assert report["seeds"] == [5, 7, 9]
    assert [row["seeds"] for row in report["rows"]] == [[0], [5, 9], [5, 7, 9]]
    assert report["rows"][1]["values"] == pytest.approx([0.85, 0.89])
    assert report["tables"][0]["rows"][0]["seeds"] == [5, 9]


def test_single_seed_is_marked_in_all_reports(go, folder):
    go(seeds=(0,))
    row = json.loads((folder / "report.json").read_text())["rows"][0]
    assert (row["n"], row["ci95"]) == (1, None)
    for file in ("report.md", "report.html"):
        text = (folder / file).read_text()
        assert "0.8000" in text
        assert text.count("n = 1") == 1  # one note for all rows
    assert go(seeds=(0,))[1].count("n = 1") == 1


def test_markdown_links_existing_figures(go, folder):
    go()
    text = (folder / "report.md").read_text()
    shown = re.findall(r"!\[.*\]\((.*)\)", text)
    assert sorted(shown) == [
        "figures/curves_1_val_accuracy.png",
        "figures/curves_1_val_cross_entropy.png",
        "figures/samples_gan.png",
        "figures/sweep_1.png",
    ]
    for figure in shown:
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")
    assert "| labels only | 0.8050 ± 0.0635 | 0.662 (GAN-MC Table 1) | 2,500 | 4,810 |" in text


def test_curves_of_a_row_show_the_selected_stage(go, fake, experiment_file, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        figures, "plot_learning_curves", lambda curves, y_label: drawn.append(curves) or y_label.encode()
    )
    text = experiment_file.read_text()
    experiment_file.write_text(text.replace("alone, mixed_02]}", "real + GAN, mixed_02]}"))
    fake.scores = {"mixed_02": (0.80, 0.99), "mixed_05": (0.95, 0.70)}
    assert go(seeds=(0,))[0] == 0
    finals = {curve.label: curve.seeds[0][29] for curve in drawn[0]}
    assert list(finals) == ["teacher", "real + GAN", "mixed_02"]
    assert finals["real + GAN"] == pytest.approx(0.95, abs=0.03)  # mixed_05; the noise of the fake curve is 0.006
    assert finals["mixed_02"] == pytest.approx(0.80, abs=0.03)


def test_curves_of_an_unknown_row_are_an_error(go, experiment_file):
    text = experiment_file.read_text()
    experiment_file.write_text(text.replace("alone, mixed_02]}", "real + GANs]}"))
    with pytest.raises(ConfigurationError, match=r"stages: unknown stage 'real \+ GANs', did you mean 'real \+ GAN'"):
        go()


def set_columns(experiment_file, columns):
    text = experiment_file.read_text()
    experiment_file.write_text(text.replace("alone, mixed_02]}", f"alone, mixed_02], columns: [{columns}]}}"))


def test_curves_of_selected_columns(go, folder, experiment_file):
    set_columns(experiment_file, "train/loss, val/cross_entropy")
    assert go()[0] == 0
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {"curves_1_train_loss.png", "curves_1_val_cross_entropy.png", "samples_gan.png", "sweep_1.png"}


def test_column_that_no_run_recorded_is_an_error(go, experiment_file):
    set_columns(experiment_file, "train/los")
    with pytest.raises(
        ConfigurationError,
        match=r"learning_curves\[0\]\.columns: column 'train/los' not found in metrics.csv of teacher, alone, mixed_02",
    ):
        go()


class Links(HTMLParser):
    """Collect the URLs that a browser would load, and check that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.fetched, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        assert tag not in ("script", "link", "iframe")
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_well_formed_and_self_contained(go, folder):
    go()
    page = (folder / "report.html").read_text()
    links = Links()
    links.feed(page)
    assert links.open == []
    assert len(links.fetched) == 4
    assert all(link.startswith("data:image/png;base64,iVBOR") for link in links.fetched)
    assert "url(" not in page
    assert "@import" not in page
    assert "A tiny <experiment> & its report" in links.text
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page


def test_latest_sample_grid_is_shown(go, folder):
    go()
    newest = folder / "gan" / "seed0" / "samples" / "epoch_0010.png"
    assert (folder / "figures" / "samples_gan.png").read_bytes() == newest.read_bytes()


def test_quick_run_is_marked_and_keeps_the_full_run(go, fake, folder):
    go(seeds=(0,))
    calls = len(fake.calls)
    go(seeds=(0,), quick=True)
    assert any(argument == "--trainer.max_epochs=1" for argument in fake.calls[-2])
    assert json.loads((folder / "report.json").read_text())["quick"] is True
    assert "Quick run" in (folder / "report.md").read_text()
    assert "Quick run" in (folder / "report.html").read_text()
    assert len(fake.calls) == 2 * calls
    go(seeds=(0,))
    assert len(fake.calls) == 2 * calls
    assert json.loads((folder / "report.json").read_text())["quick"] is False


def test_different_environments_are_noted(go, folder):
    go()
    record = folder / "alone" / "seed0" / "run_state.json"
    content = json.loads(record.read_text())
    content["environment"]["device"] = "an abacus"
    record.write_text(json.dumps(content))
    go()
    notes = json.loads((folder / "report.json").read_text())["notes"]
    assert any("different environments (device)" in note for note in notes)


def test_ascii_terminal_gets_ascii_marks(experiment_file, tmp_path, fake):
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii"))
    out = tmp_path / "rüns"
    code = reproduce(experiment_file, out, command="x", run_command=fake, console=console, seeds=(0, 1))
    assert code == 0
    assert b"ok teacher   seed 0" in raw.getvalue()
    assert b"labels only                   0.8050 +/- 0.0635" in raw.getvalue()


def test_figures_without_values_are_omitted(go, fake, folder):
    def command(argv):
        code = fake(argv)
        for file in folder.glob("*/seed*/metrics.csv"):
            file.unlink()
        for file in folder.glob("*/seed*/samples/*.png"):
            file.unlink()
        return code

    assert go(run_command=command)[0] == 0
    assert [path.name for path in (folder / "figures").iterdir()] == ["sweep_1.png"]
