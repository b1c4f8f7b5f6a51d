"""Results of the runs of an experiment, grouped by stage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.planning import PlannedRun
from ganmc_lightning.experiments.run_state import read_run_state
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.runs.result import RunResult


@dataclass(frozen=True)
class StageResult:
    """Result of one stage for one seed.

    Attributes:
        stage: name of the stage.
        seed: random seed of the run.
        folder: the run folder.
        result: content of ``result.json``.
        environment: versions and device of the run, if recorded.
        older_code: whether another version of this package computed the result.
    """

    stage: str
    seed: int
    folder: RunFolder
    result: RunResult
    environment: Environment | None = None
    older_code: bool = False

    def value(self, name: str) -> float:
        """Return a metric by its full name, such as ``test/accuracy``.

        If they are not recorded, ``<split>/error`` is 1 - ``<split>/accuracy``, and ``<split>/parameters`` and
        ``<split>/flops`` are those of the trained network.

        Raises:
            ConfigurationError: the metric does not exist.
        """
        found = self._find(name)
        if found is None:
            split = name.partition("/")[0]
            available = sorted(key for key in self.result.metrics if key.startswith(f"{split}/"))
            raise self._missing(f"'{name}'", available)
        return found

    def has(self, name: str) -> bool:
        """Return whether :meth:`value` finds a metric."""
        return self._find(name) is not None

    def curve(self, name: str) -> Mapping[int, float]:
        """Return a curve of ``result.json``, as value by count.

        Raises:
            ConfigurationError: the curve does not exist.
        """
        if name not in self.result.curves:
            raise self._missing(f"curve '{name}'", sorted(self.result.curves))
        return self.result.curves[name]

    def _find(self, name: str) -> float | None:
        metrics = self.result.metrics
        split, _, metric = name.partition("/")
        if name in metrics:
            return metrics[name]
        if metric == "error" and f"{split}/accuracy" in metrics:
            return 1 - metrics[f"{split}/accuracy"]
        return {"parameters": self.result.parameters, "flops": self.result.flops}.get(metric)

    def _missing(self, what: str, available: Sequence[str]) -> ConfigurationError:
        return ConfigurationError(f"{self.folder.result}: no {what} (available: {', '.join(available) or 'none'})")


Results = dict[str, list[StageResult]]
"""Stage -> results, one per seed, by ascending seed."""


def seeds_of(results: Results) -> dict[str, list[int]]:
    """Return stage -> seeds of its results."""
    return {stage: [run.seed for run in runs] for stage, runs in results.items()}


def common_seeds(experiment: Experiment, stages: Iterable[str], seeds: Mapping[str, Iterable[int]]) -> set[int]:
    """Return the seeds with a result of all stages; a shared stage has a result for every seed.

    Args:
        experiment: the experiment.
        stages: the stages.
        seeds: stage -> seeds of its results.
    """
    own = [set(seeds[name]) for name in stages if not experiment.stages[name].shared]
    return set.intersection(*own) if own else set(experiment.seeds)


def load_results(runs: Sequence[PlannedRun]) -> Results:
    """Read the results of finished runs, in the order of their seeds.

    Raises:
        ConfigurationError: a result is missing or invalid.
    """
    results: Results = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.seed):
        result, state = read_result(run), read_run_state(run.folder.state)
        environment = None if state is None else state.environment
        older_code = state is not None and state.fingerprint.source != run.fingerprint.source
        results[run.stage].append(StageResult(run.stage, run.seed, run.folder, result, environment, older_code))
    return dict(results)


def read_result(run: PlannedRun) -> RunResult:
    """Read the result of one run.

    Raises:
        ConfigurationError: the result is missing or invalid.
    """
    result = run.folder.read_result()
    if result is None:
        raise ConfigurationError(
            f"{run.folder.result}: not found; run the same command to resume this stage from its last checkpoint"
        )
    return result
