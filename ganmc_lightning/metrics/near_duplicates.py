"""Does a generator hand out its training set? Nearest real neighbors in feature space."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.feature_metric import FeatureMetric, constant_feature_warnings
from ganmc_lightning.metrics.functional.nearest_neighbors import CHUNK, centered, nearest
from ganmc_lightning.metrics.reference import ReferenceStatistics, features_of
from ganmc_lightning.metrics.reported import Protocol

PERCENTILE = 1.0


class NearDuplicatesValue(NamedTuple):
    """Which samples lie closer to a training sample than real samples do.

    Attributes:
        share: share of the candidates that are near-copies.
        held_out_share: the same share of held-out real samples; about the percentile, and more where the data set
            itself holds copies. A generator that memorises nothing has a share like this one or below.
        threshold: distance up to which a sample is a near-copy.
        distances: float64 (N,), of each candidate to the nearest training sample.
        indices: int64 (N,), which training sample that is.
    """

    share: Tensor
    held_out_share: Tensor
    threshold: Tensor
    distances: Tensor
    indices: Tensor


def near_duplicates(
    candidates: Tensor, training: Tensor, held_out: Tensor, percentile: float = PERCENTILE, chunk: int = CHUNK
) -> NearDuplicatesValue:
    """Find the samples that are nearer to the training set than real samples are wont to be.

    The threshold is a percentile of the distances from held-out real samples to their nearest training sample.

    Args:
        candidates: features (N, D) of the samples to judge.
        training: features (M, D) of what the generator was trained on.
        held_out: features (L, D) of real samples it never saw.
        percentile: of the held-out distances, in (0, 100).
        chunk: rows of a block; it changes memory and speed, not the result.

    Raises:
        ConfigurationError: a set is empty.
    """
    for kind, rows in (("generated", candidates), ("training", training), ("held-out", held_out)):
        if len(rows) == 0:
            raise ConfigurationError(f"near copies need {kind} samples, got none")
    (judged, known, unseen), slack = centered(candidates, training, held_out)
    distances, indices = nearest(judged, known, chunk)
    usual, _ = nearest(unseen, known, chunk)
    threshold = usual.quantile(percentile / 100, interpolation="lower")  # a distance that occurs, not one between two
    return NearDuplicatesValue(
        (distances <= threshold + slack).double().mean(),
        (usual <= threshold + slack).double().mean(),
        threshold.sqrt(),
        distances.sqrt(),
        indices,
    )


class NearDuplicates(FeatureMetric):
    """:func:`near_duplicates` as a metric; a lower share is better.

    Give the generator's training samples with ``real=True``, or as ``reference``.

    Args:
        extractor: turns samples into features.
        held_out: real samples the generator never saw, or their features.
        percentile: of the held-out distances, in (0, 100); it is the share that real samples have.
        reference: statistics of the training samples, where they are known beforehand; keep all their features, for
            a copy of a sample that is not kept is not found.

    Raises:
        ConfigurationError: ``percentile`` is out of range, or the held-out samples are of no use.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    training_features: list[Tensor]
    candidate_features: list[Tensor]

    def __init__(
        self,
        extractor: FeatureExtractor,
        held_out: Tensor | Features,
        percentile: float = PERCENTILE,
        reference: ReferenceStatistics | None = None,
        **kwargs: Any,
    ) -> None:
        if not 0 < percentile < 100:
            raise ConfigurationError(f"NearDuplicates.percentile must lie between 0 and 100, got {percentile}")
        widths = dict.fromkeys(("training_features", "candidate_features"), extractor.num_features)
        super().__init__(extractor, widths, reference, **kwargs)
        self.held_out = held_out if isinstance(held_out, Features) else features_of(held_out, extractor)
        self.percentile = percentile

    def update(self, images: Tensor | Features, real: bool) -> None:
        """Add samples.

        Args:
            images: uint8 or float in [-1, 1] (N, C, H, W), rows (N, D), or their features.
            real: whether they are training samples or generated.

        Raises:
            ConfigurationError: samples the extractor does not take, or real ones beside a ``reference``.
        """
        (self.training_features if real else self.candidate_features).append(self.features_of(images, real).features)

    def compute(self) -> dict[str, Tensor]:
        """Return the share of near duplicates, that of held-out samples, and the threshold, as float64 scalars.

        Raises:
            ConfigurationError: samples of one kind are missing.
        """
        training, candidates = self.real_rows("training_features"), self.gathered("candidate_features")
        held_out = self.held_out.features.to(self.device)
        self.counts = {"training": len(training), "generated": len(candidates), "held_out": len(held_out)}
        self.flags = constant_feature_warnings(generated=candidates)
        if self.reference is not None and len(training) < self.reference.count:
            self.flags += (f"compared with {len(training)} of {self.reference.count} training samples",)
        found = near_duplicates(candidates, training, held_out, self.percentile)
        return {
            "near_duplicates": found.share,
            "near_duplicates_held_out": found.held_out_share,
            "near_duplicate_distance": found.threshold,
        }

    def settings(self) -> Protocol:
        """The percentile behind the threshold."""
        return {"percentile": self.percentile}
