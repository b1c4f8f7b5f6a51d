"""Kernel Inception Distance with any feature extractor."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance as TorchmetricsKID
from torchmetrics.image.kid import poly_mmd

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.base import FeatureMetric, MetricSettings, constant_feature_warnings, sort_rows
from ganmc_lightning.metrics.extractors.base import FeatureExtractor
from ganmc_lightning.metrics.reference import ReferenceStatistics

SEED = 2020  # torch-fidelity's default


class KernelInceptionDistance(FeatureMetric, TorchmetricsKID):
    r"""Kernel Inception Distance (Binkowski et al. 2018); lower is better.

    .. math::
        \mathrm{KID} = \mathrm{MMD}^2(f_r, f_g), \quad k(x, y) = (x^\top y / D + 1)^3

    where :math:`f_r` and :math:`f_g` are subsets of the features (N, D) of real and generated samples. The unbiased
    estimator of the squared maximum mean discrepancy, averaged over subsets, may be slightly negative. The subsets are
    those of torch-fidelity. Samples are sorted first, so that the subsets do not depend on their order.

    As input to ``update`` the metric accepts

    - ``images``: uint8 or float images in [-1, 1] (N, C, H, W), rows (N, D), or :class:`Features`
    - ``real``: bool, whether the samples are real

    As output of ``compute`` the metric returns a dictionary of float64 scalars: ``kid`` and ``kid_std``, mean and
    standard deviation over the subsets.

    Args:
        extractor: feature extractor.
        subsets: number of random subsets (default: 100, as in torch-fidelity).
        subset_size: number of samples of each kind in a subset, at least 2 (default: 1000).
        reference: precomputed statistics of the real samples.

    Raises:
        ConfigurationError: in ``compute``, ``subset_size`` is below 2 or above the number of samples of a kind.

    Example:
        >>> from ganmc_lightning.metrics import ClassifierExtractor
        >>> metric = KernelInceptionDistance(ClassifierExtractor(nn.Linear(1, 2)), subsets=1, subset_size=2)
        >>> metric.update(torch.zeros(2, 1), real=True)
        >>> metric.update(torch.ones(2, 1), real=False)
        >>> round(metric.compute()["kid"].item(), 2)  # k(0, 0) + k(1, 1) - 2 k(0, 1) = 1 + 8 - 2
        7.0
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        subsets: int = 100,
        subset_size: int = 1000,
        reference: ReferenceStatistics | None = None,
        **kwargs: Any,
    ) -> None:
        widths = dict.fromkeys((self.real_state, self.generated_state), extractor.num_features)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Metric .* will save all extracted features")
            super().__init__(
                extractor, widths, reference, feature=nn.Identity(), subsets=subsets, subset_size=subset_size, **kwargs
            )

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Return ``kid`` and ``kid_std``, float64 scalars."""
        real, fake = self.real_rows(), self.cat_state(self.generated_state)
        self.counts = {"real": len(real), "generated": len(fake)}
        self.check_num_samples(max(2, self.subset_size), "add more or reduce subset_size")
        if self.subset_size < 2:
            raise ConfigurationError(
                f"KernelInceptionDistance.subset_size: got {self.subset_size}, expected at least 2"
            )
        self.warnings = constant_feature_warnings(real=real, generated=fake)
        real, fake = sort_rows(real.double()), sort_rows(fake.double())
        random = np.random.RandomState(SEED)  # torch-fidelity's random numbers

        def subset(rows: Tensor) -> Tensor:
            index = random.choice(len(rows), self.subset_size, replace=False)
            return rows[torch.from_numpy(index).to(rows.device)]

        values = []
        for _ in range(self.subsets):
            fake_subset = subset(fake)  # first, in torch-fidelity's order
            values.append(poly_mmd(subset(real), fake_subset, self.degree, self.gamma, self.coef))
        distances = torch.stack(values)
        return {"kid": distances.mean(), "kid_std": distances.std(unbiased=False)}

    def settings(self) -> MetricSettings:
        """Return the settings with number and size of the subsets."""
        return {**super().settings(), "subsets": self.subsets, "subset_size": self.subset_size}
