"""Frechet Inception Distance with any feature extractor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance as TorchmetricsFID

from ganmc_lightning.metrics.base import FeatureMetric, MetricSettings
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.functional.frechet import cholesky_factor, drop_constant_features, frechet_distance
from ganmc_lightning.metrics.reference import ReferenceStatistics


class _PrecomputedFeatures(nn.Identity):
    """Identity in place of torchmetrics' network, because it receives features instead of images."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features


class FrechetInceptionDistance(FeatureMetric, TorchmetricsFID):
    r"""Frechet distance between features of real and generated samples (Heusel et al. 2017); lower is better.

    .. math::
        \mathrm{FID} = \|\mu_r - \mu_g\|^2 + \mathrm{tr}(\Sigma_r + \Sigma_g - 2 (\Sigma_r \Sigma_g)^{1/2})

    where :math:`\mu` and :math:`\Sigma` are mean and covariance of the features of real (r) and generated (g) samples.
    torchmetrics accumulates them in float64; the trace term is computed by :func:`frechet_distance`, which also
    handles singular covariances. With :class:`InceptionV3Extractor` the value equals torch-fidelity's.

    As input to ``update`` the metric accepts

    - ``images``: uint8 or float images in [-1, 1] (N, C, H, W), rows (N, D), or :class:`Features`
    - ``real``: bool, whether the samples are real

    As output of ``compute`` the metric returns a float64 scalar.

    Args:
        extractor: feature extractor.
        reference: precomputed statistics of the real samples; ``update`` then accepts only generated samples.

    Attributes:
        singular: whether a covariance of the last ``compute()`` was singular. The value then depends more strongly on
            the number of samples.

    Raises:
        ConfigurationError: in ``compute``, fewer than 2 real or generated samples.

    Example:
        >>> from ganmc_lightning.metrics import ClassifierExtractor
        >>> extractor = ClassifierExtractor(nn.Linear(2, 2))  # features are the input of the last linear layer
        >>> square = torch.tensor([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
        >>> metric = FrechetInceptionDistance(extractor)
        >>> metric.update(square, real=True)
        >>> metric.update(square + 3, real=False)
        >>> round(metric.compute().item(), 2)  # equal covariances, means 3 apart in each of two features
        18.0
    """

    def __init__(
        self, extractor: FeatureExtractor, reference: ReferenceStatistics | None = None, **kwargs: Any
    ) -> None:
        super().__init__(extractor, {}, reference, feature=_PrecomputedFeatures(extractor.num_features), **kwargs)
        self.singular = False

    def _store(self, features: Features, real: bool) -> None:
        TorchmetricsFID.update(self, features.features, real)

    def compute(self) -> Tensor:
        """Return the distance, a float64 scalar."""
        n_real, mean_real, covariance_real = self._moments("real")
        n_fake, mean_fake, covariance_fake = self._moments("fake")
        self.counts = {"real": n_real, "generated": n_fake}
        self.check_num_samples(2)
        pair = drop_constant_features(covariance_real, covariance_fake)
        too_few = min(n_real, n_fake) <= len(pair[0])
        self.singular = too_few or any(cholesky_factor(covariance) is None for covariance in pair)
        self.warnings = ()
        if self.singular:
            reason = f"not more samples than the {len(pair[0])} features that vary" if too_few else "dependent features"
            self.warnings = (f"singular covariance: {reason}",)
        return frechet_distance(mean_real, covariance_real, mean_fake, covariance_fake)

    def _moments(self, kind: str) -> tuple[int, Tensor, Tensor]:
        if kind == "real" and self.reference is not None:
            known = self.reference
            return known.count, known.mean.to(self.device), known.covariance.to(self.device)
        count = int(getattr(self, f"{kind}_features_num_samples"))
        mean = getattr(self, f"{kind}_features_sum") / max(count, 1)
        squares = getattr(self, f"{kind}_features_cov_sum") - count * torch.outer(mean, mean)
        return count, mean, squares / max(count - 1, 1)

    def settings(self) -> MetricSettings:
        """Return the settings, and whether a covariance was singular."""
        return {**super().settings(), "singular": self.singular}
