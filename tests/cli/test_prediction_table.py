from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ganmc_lightning.cli.callbacks import PredictionWriter
from ganmc_lightning.cli.prediction_table import write_prediction_table
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.modules import ClassifierModule

PROBABILITIES = torch.tensor([[0.2, 0.8], [0.9, 0.1], [0.3, 0.7]])
LABELS = torch.tensor([1, -1, 0])


def test_names_are_quoted_and_unknown_labels_empty(tmp_path: Path) -> None:
    write_prediction_table(tmp_path / "a.csv", PROBABILITIES, LABELS, ("dog, small", "cät"))
    assert (tmp_path / "a.csv").read_text("utf-8").splitlines() == [
        "sample,label,prediction,probability",
        "0,cät,cät,0.8000",
        '1,,"dog, small",0.9000',
        '2,"dog, small",cät,0.7000',
    ]


def test_unnamed_classes_are_numbered(tmp_path: Path) -> None:
    write_prediction_table(tmp_path / "a.csv", PROBABILITIES, LABELS, ())
    assert (tmp_path / "a.csv").read_text("utf-8").splitlines()[1:] == ["0,1,1,0.8000", "1,,0,0.9000", "2,0,1,0.7000"]


def test_class_names_are_written_with_the_predictions(tmp_path: Path, make_trainer, data_root: Path) -> None:
    with np.load(data_root / "tiny.npz") as archive:
        np.savez(tmp_path / "named.npz", **archive, class_names=np.array(["left", "middle", "right"]))
    data = GANAugmentedDataModule(NpzFile(tmp_path / "named.npz"))
    module = ClassifierModule(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)))
    make_trainer(callbacks=[PredictionWriter()]).predict(module, data, return_predictions=False)
    with np.load(tmp_path / "predictions.npz") as archive:
        assert archive["class_names"].tolist() == ["left", "middle", "right"]
        predicted = archive["class_names"][archive["probabilities"].argmax(axis=1)]
    rows = (tmp_path / "predictions.csv").read_text("utf-8").splitlines()[1:]
    assert [row.split(",")[2] for row in rows] == predicted.tolist()
