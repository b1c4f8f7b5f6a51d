"""MLPClassifier: hand-computed values, any shape of sample, counts."""

from __future__ import annotations

import torch
from torch import nn

from ganmc_lightning.networks import MLPClassifier


def test_hand_computed_logits():
    mlp = MLPClassifier(2, 1, hidden=(2,))
    hidden = mlp.features[1]
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
        hidden.bias.copy_(torch.tensor([0.0, 0.5]))
        mlp.classifier.weight.copy_(torch.tensor([[2.0, 3.0]]))
        mlp.classifier.bias.fill_(1.0)
    # (3, 1): hidden relu(2, -1.5) = (2, 0) -> 2 * 2 + 1 = 5;  (0, 1): relu(-1, 1.5) -> 3 * 1.5 + 1 = 5.5
    logits = mlp(torch.tensor([[3.0, 1.0], [0.0, 1.0]]))
    assert torch.equal(logits, torch.tensor([[5.0], [5.5]]))


def test_images_and_their_rows_are_the_same():
    torch.manual_seed(0)
    mlp = MLPClassifier(3 * 4 * 4, 5)
    images = torch.randn(2, 3, 4, 4)
    assert torch.equal(mlp(images), mlp(images.flatten(1)))


def test_parameters():
    def count(mlp):
        return sum(parameter.numel() for parameter in mlp.parameters())

    assert count(MLPClassifier(64, 10)) == 65 * 64 + 65 * 10
    assert count(MLPClassifier(28, 2, hidden=(50, 20))) == 29 * 50 + 51 * 20 + 21 * 2
    assert count(MLPClassifier(28, 2, hidden=())) == 29 * 2


def test_no_hidden_layer_is_a_linear_map():
    torch.manual_seed(0)
    mlp = MLPClassifier(6, 3, hidden=())
    first, second = torch.randn(2, 4, 6)
    shift = mlp(torch.zeros(4, 6))
    assert torch.allclose(
        mlp(first + 2 * second) - shift, mlp(first) + 2 * mlp(second) - 3 * shift, rtol=1e-4, atol=1e-5
    )
    assert not list(mlp.features.parameters())


def test_dropout_after_every_hidden_layer_in_training_only():
    torch.manual_seed(0)
    mlp = MLPClassifier(8, 2, hidden=(32, 32), dropout=0.5)
    assert [layer.p for layer in mlp.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    rows = torch.randn(4, 8)
    assert not torch.equal(mlp(rows), mlp(rows))
    mlp.eval()
    assert torch.equal(mlp(rows), mlp(rows))
