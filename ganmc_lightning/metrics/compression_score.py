"""The Compression Score of GAN-MC: judge samples by the student they teach (section 5 and poster)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import decode
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.distillation import l2_logits_loss
from ganmc_lightning.metrics.inputs import check_samples
from ganmc_lightning.metrics.reported import GenerativeMetric, Protocol
from ganmc_lightning.networks.batchnorm import refuse_single_values
from ganmc_lightning.networks.validation import are_probabilities

Form = Literal["paper", "poster"]
EPOCHS = {"paper": 5, "poster": 1}
FORWARD_BATCH = 1000


class CompressionScoreValue(NamedTuple):
    """A Compression Score with what it was computed from.

    Attributes:
        mean: mean score over the seeds; 1 for the real data themselves, about 0 for samples that teach nothing;
            nan where the real data teach nothing either.
        standard_error: standard error of the mean over the seeds; nan for one seed.
        accuracies: accuracy on the held-out samples of each student trained on the candidate samples.
        real_accuracies: the same for students trained on the real samples.
        chance: accuracy that counts as 0.
    """

    mean: Tensor
    standard_error: Tensor
    accuracies: Tensor
    real_accuracies: Tensor
    chance: float


def compression_score(
    candidate: Tensor,
    real: Tensor,
    held_out: tuple[Tensor, Tensor],
    teacher: nn.Module,
    student: Callable[[], nn.Module],
    form: Form = "paper",
    seeds: Sequence[int] = (0, 1, 2),
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    real_accuracies: Tensor | None = None,
) -> CompressionScoreValue:
    """``(acc(D) - acc_0) / (acc(D_real) - acc_0)`` (GAN-MC, section 5).

    acc(D) is the held-out accuracy of a student trained on D to match the teacher's logits. The *paper* trains
    for 5 epochs and takes ``acc_0 = 1 / n_class``; the *poster* trains for 1 epoch and takes the accuracy of
    always answering the most common class. Both students take the same number of steps, epochs times the
    size of the real set, however many candidate samples there are.

    Args:
        candidate: D, samples to judge: images (N, C, H, W), uint8 or float in [-1, 1], or rows (N, D).
        real: D_real, what the teacher was trained on; the same kinds.
        held_out: real samples and labels int64 (M,) that neither teacher nor generator was trained on.
        teacher: classifier from samples to logits.
        student: makes a fresh student; called once a seed and set.
        form: ``"paper"`` or ``"poster"``.
        seeds: one run each; they set the student's first weights and the order of its samples.
        batch_size: samples in a step.
        learning_rate: of Adam.
        real_accuracies: those of an earlier call with the same real set and settings; without them the
            students of the real set are trained as well.

    Returns:
        The score and what it rests on.

    Raises:
        ConfigurationError: a set is empty, samples are out of range or not finite, the teacher returns probabilities,
            or the student cannot normalize a batch of ``batch_size``.
    """
    if min(len(candidate), len(real), len(held_out[1])) == 0:
        raise ConfigurationError("the candidate, real and held-out sets must not be empty")
    for samples in (candidate, real, held_out[0]):
        check_samples(samples)
    teacher = teacher.eval().to(real.device)
    logits = _logits(teacher, real[:2])
    if are_probabilities(logits):
        raise ConfigurationError("teacher returns probabilities (each row sums to 1): remove the softmax at its end")
    num_classes = logits.shape[1]
    chance = 1 / num_classes
    if form == "poster":
        chance = held_out[1].bincount().max().item() / len(held_out[1])
    steps = EPOCHS[form] * -(-len(real) // batch_size)

    def accuracies_of(inputs: Tensor) -> Tensor:
        targets = _logits(teacher, inputs)
        runs = []
        for seed in seeds:
            network = _train_student(student, inputs, targets, steps, batch_size, learning_rate, seed)
            runs.append((_logits(network, held_out[0]).argmax(dim=1) == held_out[1]).double().mean())
        return torch.stack(runs)

    accuracies = accuracies_of(candidate)
    if real_accuracies is None:
        real_accuracies = accuracies_of(real)
    gain = real_accuracies.mean() - chance
    scores = (accuracies - chance) / gain.where(gain > 0, torch.nan)
    error = scores.std() / len(scores) ** 0.5 if len(scores) > 1 else scores.new_tensor(torch.nan)
    return CompressionScoreValue(scores.mean(), error, accuracies, real_accuracies, chance)


def _train_student(
    student: Callable[[], nn.Module],
    inputs: Tensor,
    targets: Tensor,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> nn.Module:
    """Train a fresh student on the teacher's logits; the caller's random state is left as it was."""
    devices = [inputs.device] if inputs.is_cuda else []
    with torch.random.fork_rng(devices), torch.enable_grad(), torch.inference_mode(False):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every device there is
        if devices:
            with torch.cuda.device(inputs.device):
                torch.cuda.manual_seed(seed)
        network = student().to(inputs.device).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
        if batch_size == 1:
            refuse_single_values(network, "set batch_size of the Compression Score to 2 or more")
        order = torch.empty(0, dtype=torch.long)
        for _ in range(steps):
            while len(order) < batch_size:
                order = torch.cat([order, torch.randperm(len(inputs))])
            index, order = order[:batch_size].to(inputs.device), order[batch_size:]
            loss = l2_logits_loss(network(_decoded(inputs[index], network)), targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


@torch.no_grad()
def _logits(network: nn.Module, inputs: Tensor) -> Tensor:
    was_training = network.training
    network.eval()
    logits = torch.cat([network(_decoded(part, network)).float() for part in inputs.split(FORWARD_BATCH)])
    network.train(was_training)
    return logits


def _decoded(inputs: Tensor, network: nn.Module) -> Tensor:
    """What a network sees of stored samples, in the precision of its weights."""
    samples = decode(inputs)
    return samples.to(next(network.parameters(), samples).dtype)


class CompressionScore(GenerativeMetric):
    """:func:`compression_score` as a metric that collects its samples batch by batch.

    ``compute()`` trains ``2 * len(seeds)`` students, each for 1 or 5 passes over the real samples. Over several
    processes it judges the samples of all of them.

    Args:
        teacher: classifier from samples to logits, trained on the real data. It is neither moved into the
            metric's state nor saved with it.
        student: makes a fresh student.
        held_out: real samples and labels that neither teacher nor generator was trained on.
        form: ``"paper"`` or ``"poster"``.
        seeds: one run each.
        batch_size: samples in a step of a student.
        learning_rate: of a student's Adam.

    Example:
        >>> teacher, held_out = nn.Linear(4, 2), (torch.randn(50, 4), torch.randint(2, (50,)))
        >>> metric = CompressionScore(teacher, lambda: nn.Linear(4, 2), held_out, seeds=(0,))
        >>> metric.update(torch.randn(100, 4), real=True)
        >>> metric.update(torch.randn(100, 4), real=False)
        >>> metric.compute().mean.shape
        torch.Size([])
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    real: list[Tensor]
    candidate: list[Tensor]

    def __init__(
        self,
        teacher: nn.Module,
        student: Callable[[], nn.Module],
        held_out: tuple[Tensor, Tensor],
        form: Form = "paper",
        seeds: Sequence[int] = (0, 1, 2),
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        images = held_out[0].ndim == 4
        row = torch.zeros(0, *held_out[0].shape[1:], dtype=torch.uint8 if images else torch.float32)
        super().__init__({"real": row, "candidate": row}, **kwargs)
        self._networks = (teacher, student)  # in a tuple, so that the teacher is no part of this module
        self.held_out = held_out
        self.form: Form = form
        self.seeds = tuple(seeds)
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def update(self, images: Tensor, real: bool) -> None:
        """Add samples.

        Args:
            images: uint8 or float in [-1, 1] (N, C, H, W), or rows (N, D).
            real: whether they belong to the real set or to the candidate set.

        Raises:
            ConfigurationError: samples that are out of range or not finite.
        """
        samples = check_samples(images)
        # Images wait as bytes, a quarter of the memory; rows as what networks see.
        (self.real if real else self.candidate).append(samples if samples.ndim == 4 else samples.float())

    def compute(self) -> CompressionScoreValue:
        """Return mean and standard error over the seeds, and what they rest on.

        Raises:
            ConfigurationError: a kind of samples is missing.
        """
        real, candidate = self.gathered("real"), self.gathered("candidate")
        self.counts = {"real": len(real), "generated": len(candidate), "held_out": len(self.held_out[1])}
        held_out = (self.held_out[0].to(real.device), self.held_out[1].to(real.device))
        teacher, student = self._networks
        value = compression_score(
            candidate,
            real,
            held_out,
            teacher,
            student,
            self.form,
            self.seeds,
            self.batch_size,
            self.learning_rate,
        )
        self.flags = ("students of the real samples stay at chance",) if value.mean.isnan() else ()
        return value

    def settings(self) -> Protocol:
        """Form, students and their training."""
        return {
            "form": self.form,
            "epochs": EPOCHS[self.form],
            "seeds": len(self.seeds),
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
        }
