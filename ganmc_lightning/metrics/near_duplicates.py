"""Detect memorized training samples by nearest-neighbor distance in feature space."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.base import FeatureMetric, MetricSettings, constant_feature_warnings
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.functional.nearest_neighbors import BLOCK_ROWS, center, nearest_neighbor
from ganmc_lightning.metrics.reference import ReferenceStatistics, extract_features

PERCENTILE = 1.0


class NearDuplicatesValue(NamedTuple):
    """Result of :func:`near_duplicates`.

    Attributes:
        rate: fraction of the generated samples that are near duplicates, float64 scalar.
        held_out_rate: the same fraction of held-out real samples: about ``percentile`` / 100, and more if the data set
            contains duplicates. A generator that does not memorize has a similar or lower rate.
        threshold: largest distance of a near duplicate, float64 scalar.
        distances: float64 (N,), distance of each generated sample to the nearest training sample.
        indices: int64 (N,), index of the nearest training sample.
    """

    rate: Tensor
    held_out_rate: Tensor
    threshold: Tensor
    distances: Tensor
    indices: Tensor


def near_duplicates(
    generated: Tensor, training: Tensor, held_out: Tensor, percentile: float = PERCENTILE, block_rows: int = BLOCK_ROWS
) -> NearDuplicatesValue:
    r"""Find samples closer to a training sample than the given percentile of held-out real samples.

    .. math::
        \mathrm{rate} = \frac{1}{N} \sum_i 1[d(g_i) \le t], \quad t = P_p(\{d(h_j)\}), \quad
        d(x) = \min_m \|x - t_m\|

    where :math:`g_i`, :math:`t_m` and :math:`h_j` are generated, training and held-out samples, and :math:`P_p` is the
    percentile p.

    Args:
        generated: features (N, D) of the generated samples.
        training: features (M, D) of the training samples of the generator.
        held_out: features (L, D) of real samples that are not training samples.
        percentile: percentile of the held-out distances, in (0, 100) (default: 1).
        block_rows: rows per block of distances; affects memory and speed, not the result.

    Raises:
        ConfigurationError: a set is empty.

    Example:
        >>> import torch
        >>> training, held_out = torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [7.0]])
        >>> value = near_duplicates(torch.tensor([[0.5], [9.0]]), training, held_out)
        >>> round(value.rate.item(), 2), round(value.threshold.item(), 2), value.indices.tolist()
        (0.5, 1.0, [0, 1])
    """
    for kind, rows in (("generated", generated), ("training", training), ("held-out", held_out)):
        if len(rows) == 0:
            raise ConfigurationError(f"near duplicates: got 0 {kind} samples, expected at least 1")
    (generated_rows, training_rows, held_out_rows), tolerance = center(generated, training, held_out)
    distances, indices = nearest_neighbor(generated_rows, training_rows, block_rows)
    held_out_distances, _ = nearest_neighbor(held_out_rows, training_rows, block_rows)
    # "lower" returns an observed distance; an interpolated threshold would exclude the sample that defines it.
    threshold = held_out_distances.quantile(percentile / 100, interpolation="lower")
    return NearDuplicatesValue(
        (distances <= threshold + tolerance).double().mean(),
        (held_out_distances <= threshold + tolerance).double().mean(),
        threshold.sqrt(),
        distances.sqrt(),
        indices,
    )


class NearDuplicates(FeatureMetric):
    """Rate of generated samples that nearly equal a training sample; lower is better. See :func:`near_duplicates`.

    As input to ``update`` the metric accepts

    - ``images``: uint8 or float images in [-1, 1] (N, C, H, W), rows (N, D), or :class:`Features`
    - ``real``: bool, whether the samples are training samples of the generator

    As output of ``compute`` the metric returns a dictionary of float64 scalars: ``near_duplicate_rate``,
    ``near_duplicate_rate_held_out`` and ``near_duplicate_threshold``.

    Args:
        extractor: feature extractor.
        held_out: real samples that are not training samples, or their features.
        percentile: percentile of the held-out distances, in (0, 100), which is the rate of real samples (default: 1).
        reference: precomputed statistics of the training samples. They should contain the features of all samples,
            because duplicates of other samples are not found.

    Raises:
        ConfigurationError: ``percentile`` is out of range; the extractor rejects ``held_out``; in ``compute``, a kind
            of samples is missing.

    Example:
        >>> import torch
        >>> from ganmc_lightning.metrics import ClassifierExtractor
        >>> extractor = ClassifierExtractor(torch.nn.Linear(1, 2))
        >>> metric = NearDuplicates(extractor, held_out=torch.tensor([[1.0], [7.0]]))
        >>> metric.update(torch.tensor([[0.0], [5.0]]), real=True)
        >>> metric.update(torch.tensor([[0.5], [9.0]]), real=False)
        >>> round(metric.compute()["near_duplicate_rate"].item(), 2)
        0.5
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    real_state: ClassVar[str] = "training_features"
    generated_state: ClassVar[str] = "generated_features"

    training_features: list[Tensor]
    generated_features: list[Tensor]

    def __init__(
        self,
        extractor: FeatureExtractor,
        held_out: Tensor | Features,
        percentile: float = PERCENTILE,
        reference: ReferenceStatistics | None = None,
        **kwargs: Any,
    ) -> None:
        if not 0 < percentile < 100:
            raise ConfigurationError(f"NearDuplicates.percentile: got {percentile}, expected a value in (0, 100)")
        widths = dict.fromkeys((self.real_state, self.generated_state), extractor.num_features)
        super().__init__(extractor, widths, reference, **kwargs)
        self.held_out = held_out if isinstance(held_out, Features) else extract_features(held_out, extractor)
        self.percentile = percentile

    def compute(self) -> dict[str, Tensor]:
        """Return the rates of generated and of held-out samples and the threshold, float64 scalars."""
        training, generated = self.real_rows(), self.cat_state(self.generated_state)
        held_out = self.held_out.features.to(self.device)
        self.counts = {"training": len(training), "generated": len(generated), "held_out": len(held_out)}
        self.warnings = constant_feature_warnings(generated=generated)
        if self.reference is not None and len(training) < self.reference.count:
            self.warnings += (f"compared with {len(training)} of {self.reference.count} training samples",)
        value = near_duplicates(generated, training, held_out, self.percentile)
        return {
            "near_duplicate_rate": value.rate,
            "near_duplicate_rate_held_out": value.held_out_rate,
            "near_duplicate_threshold": value.threshold,
        }

    def settings(self) -> MetricSettings:
        """Return the settings with the percentile."""
        return {**super().settings(), "percentile": self.percentile}
