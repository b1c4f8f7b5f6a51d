"""Cards of students at the end of an experiment, written by ``ganmc card``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ganmc_lightning.exceptions import INTERRUPTED, TERMINATED
from ganmc_lightning.experiments.config import Experiment
from ganmc_lightning.experiments.results import Results
from ganmc_lightning.experiments.runner import RunCommand

FOLDER = "cards"
"""Folder of the cards beside the report."""


@dataclass(frozen=True)
class CardLink:
    """Card of a student.

    Attributes:
        stage: stage of the student.
        seed: random seed of its run.
        file: path of the page relative to the report.
    """

    stage: str
    seed: int
    file: str


def write_cards(
    experiment: Experiment, results: Results, folder: Path, run_command: RunCommand
) -> tuple[list[CardLink], dict[str, int]]:
    """Write the cards of an experiment, each for the run of the first seed, with the baselines that have this seed.

    After Ctrl-C or SIGTERM, no further card is written.

    Args:
        experiment: the experiment file.
        results: stage -> results of its runs.
        folder: folder of the report.
        run_command: entry point of the command line.

    Returns:
        The cards, and stage -> exit code of each card that could not be written.
    """
    links, failed = [], {}
    for card in experiment.report.cards:
        student = results[card.stage][0]
        arguments = ["card", str(student.folder.path), "--out", str(folder / FOLDER / card.stage)]
        for stage in card.baselines:
            shared = experiment.stages[stage].shared or experiment.stages[card.stage].shared
            # A baseline of another seed would have another split of the data and another teacher.
            baseline = next((run for run in results[stage] if shared or run.seed == student.seed), None)
            arguments += [] if baseline is None else ["--baseline", str(baseline.folder.path)]
        code = run_command(arguments)
        if code == 0:
            links.append(CardLink(card.stage, student.seed, f"{FOLDER}/{card.stage}/card.html"))
            continue
        failed[card.stage] = code
        if code in (INTERRUPTED, TERMINATED):
            break
    return links, failed
