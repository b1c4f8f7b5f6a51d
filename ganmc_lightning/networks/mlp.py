"""Multi-layer perceptrons, for rows and for small images."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class MLPClassifier(nn.Module):
    """Dense layers with ReLU and a linear output. It flattens its input: rows and images are welcome.

    Args:
        in_features: numbers in one sample, ``C * H * W`` for images.
        num_classes: classes it tells apart.
        hidden: units of each hidden layer; none makes it a linear classifier.
        dropout: drop-out probability after each hidden layer.

    Example:
        >>> import torch
        >>> mlp = MLPClassifier(in_features=64, num_classes=10)
        >>> mlp(torch.zeros(2, 1, 8, 8)).shape, mlp(torch.zeros(2, 64)).shape
        (torch.Size([2, 10]), torch.Size([2, 10]))
    """

    def __init__(
        self, in_features: int, num_classes: int, hidden: tuple[int, ...] = (64,), dropout: float = 0.0
    ) -> None:
        super().__init__()
        sizes = (in_features, *hidden)
        self.features = nn.Sequential(nn.Flatten(), *hidden_layers(sizes, dropout))
        self.classifier = nn.Linear(sizes[-1], num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of float samples (N, ...) with ``in_features`` numbers each."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits


def hidden_layers(sizes: tuple[int, ...], dropout: float) -> list[nn.Module]:
    """A linear layer with ReLU and dropout from each of ``sizes`` to the next."""
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        layers += [nn.Linear(size_in, size_out), nn.ReLU(inplace=True), nn.Dropout(dropout)]
    return layers
