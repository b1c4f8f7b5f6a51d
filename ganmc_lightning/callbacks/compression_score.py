"""The Compression Score of a generator while it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from ganmc_lightning.batch import DescribesData, encode
from ganmc_lightning.errors import InputError
from ganmc_lightning.metrics.compression_score import Form, compression_score
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.fitting import check_classifier
from ganmc_lightning.synthesizers.generator import GeneratorSynthesizer

SAMPLE_SEED = 0
CHUNK = 4096


class CompressionScoreMonitor(Callback):
    """Logs ``val/compression_score``: what the generator's samples would teach a student now.

    A generator's loss says nothing of its worth and its last epoch is seldom its best; let ``checkpoint.monitor``
    name this score instead. It is computed at every validation (``trainer.check_val_every_n_epoch``), on the
    validation part and never on test samples.

    Args:
        teacher: classifier trained on the real data.
        student: makes a fresh student; the cheaper, the better.
        form: ``"poster"`` (1 epoch a student) or ``"paper"`` (5).
        n_seeds: students trained each time.
        batch_size: samples in a step of a student; small for small data, lest 5 epochs teach nothing.
        learning_rate: of a student's Adam.
        part: name of the generator in the module.

    Raises:
        InputError: ``n_seeds`` is not positive.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: Callable[[], nn.Module],
        form: Form = "poster",
        n_seeds: int = 1,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        part: str = "generator",
    ) -> None:
        if n_seeds < 1:
            raise InputError(f"CompressionScoreMonitor.n_seeds must be at least 1, got {n_seeds}")
        self.teacher = teacher
        self.student = student
        self.form: Form = form
        self.n_seeds = n_seeds
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self._real_accuracies: Tensor | None = None
        self.part = part

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Hold teacher, student and generator against the data before anything is trained.

        Raises:
            InputError: one of them does not fit, or the data module cannot hand out its samples.
        """
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, DescribesData):
            raise InputError("CompressionScoreMonitor needs a GANAugmentedDataModule: it asks it for the real samples")
        if not isinstance(pl_module.get_submodule(self.part), Generator):
            raise InputError(f"CompressionScoreMonitor.part: '{self.part}' is no generator")
        check_classifier("CompressionScoreMonitor.teacher", self.teacher, data.spec)
        with torch.random.fork_rng(devices=[]):  # its first weights are thrown away: they cost the run no numbers
            check_classifier("CompressionScoreMonitor.student", self.student(), data.spec)
        data.samples("train")  # complains of a source that never holds them all
        self._real_accuracies = None

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute and log the score, on the first process for all of them."""
        if trainer.sanity_checking:
            return
        score = self._score(trainer, pl_module) if trainer.is_global_zero else 0.0
        score = trainer.strategy.broadcast(score)
        pl_module.log("val/compression_score", score, prog_bar=True)

    def _score(self, trainer: Trainer, pl_module: LightningModule) -> float:
        data = trainer.datamodule  # type: ignore[attr-defined]
        real, labels = data.samples("train")
        synthesizer = GeneratorSynthesizer(cast(Generator, pl_module.get_submodule(self.part)))
        synthesizer.fit(real, labels, data.spec)
        random = torch.Generator(labels.device).manual_seed(SAMPLE_SEED)
        parts = [synthesizer.sample(len(part), random)[0] for part in labels.split(CHUNK)]
        score = compression_score(
            # Images as bytes, as the real ones are: a quarter of the memory.
            torch.cat([encode(part) for part in parts] if real.dtype == torch.uint8 else parts),
            real,
            data.samples("val"),
            self.teacher,
            self.student,
            self.form,
            range(self.n_seeds),
            self.batch_size,
            self.learning_rate,
            self._real_accuracies,
        )
        self._real_accuracies = score.real_accuracies  # the yardstick stays the same while the generator trains
        return score.mean.item()
