"""Filter synthetic samples by the confidence of a teacher."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.validation import check_classifier
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error
from ganmc_lightning.synthesizers.pooled import PooledSynthesizer

CALIBRATION_SEED = 0
CALIBRATION_SAMPLES = 2000
"""Number of samples that determine the thresholds, the acceptance rates and the reserve."""
RESERVE_SHARE = 0.01
"""Expected share of samples that may be taken from the reserve."""
RESERVE_SIZE = 32
"""Maximum number of samples of a class in the reserve."""


class FilteredSynthesizer(Synthesizer):
    """Keep synthetic samples with a class that a teacher predicts with high confidence (cGAN-KD, Ding et al. 2021).

    A sample is accepted if the teacher's prediction equals its label and the confidence is at least the threshold of
    the class. The threshold is a quantile of the confidence over correctly classified samples of a calibration draw.
    Class shares equal those of the wrapped synthesizer for every acceptance rate.

    Rejected samples are replaced by accepted candidates of equal class. The number of candidates is computed from the
    acceptance rates of the calibration draw, so that no step waits for the device. If the candidates do not suffice,
    which is expected for at most 1 % of the samples, accepted samples of the calibration draw replace them; a class
    that the calibration draw did not contain then keeps its rejected samples.

    Args:
        synthesizer: synthesizer of labeled samples.
        teacher: classifier of samples that returns logits.
        confidence_quantile: share of the correctly classified samples that is rejected, in [0, 1) (default: 0.3).

    Raises:
        ConfigurationError: ``confidence_quantile`` is not in [0, 1), or ``synthesizer`` is a pool.

    Example:
        >>> from ganmc_lightning.synthesizers import JitterSynthesizer
        >>> class SignTeacher(nn.Module):
        ...     def forward(self, rows):
        ...         return torch.cat([-rows, rows], dim=1)  # class 1 for positive rows
        >>> synthesizer = FilteredSynthesizer(JitterSynthesizer(0.5), SignTeacher(), confidence_quantile=0.5)
        >>> synthesizer.fit(torch.tensor([[-0.5], [0.5]]), torch.tensor([0, 1]), DataSpec((1,), 2))
        >>> rows, labels = synthesizer.sample(100, torch.Generator().manual_seed(0))
        >>> ((rows[:, 0] > 0) == (labels == 1)).all()
        tensor(True)
    """

    def __init__(self, synthesizer: Synthesizer, teacher: nn.Module, confidence_quantile: float = 0.3) -> None:
        if not 0 <= confidence_quantile < 1:
            raise ConfigurationError(
                f"FilteredSynthesizer.confidence_quantile: got {confidence_quantile}, expected a value in [0, 1)"
            )
        if isinstance(synthesizer, PooledSynthesizer):
            raise ConfigurationError(
                "FilteredSynthesizer.synthesizer: got a PooledSynthesizer, expected the filter inside the pool: "
                "PooledSynthesizer(FilteredSynthesizer(...))"
            )
        self.synthesizer = synthesizer
        self.teacher = Frozen(teacher)
        self.confidence_quantile = confidence_quantile
        self._thresholds = self._shares = self._rates = torch.empty(0)
        self._reserve: _AcceptedSamples | None = None
        self._num_candidates: dict[int, int] = {}  # by number of samples

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Fit the wrapped synthesizer; compute the threshold and the acceptance rate of each class."""
        self.synthesizer.fit(inputs, labels, spec)
        check_classifier("data.synthesizer.teacher", self.teacher, spec)
        self.teacher.adapt_to("data.synthesizer.teacher", spec)
        self.teacher.to(labels.device)
        generator = torch.Generator(labels.device).manual_seed(CALIBRATION_SEED)
        self.synthesizer.start_epoch(0, CALIBRATION_SEED)
        samples, targets = self.synthesizer.sample(CALIBRATION_SAMPLES, generator)
        if bool((targets < 0).any()):
            raise ConfigurationError("data.synthesizer: got samples without labels, expected labeled samples to filter")
        confidence, predicted = self._predict(samples)
        correct = (predicted == targets) & ~confidence.isnan()
        self._thresholds = self._compute_thresholds(confidence, correct, targets, spec.num_classes)
        accepted = correct & (confidence >= self._thresholds[targets])
        counts = torch.bincount(targets, minlength=spec.num_classes)
        self._shares = counts.cpu() / len(targets)
        self._rates = torch.bincount(targets[accepted], minlength=spec.num_classes).cpu() / counts.cpu().clamp(min=1)
        self._num_candidates = {}
        kept = accepted & (_rank_in_class(targets, accepted, spec.num_classes) < RESERVE_SIZE)
        self._reserve = _AcceptedSamples(samples[kept], targets[kept], kept[kept], spec.num_classes)

    def start_epoch(self, epoch: int, seed: int) -> None:
        """Start an epoch of the wrapped synthesizer."""
        self.synthesizer.start_epoch(epoch, seed)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` accepted samples; see :meth:`Synthesizer.sample`."""
        if self._reserve is None:
            raise not_fitted_error(self)
        samples, labels = self.synthesizer.sample(n, generator)
        unfilled = ~self._accept(samples, labels)
        if n not in self._num_candidates:
            self._num_candidates[n] = count_candidates(n, self._shares, self._rates)
        fresh, fresh_labels = self.synthesizer.sample(self._num_candidates[n], generator)
        candidates = _AcceptedSamples(fresh, fresh_labels, self._accept(fresh, fresh_labels), self._reserve.num_classes)
        rank = _rank_in_class(labels, unfilled, self._reserve.num_classes)
        # Without reads of the number of unfilled samples, a replacement is looked up for each sample.
        position = torch.randint(RESERVE_SIZE, (n,), device=labels.device, generator=generator)
        position = position % self._reserve.counts[labels].clamp(min=1)
        samples = self._reserve.replace(samples, labels, unfilled, position)
        return candidates.replace(samples, labels, unfilled, rank), labels

    def _compute_thresholds(self, confidence: Tensor, correct: Tensor, targets: Tensor, num_classes: int) -> Tensor:
        thresholds = torch.zeros(num_classes, device=targets.device)
        for label in targets.unique().tolist():
            of_class = targets == label
            chosen = confidence[of_class & correct]
            if len(chosen) == 0:
                raise ConfigurationError(
                    f"data.synthesizer.teacher: predicts none of {int(of_class.sum())} synthetic samples of class "
                    f"{label} correctly; train the generator longer, or remove the filter"
                )
            thresholds[label] = chosen.quantile(self.confidence_quantile)
        return thresholds

    def _predict(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return confidence and predicted class of each sample."""
        # A teacher that is also a network of the module has its precision.
        samples = samples.to(next(self.teacher.parameters(), samples).dtype)
        logits = (self.teacher(chunk) for chunk in samples.split(1024))
        wide = [chunk.to(torch.promote_types(chunk.dtype, torch.float32)) for chunk in logits]
        chunks = [chunk.softmax(dim=1).max(dim=1) for chunk in wide]
        return torch.cat([c.values for c in chunks]), torch.cat([c.indices for c in chunks])

    def _accept(self, samples: Tensor, labels: Tensor) -> Tensor:
        confidence, predicted = self._predict(samples)
        return (predicted == labels) & (confidence >= self._thresholds[labels])


class _AcceptedSamples:
    """Samples with access by class and position, without reads of their number.

    Args:
        samples: float (M, ...).
        labels: int64 (M,) in [0, num_classes).
        accepted: bool (M,), samples that can be accessed.
        num_classes: number of classes K.

    Attributes:
        counts: number of accepted samples of each class, int64 (K,).
    """

    def __init__(self, samples: Tensor, labels: Tensor, accepted: Tensor, num_classes: int) -> None:
        self.num_classes = num_classes
        self._samples = samples
        self._order, self._starts, self.counts = _sort_by_class(labels, accepted, num_classes)

    def replace(self, samples: Tensor, labels: Tensor, unfilled: Tensor, position: Tensor) -> Tensor:
        """Replace unfilled samples (N, ...) by those of their class at a position (N,), if there are as many."""
        index = (self._starts[labels] + position).clamp(max=len(self._order) - 1)
        replaced = unfilled & (position < self.counts[labels])
        shape = (-1, *(1,) * (samples.dim() - 1))
        return torch.where(replaced.view(shape), self._samples[self._order[index]], samples)


def _sort_by_class(labels: Tensor, chosen: Tensor, num_classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the order of samples by class, chosen samples first, and the start and number of each class in it."""
    key = labels.masked_fill(~chosen, num_classes)
    ordered, order = key.sort(stable=True)
    bounds = torch.searchsorted(ordered, torch.arange(num_classes + 1, device=labels.device))
    return order, bounds[:-1], bounds.diff()


def _rank_in_class(labels: Tensor, chosen: Tensor, num_classes: int) -> Tensor:
    """Return the number of earlier chosen samples of equal class, int64 (N,); defined for chosen samples."""
    order, starts, _ = _sort_by_class(labels, chosen, num_classes)
    position = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=labels.device))
    return position - starts[labels]


def count_candidates(n: int, shares: Tensor, rates: Tensor) -> int:
    """Return the number of candidates that replace the rejected ones of ``n`` samples, except a share of 1 %.

    The numbers of rejected samples and of accepted candidates of a class are approximated by normal distributions.

    Args:
        n: number of samples.
        shares: class distribution, float (K,).
        rates: acceptance rate of each class, float (K,).

    Example:
        >>> shares = torch.tensor([0.5, 0.5])
        >>> [count_candidates(100, shares, torch.tensor([1.0, rate])) for rate in (1.0, 0.5, 0.1)]
        [1, 130, 1157]
    """
    rejected = n * shares * (1 - rates)
    count = 1.0
    while True:
        accepted = count * shares * rates
        std = (rejected + accepted).sqrt().clamp(min=1e-6)
        z = (accepted - rejected) / std
        density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
        missing = std * (density - z * torch.special.ndtr(-z))
        if float(missing.sum()) <= RESERVE_SHARE * n:
            return math.ceil(count)
        count *= 1.1
