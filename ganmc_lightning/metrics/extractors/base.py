"""Base class of feature extractors."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.inputs import check_samples

DIGEST_LENGTH = 16


class Features(NamedTuple):
    """Features and logits of samples; every :class:`FeatureMetric` accepts them instead of the samples.

    Attributes:
        features: float32 (N, num_features), used by FID, KID, PRDC and near duplicates.
        logits: float32 (N, num_classes), used by the Inception Score.
    """

    features: Tensor
    logits: Tensor


class FeatureExtractor(nn.Module, ABC):
    """Base class of feature extractors: a frozen network from samples to features and logits.

    It stays in evaluation mode, computes in float32 without a graph, autocast or TensorFloat-32, and moves to the
    device of its input. Copies share the network, which is never changed.

    Args:
        network: trained network; it is frozen.
        name: name in reports.
        digest_settings: settings, other than the network, that affect the features; part of the digest.
        num_features: length of a feature vector.
        num_classes: number of logits.

    Attributes:
        name: name in reports.
        digest: short hash of architecture, weights and settings.
        num_features: length of a feature vector.
        num_classes: number of logits.
    """

    def __init__(
        self, network: nn.Module, name: str, digest_settings: str, num_features: int, num_classes: int
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.name = name
        self.digest = compute_digest(network, digest_settings)
        self.num_features = num_features
        self.num_classes = num_classes
        self.eval()

    @abstractmethod
    def extract(self, samples: Tensor) -> Features:
        """Return the features of validated samples: uint8 images (N, C, H, W) or float32 rows (N, D)."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Return the settings to report with a metric: ``extractor``, ``extractor_digest``, ``resize``, ..."""

    def forward(self, samples: Tensor) -> Features:
        """Return the features of uint8 or float images in [-1, 1] (N, C, H, W), or of rows (N, D).

        Raises:
            ConfigurationError: samples are out of range, not finite, or of a shape that the network does not accept.
        """
        checked = check_samples(samples)
        checked = checked.float() if checked.is_floating_point() else checked
        if len(samples) == 0:
            return Features(*(torch.zeros(0, size, device=samples.device) for size in self._sizes))
        if next(self.parameters(), samples).device != samples.device:
            self.to(samples.device)
        with torch.no_grad(), torch.autocast(samples.device.type, enabled=False), _without_tf32():
            output = Features(*(values.float() for values in self.extract(checked)))
        sizes = tuple(values.shape[1] for values in output)
        if sizes != self._sizes:
            raise ConfigurationError(f"{self.name}: got {sizes} features and logits, expected {self._sizes}")
        return output

    @property
    def _sizes(self) -> tuple[int, int]:
        return self.num_features, self.num_classes

    def train(self, mode: bool = True) -> Self:
        """Ignore ``mode`` and stay in evaluation mode."""
        return super().train(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Compute in float32 on CUDA, also where training uses TensorFloat-32."""
    cudnn: Any = torch.backends.cudnn  # its submodules have no types
    operations = torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn
    before = [operation.fp32_precision for operation in operations]
    for operation in operations:
        operation.fp32_precision = "ieee"
    try:
        yield
    finally:
        for operation, precision in zip(operations, before, strict=True):
            operation.fp32_precision = precision


def compute_digest(network: nn.Module, settings: str) -> str:
    """Return a short SHA-256 of the architecture, weights and buffers of a network, and of ``settings``."""
    digest = hashlib.sha256(f"{network!r}\n{settings}".encode())
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:DIGEST_LENGTH]
