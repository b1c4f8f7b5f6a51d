"""Multi-layer perceptron, for rows and small images."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from ganmc_lightning.networks.base import FeatureClassifier


class MLPClassifier(FeatureClassifier):
    """Multi-layer perceptron with ReLU; inputs are flattened, so they may be rows or images.

    Args:
        in_features: number of values per sample, ``C * H * W`` for images.
        num_classes: number of classes.
        hidden: units of each hidden layer (default: one layer of 64 units); ``()`` is a linear classifier.
        dropout: dropout probability after each hidden layer (default: 0).

    Example:
        >>> import torch
        >>> mlp = MLPClassifier(in_features=64, num_classes=10)
        >>> mlp(torch.zeros(2, 1, 8, 8)).shape, sum(p.numel() for p in mlp.parameters())
        (torch.Size([2, 10]), 4810)
    """

    def __init__(
        self, in_features: int, num_classes: int, hidden: tuple[int, ...] = (64,), dropout: float = 0.0
    ) -> None:
        super().__init__()
        sizes = (in_features, *hidden)
        self.features = nn.Sequential(nn.Flatten(), *hidden_layers(sizes, dropout))
        self.classifier = nn.Linear(sizes[-1], num_classes)


def hidden_layers(sizes: tuple[int, ...], dropout: float) -> list[nn.Module]:
    """Build a linear layer, ReLU and dropout for each pair of consecutive ``sizes``."""
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    return layers
