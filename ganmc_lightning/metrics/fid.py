"""Frechet Inception Distance with any extractor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance as TorchmetricsFID

from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.feature_metric import FeatureMetric
from ganmc_lightning.metrics.functional.frechet import cholesky_factor, frechet_distance, varying
from ganmc_lightning.metrics.reference import ReferenceStatistics
from ganmc_lightning.metrics.reported import Protocol

DEPENDENT = "some features are combinations of others"


class _Sized(nn.Identity):
    """Stands where torchmetrics wants a network: the features come ready."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


class FrechetInceptionDistance(FeatureMetric, TorchmetricsFID):
    """Frechet distance between the features of real and of generated samples (Heusel et al. 2017); lower is better.

    The moments are torchmetrics', in float64; the trace term is :func:`frechet_distance`'s, which takes a fifth of
    the time and stands singular covariances. With Inception-v3 the value is torch-fidelity's.

    Args:
        extractor: turns samples into features.
        reference: statistics of the real samples, where they are known beforehand; then only generated samples
            are given to ``update``.

    Attributes:
        singular: whether a covariance of the last ``compute()`` was singular, for want of samples or of variety.
            The number then depends on how many samples there were even more than FID always does.
    """

    def __init__(
        self, extractor: FeatureExtractor, reference: ReferenceStatistics | None = None, **kwargs: Any
    ) -> None:
        super().__init__(extractor, {}, reference, feature=_Sized(extractor.num_features), **kwargs)
        self.singular = False

    def update(self, images: Tensor | Features, real: bool) -> None:
        """Add samples.

        Args:
            images: uint8 or float in [-1, 1] (N, C, H, W), rows (N, D), or their features.
            real: whether they are real or generated.

        Raises:
            ConfigurationError: samples the extractor does not take, or real ones beside a ``reference``.
        """
        super().update(self.features_of(images, real).features, real)

    def compute(self) -> Tensor:
        """Return the distance, a float64 scalar.

        Raises:
            ConfigurationError: fewer than 2 real or generated samples.
        """
        n_real, mean_real, covariance_real = self._moments("real")
        n_fake, mean_fake, covariance_fake = self._moments("fake")
        self.counts = {"real": n_real, "generated": n_fake}
        self.require(2)
        pair = varying(covariance_real, covariance_fake)
        few = min(n_real, n_fake) <= len(pair[0])
        self.singular = few or any(cholesky_factor(covariance) is None for covariance in pair)
        self.flags = ()
        if self.singular:
            cause = f"not more samples than the {len(pair[0])} features that vary" if few else DEPENDENT
            self.flags = (f"singular covariance: {cause}",)
        return frechet_distance(mean_real, covariance_real, mean_fake, covariance_fake)

    def _moments(self, kind: str) -> tuple[int, Tensor, Tensor]:
        if kind == "real" and self.reference is not None:
            known = self.reference
            return known.count, known.mean.to(self.device), known.covariance.to(self.device)
        count = int(getattr(self, f"{kind}_features_num_samples"))
        mean = getattr(self, f"{kind}_features_sum") / max(count, 1)
        squares = getattr(self, f"{kind}_features_cov_sum") - count * torch.outer(mean, mean)
        return count, mean, squares / max(count - 1, 1)

    def settings(self) -> Protocol:
        """Whether a covariance was singular."""
        return {"singular": self.singular}
