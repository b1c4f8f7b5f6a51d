"""What a metric asks of a feature extractor."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.inputs import check_samples

DIGEST_LENGTH = 16


class Features(NamedTuple):
    """What an extractor says of samples; every metric of features takes it in place of the samples.

    Attributes:
        features: float32 (N, num_features), what FID, KID, PRDC and near copies compare.
        logits: float32 (N, num_classes), what the Inception Score reads.
    """

    features: Tensor
    logits: Tensor


class FeatureExtractor(nn.Module, ABC):
    """A trained network that turns samples into features, and never changes.

    It stays in evaluation mode, computes in float32 without a graph (whatever autocast says), and moves to the
    device of the samples it is given. Copies share it, for nothing changes it.

    Args:
        network: the trained network; it is frozen.
        name: what reports call the extractor.
        settings: what else decides on the features besides the weights, for the digest.
        num_features: length of a feature vector.
        num_classes: number of logits.

    Attributes:
        name: what reports call the extractor.
        digest: short hash of architecture, weights and settings.
        num_features: length of a feature vector.
        num_classes: number of logits.
    """

    def __init__(self, network: nn.Module, name: str, settings: str, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.name = name
        self.digest = digest_of(network, settings)
        self.num_features = num_features
        self.num_classes = num_classes
        self.eval()

    @abstractmethod
    def extract(self, samples: Tensor) -> Features:
        """Return the features of checked samples: images uint8 (N, C, H, W), rows float32 (N, D)."""

    @abstractmethod
    def protocol(self) -> dict[str, str]:
        """What a score must be printed with: ``extractor``, ``extractor_digest``, ``resize``."""

    def forward(self, samples: Tensor) -> Features:
        """Return the features of images (N, C, H, W), uint8 or float in [-1, 1], or of rows (N, D).

        Raises:
            ConfigurationError: samples that are out of range, not finite, or of a shape the network does not take.
        """
        checked = check_samples(samples)
        checked = checked.float() if checked.is_floating_point() else checked
        if len(samples) == 0:
            return Features(*(torch.zeros(0, size, device=samples.device) for size in self._sizes))
        if next(self.parameters(), samples).device != samples.device:
            self.to(samples.device)
        with torch.no_grad(), torch.autocast(samples.device.type, enabled=False):
            answer = Features(*(part.float() for part in self.extract(checked)))
        found = tuple(part.shape[1] for part in answer)
        if found != self._sizes:
            raise ConfigurationError(
                f"{self.name} answers with {found} features and logits where {self._sizes} are due"
            )
        return answer

    @property
    def _sizes(self) -> tuple[int, int]:
        return self.num_features, self.num_classes

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def digest_of(network: nn.Module, settings: str) -> str:
    """Short SHA-256 of a network's architecture, weights and buffers, and of ``settings``."""
    found = hashlib.sha256(f"{network!r}\n{settings}".encode())
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:DIGEST_LENGTH]
