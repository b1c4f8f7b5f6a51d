"""Compression Scores of sample sets with one teacher and one kind of student."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec, SupportsDataSpec
from ganmc_lightning.metrics.base import MetricSettings
from ganmc_lightning.metrics.compression_score import (
    EPOCHS,
    NO_GAIN,
    CompressionScoreValue,
    Variant,
    compression_score,
)
from ganmc_lightning.networks.training_data import input_conversion
from ganmc_lightning.networks.validation import check_classifier

VARIANTS: tuple[Variant, ...] = ("5_epochs", "1_epoch")


class VariantScore(NamedTuple):
    """Compression Score of one variant, as columns of a table.

    Attributes:
        name: ``compression_score_<variant>``.
        values: score, standard error and accuracies by column name.
        settings: settings and sample counts.
        warnings: reasons to doubt the score.
    """

    name: str
    values: dict[str, float]
    settings: MetricSettings
    warnings: tuple[str, ...]


def adapt_teacher(name: str, teacher: nn.Module, spec: DataSpec) -> nn.Module:
    """Validate a teacher and return it with a layer that rescales rows as in its training.

    Args:
        name: argument name, for error messages.
        teacher: classifier from samples to logits.
        spec: shape, classes and statistics of the data.

    Raises:
        ConfigurationError: the teacher does not fit the data.
    """
    check_classifier(name, teacher, spec)
    return nn.Sequential(input_conversion(name, teacher, spec), teacher)


class CompressionScorer:
    """Computes Compression Scores; the students of the real samples are trained once for all sample sets.

    Args:
        data: data module of the real data, after setup.
        teacher: classifier trained on the training split, see :func:`adapt_teacher`.
        student: returns a new student.
        held_out_split: split used to train neither teacher nor generator, ``"val"`` or ``"test"``.
        seeds: random seeds, one student per set and variant each.
        batch_size: number of samples per step of a student.
        learning_rate: learning rate of a student's Adam.
        device: device of the networks (default: the device of the data).
    """

    def __init__(
        self,
        data: SupportsDataSpec,
        *,
        teacher: nn.Module,
        student: Callable[[], nn.Module],
        held_out_split: str = "test",
        seeds: Sequence[int] = (0, 1, 2),
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        device: torch.device | str | None = None,
    ) -> None:
        self.real = data.samples("train")[0].to(device)
        self.seeds = tuple(seeds)
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self._teacher = teacher
        self._student = student
        samples, labels = data.samples(held_out_split)
        self._held_out = samples.to(device), labels.to(device)
        self._real_accuracies: dict[Variant, Tensor] = {}

    def score(self, samples: Tensor, variant: Variant) -> CompressionScoreValue:
        """Train students on the samples and compare them with students of the real samples."""
        value = compression_score(
            samples.to(self.real.device),
            self.real,
            self._held_out,
            teacher=self._teacher,
            student=self._student,
            variant=variant,
            seeds=self.seeds,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            real_accuracies=self._real_accuracies.get(variant),
        )
        self._real_accuracies[variant] = value.real_accuracies
        return value

    def score_variants(self, samples: Tensor) -> Iterator[VariantScore]:
        """Yield the scores of all variants with their settings."""
        for variant in VARIANTS:
            value, name = self.score(samples, variant), f"compression_score_{variant}"
            values = {
                name: value.mean.item(),
                f"{name}_standard_error": value.standard_error.item(),
                f"{name}_accuracy": value.accuracies.mean().item(),
                f"{name}_real_accuracy": value.real_accuracies.mean().item(),
            }
            settings: MetricSettings = {
                "epochs": EPOCHS[variant],
                "seeds": ", ".join(map(str, self.seeds)),
                "batch_size": self.batch_size,
                "learning_rate": self.learning_rate,
                "n_generated": len(samples),
                "n_real": len(self.real),
                "n_held_out": len(self._held_out[1]),
            }
            yield VariantScore(name, values, settings, (NO_GAIN,) if value.mean.isnan() else ())
