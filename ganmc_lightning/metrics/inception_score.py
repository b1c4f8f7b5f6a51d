"""Inception Score with any extractor."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore as TorchmetricsIS

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.feature_metric import FeatureMetric, sort_rows
from ganmc_lightning.metrics.reported import Protocol

LEAST = 700.0
"""Logits further than this below a sample's largest have probability 0 in float64, which has no logarithm."""


class InceptionScore(FeatureMetric, TorchmetricsIS):
    """``exp E_x KL(p(y|x) || p(y))`` (Salimans et al. 2016); higher is better, 1 to the number of classes.

    torchmetrics' state, torch-fidelity's formula in float64 on its random splits, which are drawn from the samples
    sorted, so that their order does not matter.

    Args:
        extractor: turns samples into logits.
        splits: parts the score is computed on; their mean and standard deviation are given.
    """

    def __init__(self, extractor: FeatureExtractor, splits: int = 10, **kwargs: Any) -> None:
        if splits < 1:
            raise ConfigurationError(f"InceptionScore.splits must be at least 1, got {splits}")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Metric .* will save all extracted features")
            super().__init__(
                extractor, {"features": extractor.num_classes}, feature=nn.Identity(), splits=splits, **kwargs
            )

    def update(self, images: Tensor | Features, real: bool = False) -> None:
        """Add samples.

        Args:
            images: uint8 or float in [-1, 1] (N, C, H, W), rows (N, D), or their features.
            real: real samples are passed over, for the score compares with nothing. To score real samples, give
                them as if they were generated.

        Raises:
            ConfigurationError: samples the extractor does not take.
        """
        if not real:
            super().update(self.features_of(images, real).logits)

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Return ``inception_score`` and ``inception_score_std`` over the splits, float64 scalars.

        Raises:
            ConfigurationError: fewer than 2 samples in a split: one alone always scores 1.
        """
        from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

        logits = self.gathered("features")
        self.counts = {"generated": len(logits)}
        self.require(2 * self.splits, "give more or lower splits")
        self.flags = ()
        if len(logits.argmax(dim=1).unique()) == 1:
            self.flags = ("all samples in one class",)
        logits = sort_rows(logits).double()
        logits = torch.maximum(logits, logits.amax(dim=1, keepdim=True) - LEAST)
        found = isc_features_to_metric(logits, self.splits)
        names = {"inception_score": KEY_METRIC_ISC_MEAN, "inception_score_std": KEY_METRIC_ISC_STD}
        return {name: torch.tensor(found[key], dtype=torch.float64, device=self.device) for name, key in names.items()}

    def settings(self) -> Protocol:
        """The number of splits."""
        return {"splits": self.splits}
