from __future__ import annotations

import math

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.results import load_results
from ganmc_lightning.experiments.runner import execute, is_complete
from ganmc_lightning.experiments.statistics import MeanCI
from ganmc_lightning.experiments.tables import has_several_seeds, make_notes, make_rows, make_tables


@pytest.fixture
def rows_of(tmp_path, fake):
    """Run an experiment file with the fake command line and return its rows and notes."""

    def make(file, seeds=(0, 1, 2), run_command=fake):
        experiment = load_experiment(file)
        runs = plan_runs(experiment, tmp_path / "runs", seeds, quick=False)
        for run in runs:
            assert is_complete(run) or not execute(run, run_command).code
        rows = make_rows(experiment, load_results(runs))
        return rows, make_notes(experiment, rows, quick=False)

    return make


def test_stage_is_selected_on_validation_not_on_test(experiment_file, rows_of, fake):
    fake.scores = {"mixed_02": (0.95, 0.70), "mixed_05": (0.94, 0.99)}
    rows, notes = rows_of(experiment_file)
    assert rows[2].stage == "mixed_02"
    assert rows[2].values == pytest.approx((0.70, 0.71, 0.72))
    assert rows[2].label == "real + GAN, chosen: mixed_02"
    choice = next(note for note in notes if "was chosen" in note)
    assert "mixed_02 was chosen on validation accuracy (mixed_02 0.9600, mixed_05 0.9500)" in choice


def test_stage_is_selected_by_the_mean_over_seeds(experiment_file, rows_of, fake):
    def command(argv):
        fake.scores = {"mixed_02": (0.9, 0.5), "mixed_05": (0.8, 0.6)}
        if "--seed_everything" in argv and argv[argv.index("--seed_everything") + 1] == "2":
            fake.scores["mixed_05"] = (1.2, 0.6)
        return fake(argv)

    # seeds 0 and 1 favor mixed_02, the mean over three seeds favors mixed_05
    rows, _ = rows_of(experiment_file, run_command=command)
    assert rows[2].stage == "mixed_05"


def test_lower_is_better_in_mode_min(edited, rows_of, fake):
    fake.scores = {"mixed_02": (0.95, 0.7), "mixed_05": (0.94, 0.9)}
    rows, _ = rows_of(edited("seeds:", "mode: min\nseeds:"))
    assert rows[2].stage == "mixed_05"


def test_diverged_candidate_is_never_selected(experiment_file, rows_of, fake):
    fake.scores = {"mixed_02": (math.nan, 0.7), "mixed_05": (0.1, 0.1)}
    rows, _ = rows_of(experiment_file)
    assert rows[2].stage == "mixed_05"


def test_diverged_run_has_a_note(experiment_file, rows_of, fake):
    fake.scores = {"alone": (0.9, math.nan)}
    rows, notes = rows_of(experiment_file)
    assert math.isnan(rows[1].mean.mean)
    assert any(note.startswith("labels only: the value of a run is not finite") for note in notes)


def test_note_on_equal_steps_within_a_group(experiment_file, rows_of, fake):
    fake.steps = {"teacher": 9}
    _, notes = rows_of(experiment_file)
    assert "Equal budgets of 2,500 optimizer steps: labels only; real + GAN." in notes


def test_note_on_unequal_steps(experiment_file, rows_of, fake):
    fake.steps = {"alone": 3000}
    _, notes = rows_of(experiment_file)
    unequal = next(note for note in notes if note.startswith("Unequal budgets"))
    assert "labels only 3,000; real + GAN 2,500" in unequal
    assert "teacher" not in unequal


def test_several_seeds_in_a_table():
    one, several = MeanCI(0.8, None, 1), MeanCI(0.9, 0.01, 3)
    assert not has_several_seeds([one, one])
    assert has_several_seeds([one, several])


def test_note_on_one_seed(experiment_file, rows_of):
    rows, notes = rows_of(experiment_file, seeds=(0,))
    assert all(row.mean.ci95 is None for row in rows)
    assert any(note.startswith("n = 1") for note in notes)
    assert not any("Student-t" in note for note in notes)


def test_stage_without_test_shows_its_validation_value(edited, rows_of, fake):
    fake.scores = {"alone": (0.91, 0.5)}
    edited("baselines: [alone, teacher]", "baselines: [teacher]")
    rows, _ = rows_of(edited("{config: [student.yaml, more.yaml]}", "{config: more.yaml, test: false}"))
    assert rows[1].split == "validation"
    assert rows[1].values[0] == 0.91


def test_missing_metric_is_an_error_and_keeps_the_runs(edited, rows_of, fake, tmp_path):
    file = edited("seeds:", "metric: auroc\nseeds:")
    with pytest.raises(ConfigurationError, match=r"no 'val/auroc' \(available: val/accuracy\)"):
        rows_of(edited("stage: teacher, paper: 0.781", "select_from: [alone, mixed_02], paper: 0.781"))
    calls = len(fake.calls)
    file.write_text(file.read_text().replace("metric: auroc\n", ""))
    rows_of(file)
    assert len(fake.calls) == calls


def test_metric_of_another_stage_in_a_table(edited, tmp_path, fake):
    """The values, the stage in the JSON and the split are those of the other stage."""
    fake.scores = {"mixed_02": (0.95, 0.70), "mixed_05": (0.94, 0.99)}
    table = (
        "report:\n  tables:\n    title: both\n    columns: [{metric: accuracy}, {metric: error}]\n    rows:\n"
        "      - {name: a, stage: mixed_02, stage_of: {error: mixed_05}}\n"
    )
    experiment = load_experiment(edited("report:\n", table))
    runs = plan_runs(experiment, tmp_path / "runs", [0], quick=False)
    for run in runs:
        assert not execute(run, fake).code
    (result,) = make_tables(experiment, load_results(runs))
    assert result.values == [{"accuracy": pytest.approx((0.70,)), "error": pytest.approx((0.01,))}]
    stages = {row["metric"]: (row["stage"], row["split"]) for row in result.as_json()["rows"]}
    assert stages == {"accuracy": ("mixed_02", "test"), "error": ("mixed_05", "test")}


def test_stage_of_must_name_a_column(edited):
    table = (
        "report:\n  tables:\n    title: both\n    columns: [{metric: accuracy}]\n    rows:\n"
        "      - {name: a, stage: mixed_02, stage_of: {error: mixed_05}}\n"
    )
    with pytest.raises(ConfigurationError, match=r"rows\[0\]\.stage_of: 'error' is not a column of the table"):
        load_experiment(edited("report:\n", table))
