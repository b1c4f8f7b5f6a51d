"""LightningCLI that writes into a run folder."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from lightning.pytorch.utilities import rank_zero_only

from ganmc_lightning.cli.acceleration import Acceleration
from ganmc_lightning.cli.callbacks import InterruptHandler, PrecisionPrinter, PredictionWriter, SaveConfig
from ganmc_lightning.cli.config_loader import limit_yaml
from ganmc_lightning.cli.disabled_profiler import DisabledProfiler
from ganmc_lightning.cli.imports import HELP, OPTION
from ganmc_lightning.cli.precision import AutoPrecisionTrainer, precision_of_run
from ganmc_lightning.cli.progress_bar import NetworkSummary, ProgressBar
from ganmc_lightning.cli.seed import check_seed
from ganmc_lightning.cli.training_parser import TrainingArgumentParser
from ganmc_lightning.data.datamodule import GANAugmentedDataModule
from ganmc_lightning.exceptions import (
    ConfigurationError,
    ResourceError,
    one_line,
    resource_message,
    root_cause,
    user_message,
)
from ganmc_lightning.io.folder_lock import lock_folder
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.networks.profiling import device_name
from ganmc_lightning.runs.checkpoint_callback import RunModelCheckpoint
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO
from ganmc_lightning.runs.csv_logger import ResumableCSVLogger
from ganmc_lightning.runs.folder import RunFolder, check_not_moved
from ganmc_lightning.runs.precision import resolve_precision

EPILOG = f"{OPTION} MODULE: {HELP}."
INITIAL = "initial"
"""Value of ``--ckpt_path`` for the weights that the networks of the configuration have when they are built."""


class RelaunchRequired(Exception):  # noqa: N818 - a request, not an error
    """Signal that several devices are requested in a process with another command line, such as ``ganmc reproduce``.

    Lightning starts one process per device by rerunning the command line of the current process.
    """


class FinishedRun(Exception):  # noqa: N818 - not an error
    """Signal that the run folder contains the requested run, finished."""


class TrainingCLI(LightningCLI):
    """Parse, build and run one of the four training commands.

    ``trainer.default_root_dir`` is the run folder, see :class:`~ganmc_lightning.runs.folder.RunFolder`. The order of
    precedence is command line, configuration files, defaults; hyperparameters in a checkpoint are ignored.

    Args:
        arguments: command line without ``ganmc`` and ``--import``; the subcommand first.
        command: full command line, ``ganmc ...``.
        handler: callback that records Ctrl-C and SIGTERM.
        locks: receives the lock of the run folder.
    """

    model: CompressionModule
    datamodule: GANAugmentedDataModule

    def __init__(self, arguments: list[str], command: str, handler: InterruptHandler, locks: ExitStack) -> None:
        self._arguments = arguments
        self._command = command
        self._locks = locks
        self._ckpt_path: str | None = None
        limit_yaml()
        super().__init__(
            CompressionModule,
            GANAugmentedDataModule,
            save_config_callback=SaveConfig,
            trainer_class=AutoPrecisionTrainer,
            trainer_defaults={
                "default_root_dir": "runs/default",
                "devices": 1,  # a GAN on several devices requires a strategy in the configuration
                "num_sanity_val_steps": 0,  # shapes are validated in setup, before any file is written
                "callbacks": [handler],
            },
            seed_everything_default=0,
            parser_class=TrainingArgumentParser,
            parser_kwargs={arguments[0]: {"exit_on_error": False, "epilog": EPILOG}},
            subclass_mode_model=True,
            auto_configure_optimizers=False,
            args=arguments,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning's is static
        """Return only the requested subcommand, because adding the arguments of all four takes longer than parsing."""
        return {self._arguments[0]: LightningCLI.subcommands()[self._arguments[0]]}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Return a parser that raises exceptions instead of printing its usage, so that an error is one line."""
        return super().init_parser(**{**kwargs, "exit_on_error": False})

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the arguments of this object; LightningCLI would warn about arguments of the process."""
        self.config = parser.parse_args(self._arguments)
        # Removed until before_instantiate_classes, because LightningCLI lets the checkpoint override the command line.
        config = self.config[self.config.subcommand]
        if not isinstance(config.seed_everything, bool):  # True draws a seed
            check_seed(config.seed_everything, "seed_everything")
        self._ckpt_path, config.ckpt_path = config.ckpt_path, None

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``checkpoint`` (metric of ``best.ckpt``, intervals between checkpoints) and ``acceleration``."""
        parser.add_lightning_class_args(RunModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(Acceleration, "acceleration")

    @property
    def run_folder(self) -> RunFolder:
        """Output folder of the run, ``trainer.default_root_dir``."""
        return RunFolder(Path(self.config[self.subcommand].trainer.default_root_dir))

    def before_instantiate_classes(self) -> None:
        """Validate devices and lock the run folder; choose the checkpoint to load.

        Raises:
            ConfigurationError: another process uses the run folder, it contains another run, or the checkpoint does
                not exist.
            FinishedRun: the run folder contains the same run, finished.
        """
        config, folder = self.config[self.subcommand], self.run_folder
        config.ckpt_path = self._ckpt_path
        config.checkpoint.dirpath = str(folder.checkpoints)
        if config.trainer.benchmark is None and not config.trainer.deterministic:
            config.trainer.benchmark = True  # of convolution algorithms on CUDA; the sizes of batches are constant
        if requests_multiple_devices(config.trainer.devices):
            if self.subcommand == "predict":
                raise ConfigurationError(f"trainer.devices: got {config.trainer.devices}, expected 1 for predict")
            if shlex.join(["ganmc", *sys.argv[1:]]) != self._command:
                raise RelaunchRequired
        first = getattr(rank_zero_only, "rank", 0) == 0  # the other processes write no files
        given = any(each.startswith("--trainer.default_root_dir") for each in self._arguments)
        if self.subcommand != "fit" and not given:
            check_not_moved([Path(str(file)) for file in config.config or ()], folder.path)
        if self.subcommand != "validate" and first:
            self._locks.enter_context(lock_folder(folder.path, "trainer.default_root_dir"))
        if self.subcommand != "fit" and config.ckpt_path in (None, INITIAL):
            config.ckpt_path = None if config.ckpt_path == INITIAL else str(folder.best_checkpoint)
        if self.subcommand == "predict":
            config.return_predictions = False  # PredictionWriter collects them
        if config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
            raise ConfigurationError(f"{config.ckpt_path}: checkpoint not found; set --ckpt_path")
        if config.trainer.precision == "auto" and config.ckpt_path is not None:
            config.trainer.precision = precision_of_run(Path(config.ckpt_path))
        if self.subcommand == "fit":
            self._check_run_folder()

    def _check_run_folder(self) -> None:
        """Validate that the run folder contains no other run; resume an interrupted run with the same configuration.

        Raises:
            ConfigurationError: it contains a run with another configuration.
            FinishedRun: it contains a finished run with the same configuration.
        """
        config, folder = self.config[self.subcommand], self.run_folder
        resumed = None if config.ckpt_path is None else Path(config.ckpt_path).resolve().parent
        if resumed == folder.checkpoints.resolve() or not folder.last_checkpoint.exists():
            return
        if config.ckpt_path is None and folder.config.is_file():
            if config.trainer.precision == "auto":
                config.trainer.precision = precision_of_run(folder.last_checkpoint)
            text = self._parser(self.subcommand).dump(config, skip_none=False)
            if text == folder.config.read_text(encoding="utf-8"):
                if folder.is_finished():
                    raise FinishedRun(f"{folder.path}: already finished; to repeat it, remove the folder")
                config.ckpt_path = str(folder.last_checkpoint)
                return
        raise ConfigurationError(
            f"{folder.path} already contains a run: resume it with --ckpt_path {folder.last_checkpoint}, or "
            "choose another --trainer.default_root_dir"
        )

    def instantiate_classes(self) -> None:
        """Build the objects of the configuration.

        Raises:
            ConfigurationError: a constructor rejects its arguments.
            ResourceError: a network does not fit into memory.
        """
        try:
            super().instantiate_classes()
        except (TypeError, ValueError) as error:
            if (message := resource_message(error)) is not None:
                raise ResourceError(message) from error
            raise ConfigurationError(user_message(error) or one_line(root_cause(error))) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Create the trainer with the configured callbacks and loggers, and those that write the run folder."""
        trainer = self.config_init[self.subcommand].trainer
        if trainer.precision == "auto":
            trainer.precision = resolve_precision(trainer.accelerator, self.model)
            self.config[self.subcommand].trainer.precision = trainer.precision  # for config.yaml
        given = trainer.logger
        loggers: list[Logger] = [given] if isinstance(given, Logger) else given if isinstance(given, list) else []
        callbacks = self.trainer_defaults["callbacks"]
        callbacks.append(PrecisionPrinter())
        if trainer.enable_progress_bar is not False:
            callbacks.append(ProgressBar())
        if trainer.enable_model_summary is not False:
            callbacks.append(NetworkSummary())
        if self.subcommand == "fit":  # the other commands would overwrite metrics.csv
            loggers = [*loggers, ResumableCSVLogger(str(self.run_folder.path))]
        if self.subcommand == "predict":
            callbacks.append(PredictionWriter())
        plugins = trainer.plugins if isinstance(trainer.plugins, list) else [trainer.plugins]
        built = super().instantiate_trainer(
            logger=loggers,
            plugins=[plugin for plugin in plugins if plugin is not None] + [AtomicCheckpointIO()],
            profiler=trainer.profiler or DisabledProfiler(),
            **kwargs,
        )
        if self.subcommand == "predict" and built.world_size > 1:
            raise ConfigurationError(f"trainer: got {built.world_size} processes, expected 1 for predict")
        if isinstance(built.strategy.launcher, _MultiProcessingLauncher):  # results stay in the forked processes
            raise ConfigurationError(
                f"trainer.strategy: got {trainer.strategy}, expected ddp: forked processes lose results"
            )
        return built

    def after_fit(self) -> None:
        """Write ``result.json``: best validation metrics, training time, parameters and FLOPs."""
        if not self.trainer.is_global_zero:
            return
        (checkpoint,) = (c for c in self.trainer.checkpoint_callbacks if isinstance(c, RunModelCheckpoint))
        self._write_result(
            metrics=checkpoint.best_scores,
            steps=self.model.iteration,
            train_seconds=round(self.model.train_seconds, 2),
        )
        scores = "".join(f"{name} {score:.4f}, " for name, score in checkpoint.best_scores.items())
        print(f"{scores}{self.model.iteration} steps in {self.model.train_seconds:.0f} s: {self.run_folder.path}")

    def after_test(self) -> None:
        """Add the test metrics to ``result.json``; without a checkpoint, also parameters and FLOPs.

        Metrics of a part of the data do not replace those of a training run, nor do those of other weights than its
        ``best.ckpt``.
        """
        if not self.trainer.is_global_zero:
            return
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        # A limit in the configuration is also that of the training run.
        limited = any(each.startswith("--trainer.limit_test_batches") for each in self._arguments)
        if self._is_other_checkpoint():
            print(f"{self.run_folder.result}: not changed, because it describes {self.run_folder.best_checkpoint}")
        elif self._ckpt_path == INITIAL:
            self._write_result(metrics=metrics)
        elif limited or self.config[self.subcommand].trainer.fast_dev_run:
            print(f"{self.run_folder.result}: not changed, because only a part of the data was tested")
        else:
            self.run_folder.update_result(metrics=metrics)

    def _is_other_checkpoint(self) -> bool:
        """Return whether the run folder is that of a training, and other weights than its best were tested."""
        result = self.run_folder.read_result()
        if result is None or result.steps is None or self._ckpt_path is None:
            return False
        best = self.run_folder.best_checkpoint.resolve()
        return self._ckpt_path == INITIAL or Path(self._ckpt_path).resolve() != best

    def _write_result(self, **fields: Any) -> None:
        """Write fields of ``result.json``, with command, device, precision, parameters and FLOPs."""
        device = self.trainer.strategy.root_device
        self.run_folder.update_result(
            **fields,
            command=self._command,
            device=device_name(device),
            precision=self.trainer.precision,
            **self.model.count_operations(),
        )


def requests_multiple_devices(devices: int | str | list[int]) -> bool:
    """Return whether a value of ``trainer.devices`` may select more than one device."""
    if isinstance(devices, list):
        return len(devices) > 1
    return str(devices) in ("auto", "-1") or "," in str(devices) or (str(devices).isdigit() and int(devices) > 1)
