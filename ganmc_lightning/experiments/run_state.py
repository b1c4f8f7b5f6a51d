"""``run_state.json``: status of the run of a stage, and fingerprint with which it was started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ganmc_lightning.experiments.environment import Environment
from ganmc_lightning.experiments.fingerprint import Fingerprint
from ganmc_lightning.io.format_version import check_format_version
from ganmc_lightning.io.structured import read_json

STARTED, FITTED, FINISHED = "started", "fitted", "finished"


@dataclass(frozen=True)
class RunState:
    """Status of a run: the content of ``run_state.json`` in its folder.

    Attributes:
        fingerprint: fingerprint with which the run was started.
        status: ``started``, ``fitted`` (trained, not tested) or ``finished``.
        environment: versions and device of a finished run.
    """

    fingerprint: Fingerprint
    status: str
    environment: Environment | None = None


def read_run_state(file: Path) -> RunState | None:
    """Read ``run_state.json``; return None if it is missing or invalid.

    Raises:
        ConfigurationError: a newer release wrote the file.
    """
    content = read_json(file)
    check_format_version(content or {}, file)
    try:
        return TypeAdapter(RunState).validate_python(content)
    except ValidationError:
        return None
