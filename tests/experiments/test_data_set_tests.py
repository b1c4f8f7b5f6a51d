"""Paired tests and rank tests over data sets, from the experiment file to the report."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.comparison_config import ModelPair, PairedTest
from ganmc_lightning.experiments.config import load_experiment
from ganmc_lightning.experiments.paired_tests import PairedTestResult, PairResult
from ganmc_lightning.experiments.partial import drop_missing
from ganmc_lightning.experiments.planning import plan_runs
from ganmc_lightning.experiments.rank_statistics import count_wins, signed_rank_test
from ganmc_lightning.experiments.rank_tests import not_significant_groups
from ganmc_lightning.experiments.report_builder import make_report, write_report
from ganmc_lightning.experiments.results import load_results, seeds_of
from ganmc_lightning.experiments.statistics import mean_ci

DATA_SETS = [f"set{i}" for i in range(8)]
EXPERIMENT = """
experiment: tests
seeds: [0, 1, 2]
metric: best/auc
stages:
{stages}
report:
  paired_tests:
    - title: Pairs
      subject: More rows
      metric: auc
      label: AUC
      stages: &sets [{names}]
      tie: 0.001
      pairs:
        - {{name: trees, model: better, baseline: base}}
        - {{name: forests, model: same, baseline: base}}
  rank_tests:
    - title: Models
      metric: auc
      stages: *sets
      baseline: base
      models: {{base: base, better: better, same: same}}
"""


@pytest.fixture
def experiment(tmp_path):
    stages = "\n".join(f"  {name}: {{command: 'study --out {{run_dir}}'}}" for name in DATA_SETS)
    file = tmp_path / "tests.experiment.yaml"
    file.write_text(EXPERIMENT.format(stages=stages, names=", ".join(DATA_SETS)))
    return load_experiment(file)


@pytest.fixture
def results(tmp_path, experiment):
    """Results where `better` has 0.02 more than `base` on all sets but the last, and `same` differs by chance."""
    random = np.random.default_rng(0)
    runs = plan_runs(experiment, tmp_path / "runs", experiment.seeds, quick=False)
    for run in runs:
        base = 0.7 + random.normal(scale=0.01)
        last = run.stage == DATA_SETS[-1]
        metrics = {
            "test/base/auc": base,
            "test/better/auc": base + (-0.0002 if last else 0.02 + random.normal(scale=1e-4)),
            "test/same/auc": base + random.choice([-1, 1]) * random.uniform(0, 0.01),
        }
        run.folder.update_result(metrics=metrics, seed=run.seed, train_seconds=1.0)
    return load_results(runs)


def test_report_contains_counts_p_values_and_the_conclusion(tmp_path, experiment, results):
    report = make_report(experiment, results, "ganmc reproduce tests", quick=False)
    (paired,), (ranked,) = report.paired_tests, report.rank_tests
    better, same = paired.pairs
    assert better.counts == (7, 1, 0)
    assert better.beyond_interval == (7, 1)
    assert better.p < 0.05 < same.p
    assert paired.conclusion.startswith("More rows raise the AUC of trees (7/1/0, +0.0175, p = 0.0")
    assert "; they do not significantly change the AUC of forests (" in paired.conclusion
    assert next(iter(ranked.ranks)) == "better"
    write_report(report, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert paired.conclusion in text
    assert "| trees | 7 | 1 | 0 | +0.0175 | 7, 1 | 0.0" in text
    assert "![Mean ranks: Models](figures/ranks_1.png)" in text
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["paired_tests"][0]["pairs"][0]["wins"] == 7
    assert content["rank_tests"][0]["scores"].keys() == set(DATA_SETS)


def test_one_large_difference_does_not_reverse_the_conclusion():
    values = np.append(-0.01 - 1e-4 * np.arange(18), 0.4)
    pairs = (ModelPair(name="trees", model="a", baseline="b"),)
    spec = PairedTest(title="Pairs", metric="AUC", stages=("set0", "set1"), pairs=pairs, subject="More rows")
    differences = [mean_ci([value]) for value in values.tolist()]
    pair = PairResult("trees", differences, count_wins(values, spec.tie), signed_rank_test(values))
    assert pair.mean > 0
    expected = "More rows lower the AUC of trees (1/0/18, mean +0.0108, median -0.0108, p = 0.001) ("
    assert PairedTestResult(spec, [pair]).conclusion.startswith(expected)


def test_a_value_that_is_not_finite_affects_only_its_own_tests(experiment, results):
    run = results["set2"][0]
    metrics = {**run.result.metrics, "test/same/auc": math.nan}
    results["set2"][0] = replace(run, result=replace(run.result, metrics=metrics))
    report = make_report(experiment, results, "", quick=False)
    (paired,), (ranked,) = report.paired_tests, report.rank_tests
    better, same = paired.pairs
    assert better.p == signed_rank_test(np.array([difference.mean for difference in better.differences])) < 0.05
    assert math.isnan(same.p)
    assert sum(same.counts) == len(DATA_SETS) - 1
    assert "; they have no test result for the AUC of forests (" in paired.conclusion
    assert [row[4::2] for row in paired.cells()[1]][1] == ["none", "none"]
    assert paired.notes()[-1] == "forests: no test, because a value is not finite on set2."
    assert [row[1] for row in ranked.cells()[1]] == ["none"] * 3
    assert ranked.notes()[0] == "No ranks, because a value is not finite on set2."
    assert not report.figures


def test_missing_data_sets_are_left_out(experiment, results):
    available = {name: results[name] for name in DATA_SETS[:5]}
    report = make_report(drop_missing(experiment, seeds_of(available)), available, "", quick=False)
    assert report.paired_tests[0].pairs[0].counts == (5, 0, 0)
    assert "Number of data sets, of 5," in report.paired_tests[0].notes()[1]
    assert not drop_missing(experiment, {"set0": [0]}).report.rank_tests


def test_groups_of_ranks_are_maximal():
    ranks = {"a": 1.0, "b": 1.4, "c": 1.9, "d": 3.5, "e": 3.6}
    assert not_significant_groups(ranks, 1.0) == [["a", "b", "c"], ["d", "e"]]
    assert not_significant_groups(ranks, 0.05) == []
    assert not_significant_groups(ranks, 5.0) == [list(ranks)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("baseline: base\n      models", "baseline: bose\n      models", "unknown model 'bose', did you mean 'base'"),
        ("stages: &sets [set0, ", "stages: &sets [sat0, ", "unknown stage 'sat0', did you mean"),
        ("tie: 0.001", "tie: -1", "tie: got -1"),
    ],
)
def test_errors_of_the_experiment_file(tmp_path, experiment, old, new, message):
    file = tmp_path / "tests.experiment.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(ConfigurationError, match=message):
        load_experiment(file)
