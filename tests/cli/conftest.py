"""Configurations of tiny networks, two trained runs, and the `ganmc` command in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ganmc_lightning.cli import main

COMMON = """
trainer:
  default_root_dir: {folder}
  max_epochs: 2
  accelerator: cpu
  devices: 1
  precision: 32-true
  log_every_n_steps: 2
  enable_progress_bar: false
  enable_model_summary: false
data:
  dataset: {{class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {{path: {data}/tiny.npz}}}}
  batch_size: 27
"""
TEACHER = """
checkpoint: {{monitor: val/accuracy, mode: max}}
model:
  class_path: ganmc_lightning.modules.ClassifierModule
  init_args:
    network:
      class_path: ganmc_lightning.networks.MLPClassifier
      init_args: {{in_features: 64, num_classes: 3, hidden: [16], dropout: 0.2}}
    optimizer: {{class_path: torch.optim.Adam, init_args: {{lr: 0.01}}}}
    lr_scheduler: {{class_path: torch.optim.lr_scheduler.CosineAnnealingLR, init_args: {{T_max: 2}}}}
"""
ACGAN = """
checkpoint: {{monitor: val/compression_score, mode: max}}
model:
  class_path: ganmc_lightning.modules.ACGANModule
  init_args:
    generator:
      class_path: ganmc_lightning.networks.ACGANGenerator
      init_args: {{image_size: 8, channels: 1, num_classes: 3, latent_dim: 8, width: 4}}
    discriminator:
      class_path: ganmc_lightning.networks.ACGANDiscriminator
      init_args: {{image_size: 8, channels: 1, num_classes: 3, width: 2, normalization: spectral, dropout: 0.0}}
    loss:
      class_path: ganmc_lightning.losses.ACGANLoss
      init_args:
        adversarial: ganmc_lightning.losses.HingeGANLoss
    generator_optimizer: {{class_path: torch.optim.Adam, init_args: {{lr: 0.001}}}}
"""
GAN_CALLBACKS = """
  callbacks:
    - {{class_path: ganmc_lightning.callbacks.GeneratorEMA, init_args: {{decay: 0.9}}}}
    - {{class_path: ganmc_lightning.callbacks.SampleGrid, init_args: {{columns: 4}}}}
    - class_path: ganmc_lightning.callbacks.CompressionScoreMonitor
      init_args:
        teacher:
          class_path: ganmc_lightning.networks.load_network
          init_args: {{path: {teacher}, submodule: network}}
        student:
          class_path: ganmc_lightning.networks.MLPClassifier
          init_args: {{in_features: 64, num_classes: 3, hidden: [8]}}
        batch_size: 8
        learning_rate: 0.01
"""
STUDENT = """
checkpoint: {{monitor: val/accuracy, mode: max}}
model:
  class_path: ganmc_lightning.modules.DistillationModule
  init_args:
    teacher:
      class_path: ganmc_lightning.networks.load_network
      init_args: {{path: {teacher}, submodule: network}}
    student:
      class_path: ganmc_lightning.networks.MLPClassifier
      init_args: {{in_features: 64, num_classes: 3, hidden: [8]}}
    loss: ganmc_lightning.losses.L2LogitsLoss
"""
SYNTHESIZER = """
  p_fake: 0.3
  synthesizer:
    class_path: ganmc_lightning.synthesizers.GeneratorSynthesizer
    init_args:
      generator:
        class_path: ganmc_lightning.networks.load_generator
        init_args: {{path: {generator}}}
"""


class Configs(NamedTuple):
    """Configuration files of three runs, in `runs/<name>` unless the command line overrides it."""

    teacher: Path
    acgan: Path
    student: Path


class Trained(NamedTuple):
    """Run folders of a teacher and an AC-GAN; tests must not change them."""

    teacher: Path
    acgan: Path

    @property
    def teacher_checkpoint(self) -> Path:
        return self.teacher / "checkpoints" / "best.ckpt"

    @property
    def generator_checkpoint(self) -> Path:
        return self.acgan / "checkpoints" / "best.ckpt"


def write_configs(folder: Path, runs: Path, data: Path, trained: Trained) -> Configs:
    trainer, data_section = COMMON.split("data:\n")
    data_section = "data:\n" + data_section
    texts = {
        "teacher": COMMON + TEACHER,
        "acgan": trainer + GAN_CALLBACKS.lstrip("\n") + data_section + ACGAN,
        "student": COMMON.rstrip() + SYNTHESIZER + STUDENT,
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(
            text.format(
                folder=runs / name,
                data=data,
                teacher=trained.teacher_checkpoint,
                generator=trained.generator_checkpoint,
            )
        )
    return Configs(*(folder / f"{name}.yaml" for name in texts))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Trained:
    """A teacher and an AC-GAN, trained by the command line."""
    folder = tmp_path_factory.mktemp("trained")
    runs = Trained(folder / "teacher", folder / "acgan")
    configs = write_configs(folder, folder, data_root, runs)
    for config in (configs.teacher, configs.acgan):
        assert main(["fit", "--config", str(config)]) == 0
    return runs


@pytest.fixture
def configs(tmp_path: Path, data_root: Path, trained: Trained) -> Configs:
    """Configurations that use the trained runs and write below ``tmp_path / "runs"``."""
    return write_configs(tmp_path, tmp_path / "runs", data_root, trained)


class Outcome(NamedTuple):
    """Exit code and output of a command."""

    status: int
    out: str
    err: str


Ganmc = Callable[..., Outcome]


@pytest.fixture
def ganmc(capsys: pytest.CaptureFixture[str]) -> Ganmc:
    """Run one command in this process."""

    def run(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *capsys.readouterr())

    return run
