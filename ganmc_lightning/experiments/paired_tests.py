"""Table and conclusion of paired tests over data sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from ganmc_lightning.experiments.comparison_config import PairedTest
from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.formatting import format_p, format_signed
from ganmc_lightning.experiments.rank_statistics import (
    SIGNIFICANCE,
    WinsTiesLosses,
    adjust_holm,
    count_wins,
    signed_rank_sum,
    signed_rank_test,
)
from ganmc_lightning.experiments.results import Results
from ganmc_lightning.experiments.statistics import MeanCI, mean_ci
from ganmc_lightning.experiments.tables import metric_name


@dataclass(frozen=True)
class PairResult:
    """Difference of two models over data sets.

    Attributes:
        name: name of the pair.
        differences: for each data set, mean and interval over seeds of the difference to the baseline.
        counts: wins, ties and losses of the first model.
        p: p-value of the signed-rank test, adjusted for the number of pairs; NaN if a difference is not finite.
    """

    name: str
    differences: Sequence[MeanCI]
    counts: WinsTiesLosses
    p: float

    @property
    def mean(self) -> float:
        """Mean difference over data sets."""
        return fmean(difference.mean for difference in self.differences)

    @property
    def beyond_interval(self) -> tuple[int, int]:
        """Numbers of data sets on which the first model is better, and worse, by more than the interval over seeds."""
        known = [(difference.mean, difference.ci95) for difference in self.differences if difference.ci95 is not None]
        return sum(mean > ci95 for mean, ci95 in known), sum(-mean > ci95 for mean, ci95 in known)

    @property
    def evidence(self) -> str:
        """Counts, mean difference and p-value as text; also the median if the mean has the other sign than the test."""
        effect = format_signed(self.mean)
        if self.direction * self.mean < 0:
            middle = median(difference.mean for difference in self.differences)
            effect = f"mean {effect}, median {format_signed(middle)}"
        return f"{'/'.join(map(str, self.counts))}, {effect}, {format_p(self.p)}"

    @property
    def direction(self) -> float:
        """Positive if the first model is significantly better, negative if it is significantly worse, else 0.

        It is the direction of the ranks that the test compares; the mean may have the other sign.
        """
        if not self.p < SIGNIFICANCE:  # also NaN
            return 0.0
        return signed_rank_sum(np.array([difference.mean for difference in self.differences]))

    def note(self, stages: Sequence[str]) -> str:
        """Return why there is no p-value, with the data sets; empty if there is one."""
        pairs = zip(stages, self.differences, strict=True)
        names = ", ".join(stage for stage, difference in pairs if not math.isfinite(difference.mean))
        return f"{self.name}: no test, because a value is not finite on {names}." if names else ""


@dataclass(frozen=True)
class PairedTestResult:
    """A paired test with its values.

    Attributes:
        spec: the test in the experiment file.
        pairs: result of each pair.
    """

    spec: PairedTest
    pairs: Sequence[PairResult]

    @property
    def conclusion(self) -> str:
        """The result of all pairs as one sentence."""
        groups: dict[str, list[str]] = {}
        for pair in self.pairs:
            verb = "have no test result for" if math.isnan(pair.p) else "do not significantly change"
            if pair.direction:
                verb = "raise" if pair.direction > 0 else "lower"
            groups.setdefault(verb, []).append(f"{pair.name} ({pair.evidence})")
        parts = [f"{verb} the {self._metric} of {', '.join(names)}" for verb, names in groups.items()]
        explanation = "in parentheses: wins/ties/losses over data sets, mean difference, p-value"
        return f"{self.spec.subject} {'; they '.join(parts)} ({explanation})."

    @property
    def _metric(self) -> str:
        return self.spec.label or self.spec.metric

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and cells as text."""
        headings = ["", "wins", "ties", "losses", "mean difference", "better, worse beyond the interval", "p"]
        rows = [
            [pair.name, *map(str, pair.counts), mean, "{}, {}".format(*pair.beyond_interval), p]
            for pair in self.pairs
            for mean, p in [(format_signed(pair.mean), format_p(pair.p).removeprefix("p = "))]
        ]
        return headings, rows

    def notes(self) -> list[str]:
        """Return the conclusion and the definition of the columns."""
        notes = [self.conclusion] if self.spec.subject else []
        notes.append(
            f"Number of data sets, of {len(self.pairs[0].differences)}, on which the mean {self._metric} over seeds is "
            f"higher, equal within {self.spec.tie:g}, and lower than the baseline's; and on which it is higher, and "
            "lower, by more than the 95 % interval over seeds. p: Wilcoxon signed-rank test over data sets, adjusted "
            "for the number of pairs by Holm's method."
        )
        return notes + [note for pair in self.pairs if (note := pair.note(self.spec.stages))]

    def as_json(self) -> dict[str, object]:
        """Return the test as plain values."""
        return {
            "title": self.spec.title,
            "metric": self.spec.metric,
            "conclusion": self.conclusion if self.spec.subject else None,
            "pairs": [
                {
                    "name": pair.name,
                    **pair.counts._asdict(),
                    "mean": pair.mean,
                    "p": pair.p,
                    "differences": {
                        stage: difference.mean
                        for stage, difference in zip(self.spec.stages, pair.differences, strict=True)
                    },
                }
                for pair in self.pairs
            ],
        }


def make_paired_tests(experiment: Experiment, results: Results) -> list[PairedTestResult]:
    """Compute all paired tests.

    Raises:
        ConfigurationError: a run lacks the metric of a model.
    """
    return [_make_test(experiment, results, spec) for spec in experiment.report.paired_tests]


def _make_test(experiment: Experiment, results: Results, spec: PairedTest) -> PairedTestResult:
    differences = [
        [
            mean_ci(
                [
                    run.value(metric_name(experiment, stage, f"{pair.model}/{spec.metric}"))
                    - run.value(metric_name(experiment, stage, f"{pair.baseline}/{spec.metric}"))
                    for run in results[stage]
                ]
            )
            for stage in spec.stages
        ]
        for pair in spec.pairs
    ]
    means = [np.array([difference.mean for difference in row]) for row in differences]
    p_values = adjust_holm([signed_rank_test(row) for row in means])
    pairs = [
        PairResult(pair.name, found, count_wins(row, spec.tie), p)
        for pair, found, row, p in zip(spec.pairs, differences, means, p_values, strict=True)
    ]
    return PairedTestResult(spec, pairs)
