"""Kernel Inception Distance with any extractor."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance as TorchmetricsKID
from torchmetrics.image.kid import poly_mmd

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.feature_metric import FeatureMetric, constant_feature_warnings, sort_rows
from ganmc_lightning.metrics.reference import ReferenceStatistics
from ganmc_lightning.metrics.reported import Protocol

SEED = 2020  # torch-fidelity's


class KernelInceptionDistance(FeatureMetric, TorchmetricsKID):
    """Squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018); lower is better.

    torchmetrics' estimator on torch-fidelity's subsets, in float64. The value may fall a little below 0. It does
    not depend on the order of the samples: the subsets are drawn from them sorted.

    Args:
        extractor: turns samples into features.
        subsets: how many random subsets to average over.
        subset_size: samples of each kind in a subset.
        reference: statistics of the real samples, where they are known beforehand.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        subsets: int = 100,
        subset_size: int = 1000,
        reference: ReferenceStatistics | None = None,
        **kwargs: Any,
    ) -> None:
        sizes = dict.fromkeys(("real_features", "fake_features"), extractor.num_features)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Metric .* will save all extracted features")
            super().__init__(
                extractor, sizes, reference, feature=nn.Identity(), subsets=subsets, subset_size=subset_size, **kwargs
            )

    def update(self, images: Tensor | Features, real: bool) -> None:
        """Add samples.

        Args:
            images: uint8 or float in [-1, 1] (N, C, H, W), rows (N, D), or their features.
            real: whether they are real or generated.

        Raises:
            ConfigurationError: samples the extractor does not take, or real ones beside a ``reference``.
        """
        super().update(self.features_of(images, real).features, real)

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Return ``kid`` and ``kid_std``, mean and standard deviation over the subsets, float64 scalars.

        Raises:
            ConfigurationError: a kind has fewer samples than a subset, or a subset fewer than 2.
        """
        real, fake = self.real_rows("real_features"), self.gathered("fake_features")
        self.counts = {"real": len(real), "generated": len(fake)}
        self.require(max(2, self.subset_size), "give more or lower subset_size")
        if self.subset_size < 2:
            raise ConfigurationError(
                f"KernelInceptionDistance.subset_size: got {self.subset_size}, expected at least 2"
            )
        self.flags = constant_feature_warnings(real=real, generated=fake)
        real, fake = sort_rows(real.double()), sort_rows(fake.double())
        random = np.random.RandomState(SEED)  # torch-fidelity's draws

        def draw(rows: Tensor) -> Tensor:
            index = random.choice(len(rows), self.subset_size, replace=False)
            return rows[torch.from_numpy(index).to(rows.device)]

        values = []
        for _ in range(self.subsets):
            chosen = draw(fake)  # first, as torch-fidelity does
            values.append(poly_mmd(draw(real), chosen, self.degree, self.gamma, self.coef))
        scores = torch.stack(values)
        return {"kid": scores.mean(), "kid_std": scores.std(unbiased=False)}

    def settings(self) -> Protocol:
        """Subsets and their size."""
        return {"subsets": self.subsets, "subset_size": self.subset_size}
