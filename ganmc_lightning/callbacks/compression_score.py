"""The Compression Score of a generator while it trains."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.callbacks.generator_monitor import GeneratorMonitor, samples_of
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.compression_score import Form, compression_score
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.training_data import input_conversion
from ganmc_lightning.networks.validation import check_classifier


class CompressionScoreMonitor(GeneratorMonitor):
    """Logs ``val/compression_score``: what the generator's samples would teach a student now.

    A generator's loss says nothing of its worth and its last epoch is seldom its best; let ``checkpoint.monitor``
    name this score instead. It is computed at every validation (``trainer.check_val_every_n_epoch``), on the
    validation submodule and never on test samples.

    Args:
        teacher: classifier trained on the real data.
        student: makes a fresh student; the cheaper, the better.
        form: ``"poster"`` (1 epoch a student) or ``"paper"`` (5).
        num_students: students trained each time.
        batch_size: samples in a step of a student; small for small data, lest 5 epochs teach nothing.
        learning_rate: of a student's Adam.
        submodule: name of the generator in the module.

    Raises:
        ConfigurationError: ``num_students`` is not positive.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: Callable[[], nn.Module],
        form: Form = "poster",
        num_students: int = 1,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        submodule: str = "generator",
    ) -> None:
        if num_students < 1:
            raise ConfigurationError(f"CompressionScoreMonitor.num_students must be at least 1, got {num_students}")
        super().__init__(submodule)
        self.teacher = teacher
        self.student = student
        self.form: Form = form
        self.num_students = num_students
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self._adapted_teacher: nn.Module = teacher
        self._real_accuracies: Tensor | None = None

    def check(self, data: SupportsDataSpec) -> None:
        """Try teacher and student on two samples."""
        check_classifier("CompressionScoreMonitor.teacher", self.teacher, data.spec)
        conversion = input_conversion("CompressionScoreMonitor.teacher", self.teacher, data.spec)
        self._adapted_teacher = nn.Sequential(conversion, self.teacher)
        with torch.random.fork_rng(devices=[]):  # its first weights are thrown away: they cost the run no numbers
            check_classifier("CompressionScoreMonitor.student", self.student(), data.spec)
        self._real_accuracies = None

    def scores(self, generator: Generator, data: SupportsDataSpec) -> dict[str, float]:
        """Train students on as many samples as there are real ones."""
        score = compression_score(
            samples_of(generator, data),
            data.samples("train")[0],
            data.samples("val"),
            self._adapted_teacher,
            self.student,
            self.form,
            range(self.num_students),
            self.batch_size,
            self.learning_rate,
            self._real_accuracies,
        )
        self._real_accuracies = score.real_accuracies  # the yardstick stays the same while the generator trains
        return {"compression_score": score.mean.item()}
