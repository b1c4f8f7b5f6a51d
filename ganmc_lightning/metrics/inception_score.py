"""Inception Score with any feature extractor."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore as TorchmetricsIS

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.base import FeatureMetric, MetricSettings, sort_rows
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features

MAX_LOGIT_GAP = 700.0
"""Maximum difference to the largest logit; with larger ones, a probability is 0 in float64 and has no logarithm."""


class InceptionScore(FeatureMetric, TorchmetricsIS):
    r"""Inception Score (Salimans et al. 2016); higher is better, from 1 to the number of classes.

    .. math::
        \mathrm{IS} = \exp\left(\mathbb{E}_x\, \mathrm{KL}(p(y|x) \,\|\, p(y))\right)

    where :math:`p(y|x)` is the softmax of the extractor's logits of sample :math:`x` and :math:`p(y)` its mean over
    the samples of a split. Formula and random splits are those of torch-fidelity, in float64. Samples are sorted first,
    so that the splits do not depend on their order.

    As input to ``update`` the metric accepts

    - ``images``: uint8 or float images in [-1, 1] (N, C, H, W), rows (N, D), or :class:`Features`
    - ``real``: bool, False by default; real samples are ignored

    As output of ``compute`` the metric returns a dictionary of float64 scalars: ``inception_score`` and
    ``inception_score_std``, mean and standard deviation over the splits.

    Args:
        extractor: feature extractor.
        splits: number of splits, at least 1 (default: 10, as in the paper).

    Raises:
        ConfigurationError: ``splits`` is below 1; in ``compute``, a split has fewer than 2 samples.

    Example:
        >>> from ganmc_lightning.metrics import ClassifierExtractor
        >>> layer = nn.Linear(2, 2)
        >>> _ = layer.load_state_dict({"weight": 20 * torch.eye(2), "bias": torch.zeros(2)})
        >>> metric = InceptionScore(ClassifierExtractor(layer), splits=1)
        >>> metric.update(torch.eye(2).repeat(5, 1))  # confident predictions, both classes equally often
        >>> round(metric.compute()["inception_score"].item(), 2)
        2.0
    """

    def __init__(self, extractor: FeatureExtractor, splits: int = 10, **kwargs: Any) -> None:
        if splits < 1:
            raise ConfigurationError(f"InceptionScore.splits: got {splits}, expected at least 1")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Metric .* will save all extracted features")
            super().__init__(
                extractor, {"features": extractor.num_classes}, feature=nn.Identity(), splits=splits, **kwargs
            )

    def update(self, images: Tensor | Features, real: bool = False) -> None:
        """Add generated samples; ignore real ones. To score real samples, pass them with ``real=False``."""
        if not real:
            super().update(images, real)

    def _store(self, features: Features, real: bool) -> None:
        self.features.append(features.logits)

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]
        """Return ``inception_score`` and ``inception_score_std``, float64 scalars."""
        from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

        logits = self.cat_state("features")
        self.counts = {"generated": len(logits)}
        self.check_num_samples(2 * self.splits, "add more or reduce splits")  # a split of one sample always has score 1
        self.warnings = ("all samples in one class",) if len(logits.argmax(dim=1).unique()) == 1 else ()
        logits = sort_rows(logits).double()
        logits = torch.maximum(logits, logits.amax(dim=1, keepdim=True) - MAX_LOGIT_GAP)
        scores = isc_features_to_metric(logits, self.splits)
        names = {"inception_score": KEY_METRIC_ISC_MEAN, "inception_score_std": KEY_METRIC_ISC_STD}
        return {name: torch.tensor(scores[key], dtype=torch.float64, device=self.device) for name, key in names.items()}

    def settings(self) -> MetricSettings:
        """Return the settings with the number of splits."""
        return {**super().settings(), "splits": self.splits}
