from __future__ import annotations

from pathlib import Path

import torch

from ganmc_lightning.data.datasets.base import ImageFileDataset, TensorDataset

ROWS = torch.arange(5.0).view(5, 1)
LABELS = torch.arange(5) * 10
INDEX = torch.tensor([4, 1])


def test_subset_keeps_inputs_labels_and_weights_together() -> None:
    subset = TensorDataset(ROWS, LABELS, ROWS[:, 0] + 0.5).subset(INDEX)
    assert subset.inputs.flatten().tolist() == [4.0, 1.0]
    assert subset.labels.tolist() == [40, 10]
    assert subset.weights is not None
    assert subset.weights.tolist() == [4.5, 1.5]
    assert TensorDataset(ROWS, LABELS).subset(INDEX).weights is None


def test_other_inputs_and_another_device_keep_the_weights() -> None:
    data = TensorDataset(ROWS, LABELS, ROWS[:, 0])
    changed = data.with_inputs(-ROWS).to(torch.device("cpu"))
    assert torch.equal(changed.inputs, -ROWS)
    assert torch.equal(changed.labels, LABELS)
    assert changed.weights is not None
    assert torch.equal(changed.weights, ROWS[:, 0])


def test_subset_of_files(tmp_path: Path) -> None:
    subset = ImageFileDataset(tmp_path, [f"{k}.png" for k in range(5)], LABELS, 8, 8).subset(INDEX)
    assert isinstance(subset, ImageFileDataset)
    assert subset.labels.tolist() == [40, 10]
