"""Filter synthetic samples by the confidence of a teacher."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.validation import check_classifier
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error

CALIBRATION_SEED = 0
CALIBRATION_SAMPLES = 2000
"""Number of samples that determine the thresholds."""
MAX_ROUNDS = 50
"""Maximum number of draws; too few accepted samples of a class after them raise an error."""


class FilteredSynthesizer(Synthesizer):
    """Keep synthetic samples with a class that a teacher predicts with high confidence (cGAN-KD, Ding et al. 2021).

    A sample is accepted if the teacher's prediction equals its label and the confidence is at least the threshold of
    the class. The threshold is a quantile of the confidence over correctly classified samples of a calibration draw.
    Class shares equal those of the wrapped synthesizer for every acceptance rate.

    Args:
        synthesizer: synthesizer of labeled samples.
        teacher: classifier of samples that returns logits.
        confidence_quantile: share of the correctly classified samples that is rejected, in [0, 1) (default: 0.3).

    Raises:
        ConfigurationError: ``confidence_quantile`` is not in [0, 1).

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
        self.synthesizer = synthesizer
        self.teacher = Frozen(teacher)
        self.confidence_quantile = confidence_quantile
        self._thresholds: Tensor | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Fit the wrapped synthesizer and compute the confidence threshold of each class."""
        self.synthesizer.fit(inputs, labels, spec)
        check_classifier("data.synthesizer.teacher", self.teacher, spec)
        self.teacher.adapt_to("data.synthesizer.teacher", spec)
        self.teacher.to(labels.device)
        generator = torch.Generator(labels.device).manual_seed(CALIBRATION_SEED)
        samples, targets = self.synthesizer.sample(CALIBRATION_SAMPLES, generator)
        if bool((targets < 0).any()):
            raise ConfigurationError(
                "data.synthesizer: FilteredSynthesizer got samples without labels, expected labeled samples"
            )
        confidence, predicted = self._predict(samples)
        thresholds = torch.empty(spec.num_classes, device=labels.device)
        for label in range(spec.num_classes):
            correct = confidence[(targets == label) & (predicted == label)]
            if len(correct) == 0 and bool((targets == label).any()):
                raise ConfigurationError(
                    f"data.synthesizer.teacher: predicts none of {int((targets == label).sum())} synthetic samples of "
                    f"class {label} correctly; train the generator longer, or remove the filter"
                )
            thresholds[label] = correct.quantile(self.confidence_quantile) if len(correct) else 0.0
        self._thresholds = thresholds

    def start_epoch(self, epoch: int, seed: int) -> None:
        """Start an epoch of the wrapped synthesizer."""
        self.synthesizer.start_epoch(epoch, seed)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` accepted samples; see :meth:`Synthesizer.sample`."""
        if self._thresholds is None:
            raise not_fitted_error(self)
        samples, labels = self.synthesizer.sample(n, generator)
        unfilled = ~self._accept(samples, labels)
        for attempt in range(MAX_ROUNDS):
            missing = int(unfilled.sum())
            if missing == 0:
                return samples, labels
            # Twice the missing samples suffice at an acceptance rate of 1/2. Doubled on each attempt, because the last
            # slots may require rare classes.
            size = max(2 * missing, 16)
            limit = max(size, CALIBRATION_SAMPLES)
            fresh, fresh_labels = self.synthesizer.sample(min(size * 2**attempt, limit), generator)
            accepted = self._accept(fresh, fresh_labels)
            slots, chosen = _match_classes(labels, unfilled, fresh_labels, accepted)
            samples[slots] = fresh[chosen]
            unfilled[slots] = False
        classes = sorted(set(labels[unfilled].tolist()))
        raise ConfigurationError(
            f"data.synthesizer.teacher: rejected every synthetic sample of classes {classes} in {MAX_ROUNDS} draws"
        )

    def _predict(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return confidence and predicted class of each sample."""
        chunks = [self.teacher(chunk).softmax(dim=1).max(dim=1) for chunk in samples.split(1024)]
        return torch.cat([c.values for c in chunks]), torch.cat([c.indices for c in chunks])

    def _accept(self, samples: Tensor, labels: Tensor) -> Tensor:
        assert self._thresholds is not None
        confidence, predicted = self._predict(samples)
        return (predicted == labels) & (confidence >= self._thresholds[labels])


def _match_classes(labels: Tensor, unfilled: Tensor, fresh_labels: Tensor, accepted: Tensor) -> tuple[Tensor, Tensor]:
    """Pair unfilled slots with accepted fresh samples of equal class.

    Returns:
        Indices of slots and indices of fresh samples, of equal length.
    """
    slots, chosen = [], []
    for label in labels[unfilled].unique():
        slot = torch.nonzero(unfilled & (labels == label)).flatten()
        fresh = torch.nonzero(accepted & (fresh_labels == label)).flatten()
        count = min(len(slot), len(fresh))
        slots.append(slot[:count])
        chosen.append(fresh[:count])
    return torch.cat(slots), torch.cat(chosen)
