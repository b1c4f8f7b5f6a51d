"""Keep only the synthetic samples whose class a teacher confirms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.validation import check_classifier
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted

CALIBRATION_SEED = 0


class FilteredSynthesizer(Synthesizer):
    """Wraps a synthesizer and keeps confident, rightly classed samples (cGAN-KD, Ding et al. 2021).

    A sample is kept when the teacher's class is the one it was made for and the teacher's confidence is at
    least the class's threshold. Thresholds are quantiles of the confidence over the confirmed samples of a
    calibration draw. Every class keeps its share of the draw, however many of its samples are refused.

    Args:
        synthesizer: where the samples come from; it must know their classes.
        teacher: classifier from samples to logits.
        quantile: share of the confirmed samples that is refused, in [0, 1).
        calibration_samples: size of the draw that sets the thresholds.
        max_rounds: draws after which a class that still lacks samples is an error.

    Raises:
        ConfigurationError: ``quantile`` lies outside [0, 1).
    """

    def __init__(
        self,
        synthesizer: Synthesizer,
        teacher: nn.Module,
        quantile: float = 0.3,
        calibration_samples: int = 2000,
        max_rounds: int = 50,
    ) -> None:
        if not 0 <= quantile < 1:
            raise ConfigurationError(f"quantile must lie in [0, 1), got {quantile}")
        self.synthesizer = synthesizer
        self.teacher = Frozen(teacher)
        self.quantile = quantile
        self.calibration_samples = calibration_samples
        self.max_rounds = max_rounds
        self._thresholds: Tensor | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Fit the wrapped synthesizer and set the confidence threshold of each class."""
        self.synthesizer.fit(inputs, labels, spec)
        check_classifier("data.synthesizer.teacher", self.teacher, spec)
        self.teacher.adapt_to("data.synthesizer.teacher", spec)
        self.teacher.to(labels.device)
        generator = torch.Generator(labels.device).manual_seed(CALIBRATION_SEED)
        samples, intended = self.synthesizer.sample(self.calibration_samples, generator)
        if bool((intended < 0).any()):
            raise ConfigurationError("FilteredSynthesizer needs a synthesizer that knows the classes of its samples")
        confidence, predicted = self._judge(samples)
        thresholds = torch.empty(spec.num_classes, device=labels.device)
        for label in range(spec.num_classes):
            confirmed = confidence[(intended == label) & (predicted == label)]
            if len(confirmed) == 0 and bool((intended == label).any()):
                raise ConfigurationError(
                    f"the teacher confirms none of {int((intended == label).sum())} synthetic samples of "
                    f"class {label}: the generator has not learned it; train it longer or leave the filter out"
                )
            thresholds[label] = confirmed.quantile(self.quantile) if len(confirmed) else 0.0
        self._thresholds = thresholds

    def start_epoch(self, epoch: int, seed: int) -> None:
        """Pass the epoch on to the wrapped synthesizer."""
        self.synthesizer.start_epoch(epoch, seed)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        if self._thresholds is None:
            raise not_fitted(self)
        samples, labels = self.synthesizer.sample(n, generator)
        vacant = ~self._accept(samples, labels)
        for attempt in range(self.max_rounds):
            missing = int(vacant.sum())
            if missing == 0:
                return samples, labels
            # Twice the number missing: about as many as it takes when half are refused. More each time, for the last
            # places may wait for a rare class.
            size = max(2 * missing, 16)
            most = max(size, self.calibration_samples)
            fresh, fresh_labels = self.synthesizer.sample(min(size * 2**attempt, most), generator)
            accepted = self._accept(fresh, fresh_labels)
            places, chosen = _match_classes(labels, vacant, fresh_labels, accepted)
            samples[places] = fresh[chosen]
            vacant[places] = False
        classes = sorted(set(labels[vacant].tolist()))
        raise ConfigurationError(
            f"the teacher refused every synthetic sample of classes {classes} in {self.max_rounds} draws"
        )

    def _judge(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        chunks = [self.teacher(part).softmax(dim=1).max(dim=1) for part in samples.split(1024)]
        return torch.cat([c.values for c in chunks]), torch.cat([c.indices for c in chunks])

    def _accept(self, samples: Tensor, labels: Tensor) -> Tensor:
        assert self._thresholds is not None
        confidence, predicted = self._judge(samples)
        return (predicted == labels) & (confidence >= self._thresholds[labels])


def _match_classes(labels: Tensor, vacant: Tensor, fresh_labels: Tensor, accepted: Tensor) -> tuple[Tensor, Tensor]:
    """Pair vacant places with accepted fresh samples of the same class.

    Returns:
        Indices of places and indices of fresh samples, of equal length.
    """
    places, chosen = [], []
    for label in labels[vacant].unique():
        place = torch.nonzero(vacant & (labels == label)).flatten()
        fresh = torch.nonzero(accepted & (fresh_labels == label)).flatten()
        count = min(len(place), len(fresh))
        places.append(place[:count])
        chosen.append(fresh[:count])
    return torch.cat(places), torch.cat(chosen)
