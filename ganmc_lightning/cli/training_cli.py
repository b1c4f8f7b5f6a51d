"""LightningCLI with a run folder."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger

from ganmc_lightning.cli.callbacks import InterruptHandler, PredictionWriter, ProgressBar, SaveConfig
from ganmc_lightning.cli.config_loader import limit_yaml
from ganmc_lightning.cli.imports import HELP, OPTION
from ganmc_lightning.data.datamodule import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError, one_line, user_message
from ganmc_lightning.modules.base import CompressionModule
from ganmc_lightning.networks.profiling import count_flops, count_parameters
from ganmc_lightning.runs.checkpoint_callback import RunModelCheckpoint
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO
from ganmc_lightning.runs.csv_logger import ResumableCSVLogger
from ganmc_lightning.runs.folder import RunFolder

EPILOG = f"{OPTION} MODULE: {HELP}."


class OneFileArgumentParser(LightningArgumentParser):
    """Lightning's parser, which says in addition which file it cannot use, and validates once."""

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Read a configuration file.

        Raises:
            ConfigurationError: it is no YAML, or has keys or values that do not belong.
        """
        try:
            config: Namespace = super().parse_path(path, *args, **kwargs)
        except ArgumentError as error:
            raise ConfigurationError(f"{path}: {one_line(error)}") from error
        return config

    def dump(self, namespace: Namespace, *args: Any, skip_validation: bool = True, **kwargs: Any) -> str:
        """Write down a configuration that was parsed a moment ago.

        It is not validated anew: that takes several times as long as the rest, with each network that is named in it.
        """
        text: str = super().dump(namespace, *args, skip_validation=skip_validation, **kwargs)
        return text


class RelaunchRequired(Exception):  # noqa: N818 - a request, not an error
    """Several devices are asked for in a process whose command line is another one, such as ``ganmc reproduce``.

    Lightning starts the processes of the other devices by running the command line of this one again.
    """


class TrainingCLI(LightningCLI):
    """Parses, builds and runs one of the four training commands.

    ``trainer.default_root_dir`` is the run folder: ``config.yaml``, ``checkpoints/{best,last}.ckpt``,
    ``metrics.csv`` and ``result.json`` are written there. The order of precedence is command line, configuration
    files, defaults; hyper-parameters stored in a checkpoint never override any of them.

    Args:
        arguments: command line without ``ganmc`` and ``--import``; the subcommand first.
        command: full command line, ``ganmc ...``.
        interruption: callback that records Ctrl-C and SIGTERM.
    """

    model: CompressionModule
    datamodule: GANAugmentedDataModule

    def __init__(self, arguments: list[str], command: str, interruption: InterruptHandler) -> None:
        self._arguments = arguments
        self._command = command
        limit_yaml()
        super().__init__(
            CompressionModule,
            GANAugmentedDataModule,
            save_config_callback=SaveConfig,
            trainer_defaults={
                "default_root_dir": "runs/default",
                "devices": 1,  # a GAN needs a strategy of its own on several: the configuration says so
                "num_sanity_val_steps": 0,  # shapes are checked in setup, before anything is written
                "callbacks": [interruption],
            },
            seed_everything_default=0,
            parser_class=OneFileArgumentParser,
            parser_kwargs={verb: {"exit_on_error": False, "epilog": EPILOG} for verb in self.subcommands()},
            subclass_mode_model=True,
            auto_configure_optimizers=False,
            args=arguments,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser that raises instead of printing its usage, so that an error is one line."""
        return super().init_parser(**{**kwargs, "exit_on_error": False})

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """Give this run's verb its arguments; finding those of the three others takes longer than parsing."""
        if subcommand == self._arguments[0]:
            return super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        return self.init_parser(**kwargs)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse what this object was given: LightningCLI warns wherever the process has arguments too."""
        self.config = parser.parse_args(self._arguments)

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration alone: LightningCLI lets a checkpoint override the command line here."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``checkpoint``: what the best epoch is, and how often it is looked for."""
        parser.add_lightning_class_args(RunModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "checkpoint.filename": "best",
                "checkpoint.save_last": True,
                # Saved behind the epoch's end, a run limited by max_steps would go on with other batches.
                "checkpoint.save_on_train_epoch_end": False,
                "checkpoint.enable_version_counter": False,
                "checkpoint.auto_insert_metric_name": False,
            }
        )

    @property
    def run_folder(self) -> RunFolder:
        """Output folder of the run, ``trainer.default_root_dir``."""
        return RunFolder(Path(self.config[self.subcommand].trainer.default_root_dir))

    def before_instantiate_classes(self) -> None:
        """Refuse to overwrite a run; find the checkpoint to score."""
        config = self.config[self.subcommand]
        if self.subcommand == "predict" and requests_multiple_devices(config.trainer.devices):
            raise ConfigurationError("predict runs in one process: set --trainer.devices 1")
        if requests_multiple_devices(config.trainer.devices) and shlex.join(["ganmc", *sys.argv[1:]]) != self._command:
            raise RelaunchRequired
        if config.checkpoint.save_top_k != 1:
            raise ConfigurationError("checkpoint.save_top_k must be 1: a run folder holds one best.ckpt")
        folder = self.run_folder
        config.checkpoint.dirpath = str(folder.checkpoints)
        if self.subcommand == "fit":
            resumed = None if config.ckpt_path is None else Path(config.ckpt_path).resolve().parent
            if resumed != folder.checkpoints.resolve() and folder.last_checkpoint.exists():
                raise ConfigurationError(
                    f"{folder.path} already contains a run: resume it with --ckpt_path {folder.last_checkpoint} "
                    "or choose another --trainer.default_root_dir"
                )
        elif config.ckpt_path is None:
            config.ckpt_path = str(folder.best_checkpoint)
        if self.subcommand == "predict":
            config.return_predictions = False  # they go to a file
        if config.ckpt_path is not None and not Path(config.ckpt_path).is_file():
            raise ConfigurationError(f"no checkpoint at {config.ckpt_path}: name one by --ckpt_path")

    def instantiate_classes(self) -> None:
        """Build what the configuration names.

        Raises:
            ConfigurationError: something refuses its arguments.
        """
        try:
            super().instantiate_classes()
        except (TypeError, ValueError) as error:
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            raise ConfigurationError(user_message(error) or one_line(cause)) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add the run folder's files to whatever loggers and plugins the configuration names."""
        check_writable(self.run_folder.path)
        trainer = self.config_init[self.subcommand].trainer
        given = trainer.logger
        loggers: list[Logger] = [given] if isinstance(given, Logger) else given if isinstance(given, list) else []
        callbacks = self.trainer_defaults["callbacks"]
        if trainer.enable_progress_bar is not False:
            callbacks.append(ProgressBar())
        if self.subcommand == "fit":  # the others would start metrics.csv anew
            loggers = [*loggers, ResumableCSVLogger(str(self.run_folder.path))]
        if self.subcommand == "predict":
            callbacks.append(PredictionWriter())
        plugins = trainer.plugins if isinstance(trainer.plugins, list) else [trainer.plugins]
        built = super().instantiate_trainer(
            logger=loggers,
            plugins=[plugin for plugin in plugins if plugin is not None] + [AtomicCheckpointIO()],
            **kwargs,
        )
        if self.subcommand == "predict" and built.world_size > 1:
            raise ConfigurationError("predict keeps the samples in order in one process only: set --trainer.devices 1")
        return built

    def after_fit(self) -> None:
        """Write what came out: the best validation score, and what the product costs."""
        if not self.trainer.is_global_zero:
            return
        (checkpoint,) = (c for c in self.trainer.checkpoint_callbacks if isinstance(c, RunModelCheckpoint))
        device = self.trainer.strategy.root_device
        product = self.model.get_submodule(self.model.product).to("cpu", torch.float32)  # as `example_inputs` are
        self.run_folder.update_result(
            command=self._command,
            metrics=checkpoint.best_scores,
            steps=self.model.iteration,
            train_seconds=round(self.model.seconds, 2),
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            parameters=count_parameters(product),
            flops=count_flops(product, *self.model.example_inputs(self.datamodule.spec)),
        )
        scores = "".join(f"{name} {score:.4f}, " for name, score in checkpoint.best_scores.items())
        print(f"{scores}{self.model.iteration} steps in {self.model.seconds:.0f} s: {self.run_folder.path}")

    def after_test(self) -> None:
        """Add the test scores to the result."""
        if self.trainer.is_global_zero:
            scores = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
            self.run_folder.update_result(metrics=scores)


def requests_multiple_devices(devices: int | str | list[int]) -> bool:
    """Whether ``trainer.devices`` means, or may mean, more than one."""
    if isinstance(devices, list):
        return len(devices) > 1
    return str(devices) in ("auto", "-1") or "," in str(devices) or (str(devices).isdigit() and int(devices) > 1)


def check_writable(folder: Path) -> None:
    """Say why a folder cannot be made or written to, while nothing is made yet.

    Raises:
        ConfigurationError: it, or the nearest folder above it, cannot be written to or is a file.
    """
    path = folder.absolute()
    nearest = next(parent for parent in (path, *path.parents) if os.access(parent, os.F_OK))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        reason = "is not writable" if nearest.is_dir() else "is a file"
        raise ConfigurationError(
            f"cannot write to {folder} ({nearest} {reason}): name another folder by --trainer.default_root_dir"
        )
