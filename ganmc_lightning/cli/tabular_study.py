"""``ganmc tabular-study``: students, label sources and synthesizers on one table, one seed."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console

from ganmc_lightning.cli.imports import allow_imports, take_imports
from ganmc_lightning.cli.tabular_study_config import TabularStudyArguments, parse_study_arguments
from ganmc_lightning.exceptions import ConfigurationError, user_message
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.io.folder_lock import lock_folder
from ganmc_lightning.runs.folder import RunFolder
from ganmc_lightning.tabular.student_study import StudentStudy


def run_tabular_study(arguments: list[str], command: str) -> int:
    """Run the study, write ``result.json`` and ``config.yaml``.

    Args:
        arguments: arguments of the command line, ``tabular-study`` first.
        command: the full command line, for ``result.json``.

    Returns:
        The exit status 0.

    Raises:
        ConfigurationError: an argument, the configuration file or the data are invalid.
    """
    try:
        modules, rest = take_imports(arguments[1:])
        allow_imports(modules)
        study = parse_study_arguments(rest)
        with lock_folder(study.out, "--out"):
            _run(study, command)
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        raise ConfigurationError(message) from error
    return 0


def _run(arguments: TabularStudyArguments, command: str) -> None:
    started = time.perf_counter()
    console = Console(markup=False, emoji=False)  # a path may contain [v1] or :x:
    splits = arguments.data.load(arguments.seed)

    def log(text: str) -> None:
        console.print(f"{time.perf_counter() - started:5.0f} s  {text}", highlight=False, soft_wrap=True)

    metrics = StudentStudy(splits, arguments.study, arguments.synthesizers, arguments.seed, log).run()
    content: dict[str, Any] = {
        "command": command,
        "seed": arguments.seed,
        "data": {
            "name": arguments.data.dataset.name,
            "samples": {name: len(getattr(splits, name).X) for name in ("fit", "validation", "test")},
            "features": splits.fit.X.shape[1],
            "classes": int(splits.fit.y.max()) + 1,
        },
        "settings": {"metric": "auc"},
        "device": "cpu",
        "train_seconds": round(time.perf_counter() - started, 2),
        "metrics": metrics,
    }
    folder = RunFolder(arguments.out)
    with atomic_write(folder.config) as file:
        file.write(arguments.text)
    folder.update_result(**content)
    console.print(str(arguments.out), highlight=False, soft_wrap=True)
