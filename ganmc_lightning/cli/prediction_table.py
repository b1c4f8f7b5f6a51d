"""``predictions.csv``: predicted class of each test sample, by name."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ganmc_lightning.batch import UNKNOWN_LABEL
from ganmc_lightning.io.atomic import atomic_write


def write_prediction_table(path: Path, probabilities: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
    """Write a CSV file with the columns sample, label, prediction (the most probable class) and probability.

    Args:
        path: the file.
        probabilities: float (N, K).
        labels: int64 (N,); the cell of an unknown label is empty.
        class_names: K names in the order of the labels; empty to write class numbers.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "predictions.csv"
        >>> write_prediction_table(path, torch.tensor([[0.25, 0.75]]), torch.tensor([0]), ["cat", "dog"])
        >>> path.read_text().splitlines()
        ['sample,label,prediction,probability', '0,cat,dog,0.7500']
    """
    names = class_names or [str(k) for k in range(probabilities.shape[1])]
    highest, predicted = probabilities.max(dim=1)
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sample", "label", "prediction", "probability"])
        columns = zip(labels.tolist(), predicted.tolist(), highest.tolist(), strict=True)
        for sample, (label, prediction, probability) in enumerate(columns):
            name = "" if label == UNKNOWN_LABEL else names[label]
            writer.writerow([sample, name, names[prediction], f"{probability:.4f}"])
