"""Compression Score: quality of samples as training data of a student (GAN-MC, section 5 and poster)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.base import MetricSettings, SampleMetric
from ganmc_lightning.metrics.inputs import check_samples
from ganmc_lightning.metrics.student_training import network_logits, train_student
from ganmc_lightning.networks.normalize import fit_mean_images, has_mean_image
from ganmc_lightning.networks.validation import are_probabilities, share_tensors

Variant = Literal["5_epochs", "1_epoch"]
EPOCHS: dict[Variant, int] = {"5_epochs": 5, "1_epoch": 1}
NO_GAIN = "the accuracy of the students of the real samples is not above chance"


class CompressionScoreValue(NamedTuple):
    """A Compression Score and the accuracies from which it was computed.

    Attributes:
        mean: mean over the seeds: about 0 for samples without information about the classes, NaN if the students of the
            real data are not better than chance. It is 1 for the real data by construction, because numerator and
            denominator are then equal; score other real samples to test the scale.
        standard_error: standard error of the mean over the seeds; NaN for one seed. It includes the error of the
            denominator, as independent of the numerator's, so that the real data have an error, too.
        accuracies: held-out accuracy of the students of the generated samples, float64 (seeds,).
        real_accuracies: held-out accuracy of the students of the real samples, float64 (seeds,).
        chance: accuracy whose score is 0.
    """

    mean: Tensor
    standard_error: Tensor
    accuracies: Tensor
    real_accuracies: Tensor
    chance: float


def compression_score(
    generated: Tensor,
    real: Tensor,
    held_out: tuple[Tensor, Tensor],
    *,
    teacher: nn.Module,
    student: Callable[[], nn.Module],
    variant: Variant = "5_epochs",
    seeds: Sequence[int] = (0, 1, 2),
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    real_accuracies: Tensor | None = None,
    most_common_class: int | None = None,
) -> CompressionScoreValue:
    r"""Compression Score of generated samples (GAN-MC, section 5).

    .. math::
        \mathrm{CS}(D) = \frac{\mathrm{acc}(D) - \mathrm{acc}_0}{\mathrm{acc}(D_\mathrm{real}) - \mathrm{acc}_0}

    where :math:`\mathrm{acc}(D)` is the held-out accuracy of a student trained on :math:`D` to match the teacher's
    logits, and :math:`\mathrm{acc}_0` is the chance accuracy. The paper trains for 5 epochs and uses
    :math:`\mathrm{acc}_0 = 1 / K` for K classes; the poster trains for 1 epoch and uses the accuracy of always
    predicting the most common class of the real data. The number of steps of both students is that of 5 epochs
    (1 epoch) of the real data, for every size of D.

    Args:
        generated: D, uint8 or float images in [-1, 1] (N, C, H, W), or rows (N, D).
        real: training samples of the teacher, of the same kind.
        held_out: real samples and int64 labels (M,) used to train neither teacher nor generator.
        teacher: classifier from samples to logits.
        student: function that returns a new student; called once per seed and set. Mean images of its layers
            (:class:`~ganmc_lightning.networks.SubtractMeanImage`) are computed from the real samples.
        variant: ``"5_epochs"`` (paper) or ``"1_epoch"`` (poster).
        seeds: random seeds of initial weights and sample order, one student per seed.
        batch_size: number of samples per step.
        learning_rate: learning rate of the students' Adam optimizer.
        real_accuracies: accuracies from an earlier call with equal real samples and settings, instead of training the
            students of the real samples again.
        most_common_class: most common class of the real samples, for the poster's :math:`\mathrm{acc}_0` (default: that
            of the held-out labels).

    Raises:
        ConfigurationError: a set is empty, samples are out of range or not finite, the teacher returns probabilities,
            the student cannot normalize a batch of ``batch_size``, or ``student`` returns one network twice.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> real = torch.randn(200, 2)
        >>> teacher = nn.Linear(2, 2)
        >>> _ = teacher.load_state_dict({"weight": torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), "bias": torch.zeros(2)})
        >>> held_out = (real, teacher(real).argmax(dim=1))
        >>> student = lambda: nn.Linear(2, 2)
        >>> settings = {"teacher": teacher, "student": student, "batch_size": 10, "learning_rate": 0.1}
        >>> score = compression_score(torch.randn(200, 2), real, held_out, **settings)
        >>> round(score.mean.item(), 1)  # samples from the distribution of the real ones
        1.0
    """
    for name, samples in (("generated", generated), ("real", real), ("held-out", held_out[0])):
        if len(samples) == 0:
            raise ConfigurationError(f"compression_score: got 0 {name} samples, expected at least 1")
        check_samples(samples)
    teacher = teacher.eval().to(real.device)
    logits = network_logits(teacher, real[:2])
    if are_probabilities(logits):
        raise ConfigurationError(
            "teacher: got probabilities (each row sums to 1), expected logits: remove the softmax layer"
        )
    chance = 1 / logits.shape[1]
    if variant == "1_epoch":
        common = held_out[1].bincount().argmax() if most_common_class is None else most_common_class
        chance = (held_out[1] == common).double().mean().item()
    steps = EPOCHS[variant] * -(-len(real) // batch_size)

    first: nn.Module | None = None

    def make_student() -> nn.Module:
        nonlocal first
        network = student()
        if first is not None and share_tensors(first, network):
            raise ConfigurationError("student: got one network twice, expected a new network of each call")
        first = network if first is None else first
        if has_mean_image(network):
            fit_mean_images(network, check_samples(real).cpu())
        return network

    settings: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate}

    def accuracies_of(inputs: Tensor) -> Tensor:
        targets = network_logits(teacher, inputs)
        runs = []
        for seed in seeds:
            network = train_student(make_student, inputs, targets, **settings, seed=seed)
            runs.append((network_logits(network, held_out[0]).argmax(dim=1) == held_out[1]).double().mean())
        return torch.stack(runs)

    accuracies = accuracies_of(generated)
    if real_accuracies is None:
        real_accuracies = accuracies_of(real)
    gain = real_accuracies.mean() - chance
    gain = gain.where(gain > 0, torch.nan)
    mean = (accuracies.mean() - chance) / gain
    return CompressionScoreValue(
        mean, _standard_error(mean, accuracies, real_accuracies) / gain, accuracies, real_accuracies, chance
    )


def _standard_error(ratio: Tensor, numerators: Tensor, denominators: Tensor) -> Tensor:
    """Return the standard error of a ratio of two means times the denominator (delta method); NaN for one value."""
    if min(len(numerators), len(denominators)) < 2:
        return ratio.new_tensor(torch.nan)
    return (numerators.var() / len(numerators) + ratio.square() * denominators.var() / len(denominators)).sqrt()


class CompressionScore(SampleMetric):
    """Compression Score of samples added batch by batch; higher is better. See :func:`compression_score`.

    ``compute()`` trains ``2 * len(seeds)`` students for 1 or 5 epochs of the real samples. In distributed runs it uses
    the samples of all ranks.

    As input to ``update`` the metric accepts

    - ``images``: uint8 or float images in [-1, 1] (N, C, H, W), or rows (N, D)
    - ``real``: bool, whether the samples are real

    As output of ``compute`` the metric returns a :class:`CompressionScoreValue`.

    Args:
        teacher: classifier from samples to logits, trained on the real data; it is not part of the metric's state.
        student: function that returns a new student.
        held_out: real samples and int64 labels (M,) used to train neither teacher nor generator.
        variant: ``"5_epochs"`` (paper) or ``"1_epoch"`` (poster).
        seeds: random seeds, one student per seed.
        batch_size: number of samples per step of a student.
        learning_rate: learning rate of the students' Adam optimizer.
        most_common_class: most common class of the real samples (default: that of the held-out labels).

    Raises:
        ConfigurationError: as :func:`compression_score`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> teacher = nn.Linear(2, 2)
        >>> _ = teacher.load_state_dict({"weight": torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), "bias": torch.zeros(2)})
        >>> real = torch.randn(200, 2)
        >>> held_out = (real, teacher(real).argmax(dim=1))
        >>> metric = CompressionScore(teacher, lambda: nn.Linear(2, 2), held_out, batch_size=10, learning_rate=0.1)
        >>> metric.update(real, real=True)
        >>> metric.update(torch.randn(200, 2), real=False)
        >>> round(metric.compute().mean.item(), 1)
        1.0
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    real_states: ClassVar[tuple[str, ...]] = ("real", "_real_accuracies")

    real: list[Tensor]
    generated: list[Tensor]

    def __init__(
        self,
        teacher: nn.Module,
        student: Callable[[], nn.Module],
        held_out: tuple[Tensor, Tensor],
        variant: Variant = "5_epochs",
        seeds: Sequence[int] = (0, 1, 2),
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        most_common_class: int | None = None,
        **kwargs: Any,
    ) -> None:
        images = held_out[0].ndim == 4
        row = torch.zeros(0, *held_out[0].shape[1:], dtype=torch.uint8 if images else torch.float32)
        super().__init__({"real": row, "generated": row}, **kwargs)
        self._networks = (teacher, student)  # a tuple, so that the teacher is not registered as a submodule
        self.variant: Variant = variant
        self.held_out, self.seeds = held_out, tuple(seeds)
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.most_common_class = most_common_class
        self._real_accuracies: Tensor | None = None

    def update(self, images: Tensor, real: bool) -> None:
        """Add real or generated samples: uint8 or float images in [-1, 1] (N, C, H, W), or rows (N, D)."""
        samples = check_samples(images)
        if real:
            self._real_accuracies = None
        # images are stored as uint8 to save memory
        (self.real if real else self.generated).append(samples if samples.ndim == 4 else samples.float())

    def reset(self) -> None:
        """Remove all samples."""
        super().reset()
        self._real_accuracies = None

    def num_generated(self, default: int) -> int:
        """Return the number of real samples."""
        return len(self.cat_state("real"))

    def compute_columns(self, name: str) -> dict[str, float]:
        """Compute the score and return score, standard error and mean accuracies as columns of a table."""
        value = self.compute()
        return {
            name: value.mean.item(),
            f"{name}_standard_error": value.standard_error.item(),
            f"{name}_accuracy": value.accuracies.mean().item(),
            f"{name}_real_accuracy": value.real_accuracies.mean().item(),
        }

    def compute(self) -> CompressionScoreValue:
        """Return mean and standard error over the seeds, and the accuracies."""
        real, generated = self.cat_state("real"), self.cat_state("generated")
        self.counts = {"real": len(real), "generated": len(generated), "held_out": len(self.held_out[1])}
        samples, labels = self.held_out
        value = compression_score(
            generated,
            real,
            (samples.to(real.device), labels.to(real.device)),
            teacher=self._networks[0],
            student=self._networks[1],
            variant=self.variant,
            seeds=self.seeds,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            real_accuracies=self._real_accuracies,
            most_common_class=self.most_common_class,
        )
        self._real_accuracies = value.real_accuracies
        self.warnings = (NO_GAIN,) if value.mean.isnan() else ()
        return value

    def settings(self) -> MetricSettings:
        """Return the settings, the variant and the training settings of the students."""
        return {
            **super().settings(),
            "variant": self.variant,
            "epochs": EPOCHS[self.variant],
            "seeds": ", ".join(map(str, self.seeds)),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
        }
