"""Log the Compression Score of a generator during training."""

from __future__ import annotations

from collections.abc import Callable

from lightning.pytorch.utilities import rank_zero_warn
from torch import nn

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.callbacks.generator_monitor import SAMPLE_SEED, GeneratorMonitor
from ganmc_lightning.evaluation.compression import make_compression_scores
from ganmc_lightning.evaluation.samples import samples_of_generator
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.compression_score import CompressionScore, Variant
from ganmc_lightning.networks.base import Generator


class CompressionScoreMonitor(GeneratorMonitor):
    """Log ``val/compression_score``, the Compression Score (GAN-MC, section 5) of the generator's samples.

    GAN losses do not track sample quality; select checkpoints by this metric instead. It is computed at every
    validation (``trainer.check_val_every_n_epoch``) on the validation split. The number of generated samples equals the
    number of real training samples.

    Args:
        teacher: classifier trained on the real data.
        student: function that returns a new student; small students keep the validation short.
        variant: ``"1_epoch"`` (poster) or ``"5_epochs"`` (paper).
        num_students: number of students per validation.
        batch_size: number of samples per step of a student; use a smaller number for small data sets.
        learning_rate: learning rate of the students' Adam optimizer.
        submodule: name of the generator in the LightningModule.

    Raises:
        ConfigurationError: ``num_students`` is not positive.

    Example:
        >>> from ganmc_lightning.networks import LeNet, LeNet4
        >>> CompressionScoreMonitor(LeNet(), LeNet4, num_students=2).variant
        '1_epoch'
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: Callable[[], nn.Module],
        variant: Variant = "1_epoch",
        num_students: int = 1,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        submodule: str = "generator",
    ) -> None:
        if num_students < 1:
            raise ConfigurationError(f"CompressionScoreMonitor.num_students: got {num_students}, expected at least 1")
        super().__init__(submodule)
        self.teacher = teacher
        self.student = student
        self.variant: Variant = variant
        self.num_students = num_students
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self._metric: CompressionScore | None = None

    def validate(self, data: SupportsDataSpec) -> None:
        """Validate teacher and student on two samples."""
        scores = make_compression_scores(
            data,
            self.teacher,
            self.student,
            held_out_split="val",
            variants=(self.variant,),
            prefix="CompressionScoreMonitor.",
            seeds=range(self.num_students),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )
        (self._metric,) = scores.values()

    def compute(self, generator: Generator, data: SupportsDataSpec) -> dict[str, float]:
        """Train students on generated samples and return their Compression Score."""
        assert self._metric is not None
        samples = samples_of_generator(generator, data, origin=self.submodule)
        generated = samples.sample(len(data.samples("train")[1]), SAMPLE_SEED)
        self._metric.reset_generated()
        self._metric.update(generated.to(self._metric.device), real=False)
        score = self._metric.compute().mean.item()
        for warning in self._metric.warnings:
            rank_zero_warn(
                f"CompressionScoreMonitor: val/compression_score is {score}, because {warning}; use a smaller "
                "batch_size or variant 5_epochs"
            )
        return {"compression_score": score}
