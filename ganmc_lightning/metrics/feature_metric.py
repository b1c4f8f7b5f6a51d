"""What the metrics of features share: an extractor beside the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.reference import ReferenceStatistics
from ganmc_lightning.metrics.reported import GenerativeMetric, Protocol


class FeatureMetric(GenerativeMetric):
    """Abstract: a metric that compares what an extractor says of samples.

    ``update`` takes samples, or the :class:`Features` of them, so that one pass of the extractor serves several
    metrics. The extractor is neither in the metric's parameters nor in its ``state_dict``.

    Args:
        extractor: turns samples into features.
        lists: the list states of the metric and the length of one row of each.
        reference: statistics of the real samples, where they are known beforehand.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        lists: Mapping[str, int],
        reference: ReferenceStatistics | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__({name: torch.zeros(0, width) for name, width in lists.items()}, **kwargs)
        self._networks = (extractor,)  # in a tuple, so that the extractor is no part of this module
        self.reference = reference
        # A collection makes metrics with equal states share them; those of two extractors may both be empty.
        self.add_state("extractor_key", default=torch.tensor(int(extractor.digest, 16) >> 2), dist_reduce_fx="max")

    @property
    def extractor(self) -> FeatureExtractor:
        """What turns samples into features."""
        return self._networks[0]

    def protocol(self) -> Protocol:
        """What the number of the last ``compute()`` must be printed with: extractor, settings, counts, flags."""
        return {**self.extractor.protocol(), **super().protocol()}

    def features_of(self, samples: Tensor | Features, real: bool) -> Features:
        """Features of samples or what is given as such, checked, float32 or wider, on the metric's device.

        Raises:
            ConfigurationError: features of another extractor or not finite, or real samples beside a ``reference``.
        """
        if real and self.reference is not None:
            raise ConfigurationError(
                f"{type(self).__name__}: real samples are given beside a reference: leave one of them out"
            )
        answer = samples if isinstance(samples, Features) else self.extractor(samples)
        sizes = self.extractor.num_features, self.extractor.num_classes
        for what, part, size in zip(Features._fields, answer, sizes, strict=True):
            if part.ndim != 2 or part.shape[1] != size:
                raise ConfigurationError(
                    f"{what} have shape {tuple(part.shape)} where {self.extractor.name} gives (N, {size})"
                )
        if not bool(answer.features.isfinite().all() and answer.logits.isfinite().all()):
            raise ConfigurationError(
                f"{self.extractor.name} answers with NaN or infinity: check its weights and the samples"
            )
        return Features(*(at_least_float32(part).to(self.device) for part in answer))

    def real_rows(self, name: str) -> Tensor:
        """Features of the real samples: a list state's, or the reference's."""
        return self.gathered(name) if self.reference is None else self.reference.features.to(self.device)


def sort_rows(rows: Tensor) -> Tensor:
    """Sort rows (N, D) by a fixed mixture of their columns.

    Random splits and subsets then do not depend on the order in which samples came, or on which process saw them.
    """
    weights = torch.arange(1, rows.shape[1] + 1, device=rows.device, dtype=torch.float64).cos()
    return rows[(rows.double() @ weights).argsort(stable=True)]


def constant_feature_warnings(**kinds: Tensor) -> tuple[str, ...]:
    """A flag for each kind of samples whose rows (N, D) are all the same but for rounding."""
    return tuple(f"all {kind} samples alike" for kind, rows in kinds.items() if _alike(rows))


def _alike(rows: Tensor) -> bool:
    if len(rows) == 0:
        return False
    spread = rows.amax(dim=0) - rows.amin(dim=0)
    return bool((spread <= 1e-5 * rows.abs().amax()).all())
