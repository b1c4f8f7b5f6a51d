"""Layout of a run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.format_version import FORMAT_KEY, FORMAT_VERSION
from ganmc_lightning.io.structured import read_json, validate, write_json
from ganmc_lightning.runs.result import RunResult, read_run_result


@dataclass(frozen=True)
class RunFolder:
    """Paths of the files that a run writes.

    Args:
        path: path of the run folder, which does not have to exist.

    Example:
        >>> RunFolder(Path("runs/teacher")).best_checkpoint.as_posix()
        'runs/teacher/checkpoints/best.ckpt'
    """

    path: Path

    @property
    def result(self) -> Path:
        """``result.json``: metrics and costs, see :class:`~ganmc_lightning.runs.result.RunResult`."""
        return self.path / "result.json"

    @property
    def state(self) -> Path:
        """``run_state.json``: progress of a stage of an experiment."""
        return self.path / "run_state.json"

    @property
    def config(self) -> Path:
        """``config.yaml``: the resolved configuration."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """``metrics.csv``: every logged value."""
        return self.path / "metrics.csv"

    @property
    def predictions(self) -> Path:
        """``predictions.npz``: predictions on the test set."""
        return self.path / "predictions.npz"

    @property
    def prediction_table(self) -> Path:
        """``predictions.csv``: predicted classes on the test set, by name."""
        return self.path / "predictions.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def best_checkpoint(self) -> Path:
        """Checkpoint with the best value of the monitored metric."""
        return self.checkpoints / "best.ckpt"

    @property
    def last_checkpoint(self) -> Path:
        """Checkpoint to resume from."""
        return self.checkpoints / "last.ckpt"

    @property
    def parts(self) -> Path:
        """Folder of the finished parts of a stopped ``ganmc forest``; removed at its end."""
        return self.path / "parts"

    @property
    def samples(self) -> Path:
        """Folder of the images of generated samples."""
        return self.path / "samples"

    def is_finished(self) -> bool:
        """Return whether a training ended; :meth:`start_training` removes its earlier result.

        Times of files are not compared, because the clock may have been set back in between.
        """
        if not all(path.is_file() for path in (self.result, self.config, self.last_checkpoint)):
            return False
        result = self.read_result()
        return result is not None and result.steps is not None  # not only a test of an unfinished training

    def start_training(self, resumed: bool = False) -> None:
        """Remove the result of an earlier training, so that the folder is not finished until the new result.

        Args:
            resumed: whether the training continues the one in the folder; if not, its values and images are removed.
        """
        self.result.unlink(missing_ok=True)
        if not resumed:
            for path in (self.metrics, *self.samples.glob("epoch_*.png")):
                path.unlink(missing_ok=True)

    def latest_sample_grid(self) -> Path | None:
        """Return the image of the last epoch in :attr:`samples`, ``epoch_<n>.png``, or else that of a command, or None.

        Commands write ``comparison.png`` (``ganmc profile``) and ``nearest.png`` (``ganmc evaluate``).
        """
        grids = (path for path in self.samples.glob("epoch_*.png") if path.stem.removeprefix("epoch_").isdigit())
        of_commands = (path for name in ("comparison.png", "nearest.png") if (path := self.samples / name).is_file())
        return max(grids, key=lambda path: int(path.stem.removeprefix("epoch_")), default=next(of_commands, None))

    def read_result(self) -> RunResult | None:
        """Read :attr:`result`; return None if it does not exist.

        Raises:
            ConfigurationError: the file is not a JSON object, a key or value is invalid, or a newer release wrote it.
        """
        return read_run_result(self.result)

    def check_no_training(self, option: str) -> None:
        """Validate that :attr:`result` is not that of a training, which another command would replace in part.

        Args:
            option: command-line option of the folder, for the error message.

        Raises:
            ConfigurationError: the folder contains the result of a training, or the file is invalid.
        """
        result = self.read_result()
        if result is not None and result.steps is not None:
            raise ConfigurationError(
                f"{option}: {self.path} contains the result of a training, expected another folder"
            )

    def update_result(self, **fields: Any) -> None:
        """Write fields of :class:`~ganmc_lightning.runs.result.RunResult`; keep fields written before.

        ``metrics`` only replaces earlier metrics of equal splits (the names up to the first ``/``), so that ``ganmc
        test`` adds ``test/...`` to the ``val/...`` of ``ganmc fit``.

        Raises:
            ConfigurationError: a field, given or in the existing file, is invalid, or a newer release wrote the file.
        """
        content = {} if self.read_result() is None else read_json(self.result) or {}
        if "metrics" in fields:
            splits = {name.partition("/")[0] for name in fields["metrics"]}
            kept = {k: v for k, v in content.get("metrics", {}).items() if k.partition("/")[0] not in splits}
            fields["metrics"] = kept | dict(fields["metrics"])
        content = {**content, FORMAT_KEY: FORMAT_VERSION, **fields}
        validate(RunResult, content, self.result)
        write_json(self.result, content)


def check_not_moved(configs: Sequence[Path], folder: Path) -> None:
    """Validate that the ``config.yaml`` of a run names its own folder.

    Args:
        configs: configuration files of a command.
        folder: their ``trainer.default_root_dir``.

    Raises:
        ConfigurationError: the run folder was moved or copied, or the command starts in another folder.
    """
    for file in configs:
        run = RunFolder(file.parent)
        is_run = file.name == run.config.name and run.checkpoints.is_dir()
        if is_run and run.path.resolve() != folder.resolve():
            raise ConfigurationError(
                f"{file}: trainer.default_root_dir is {folder}, expected {run.path}, the folder of the file; for a run "
                f"that was moved, add --trainer.default_root_dir {run.path}"
            )
