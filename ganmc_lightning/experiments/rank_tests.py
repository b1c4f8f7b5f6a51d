"""Table and critical differences of rank tests over data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.experiments.comparison_config import RankTest
from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.formatting import format_metric, format_p
from ganmc_lightning.experiments.rank_statistics import (
    average_ranks,
    count_wins,
    critical_difference,
    friedman_test,
)
from ganmc_lightning.experiments.results import Results
from ganmc_lightning.experiments.statistics import mean_ci
from ganmc_lightning.experiments.tables import metric_name


@dataclass(frozen=True)
class RankTestResult:
    """A rank test with its values.

    Attributes:
        spec: the test in the experiment file.
        scores: mean over seeds (N, k) for each data set and model.
    """

    spec: RankTest
    scores: NDArray[np.float64]

    @property
    def ranks(self) -> dict[str, float]:
        """Mean rank of each model, best first."""
        ranks = dict(zip(self.spec.models, average_ranks(self.scores).tolist(), strict=True))
        return dict(sorted(ranks.items(), key=lambda item: item[1]))

    @property
    def complete(self) -> bool:
        """Whether all scores are finite, so that there are ranks."""
        return bool(np.isfinite(self.scores).all())

    @property
    def critical_difference(self) -> float:
        """Difference of mean ranks that is significant at the 5 % level."""
        return critical_difference(self.scores.shape[1], self.scores.shape[0])

    def groups(self) -> list[Sequence[str]]:
        """Return the largest groups of models whose mean ranks do not differ significantly."""
        return not_significant_groups(self.ranks, self.critical_difference)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and cells as text, best rank first."""
        names = list(self.spec.models)
        baseline = self.scores[:, names.index(self.spec.baseline)]
        metric = self.spec.label or self.spec.metric
        rows = []
        for name, rank in self.ranks.items():
            scores = self.scores[:, names.index(name)]
            counts = "/".join(map(str, count_wins(scores - baseline, self.spec.tie)))
            mean_rank, mean = (f"{rank:.2f}" if self.complete else "none"), format_metric(float(scores.mean()))
            rows.append([name, mean_rank, mean, "-" if name == self.spec.baseline else counts])
        return ["", "mean rank", f"mean {metric}", f"wins/ties/losses against {self.spec.baseline}"], rows

    def notes(self) -> list[str]:
        """Return the p-value of the Friedman test, the critical difference, and data sets without finite scores."""
        rows = zip(self.spec.stages, self.scores, strict=True)
        unknown = ", ".join(stage for stage, row in rows if not np.isfinite(row).all())
        notes = [f"No ranks, because a value is not finite on {unknown}."] if unknown else []
        return [
            *notes,
            f"{len(self.scores)} data sets; Friedman test: {format_p(friedman_test(self.scores))}; mean ranks that "
            f"differ by less than {self.critical_difference:.2f} do not differ significantly (Nemenyi test, 5 %). A "
            f"difference up to {self.spec.tie:g} counts as a tie.",
        ]

    def as_json(self) -> dict[str, object]:
        """Return the test as plain values."""
        return {
            "title": self.spec.title,
            "metric": self.spec.metric,
            "friedman_p": friedman_test(self.scores),
            "critical_difference": self.critical_difference,
            "ranks": self.ranks,
            "scores": {
                stage: dict(zip(self.spec.models, row, strict=True))
                for stage, row in zip(self.spec.stages, self.scores.tolist(), strict=True)
            },
        }


def not_significant_groups(ranks: dict[str, float], difference: float) -> list[Sequence[str]]:
    """Return the maximal groups of two or more models with ranks within ``difference``.

    Args:
        ranks: mean rank by name, ascending.
        difference: critical difference.

    Example:
        >>> not_significant_groups({"a": 1.0, "b": 1.5, "c": 2.2, "d": 4.0}, 1.0)
        [['a', 'b'], ['b', 'c']]
    """
    names, values = list(ranks), list(ranks.values())
    groups: list[Sequence[str]] = []
    end = 0
    for start, value in enumerate(values):
        stop = sum(rank - value < difference for rank in values[start:]) + start
        if stop > max(end, start + 1):
            groups.append(names[start:stop])
            end = stop
    return groups


def make_rank_tests(experiment: Experiment, results: Results) -> list[RankTestResult]:
    """Compute all rank tests.

    Raises:
        ConfigurationError: a run lacks the metric of a model.
    """
    tests = []
    for spec in experiment.report.rank_tests:
        names = [f"{model}/{spec.metric}" for model in spec.models.values()]
        scores = [
            [
                mean_ci([run.value(metric_name(experiment, stage, name)) for run in results[stage]]).mean
                for name in names
            ]
            for stage in spec.stages
        ]
        tests.append(RankTestResult(spec, np.array(scores)))
    return tests
