"""The Compression Score of a generator while it trains."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ganmc_lightning.batch import DescribesData
from ganmc_lightning.errors import InputError
from ganmc_lightning.metrics.compression_score import Form, compression_score
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.synthesizers.generator import GeneratorSynthesizer

SAMPLE_SEED = 0


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
        self.part = part

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute and log the score."""
        if not trainer.sanity_checking:
            pl_module.log("val/compression_score", self._score(trainer, pl_module), prog_bar=True)

    def _score(self, trainer: Trainer, pl_module: LightningModule) -> float:
        data = trainer.datamodule  # type: ignore[attr-defined]
        generator = pl_module.get_submodule(self.part)
        assert isinstance(data, DescribesData)
        assert isinstance(generator, Generator)
        real, labels = data.samples("train")
        synthesizer = GeneratorSynthesizer(generator)
        synthesizer.fit(real, labels, data.spec)
        random = torch.Generator(labels.device).manual_seed(SAMPLE_SEED)
        candidate, _ = synthesizer.sample(len(labels), random)
        score = compression_score(
            candidate,
            real,
            data.samples("val"),
            self.teacher,
            self.student,
            self.form,
            range(self.n_seeds),
            self.batch_size,
            self.learning_rate,
        )
        return score.mean.item()
