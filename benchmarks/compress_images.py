"""Teacher and data of the trial of ``ganmc compress`` on CIFAR-10 (docs/compress.md).

    python -m benchmarks.compress_images FOLDER [--epochs 20]

The training images of CIFAR-10 are split, stratified by class: the teacher, timm's ``resnet18``, is trained on 30,000
and saved as a bare ``state_dict``, ``teacher.pt``. ``small.npz`` contains 10,000 others, and ``double.npz`` these and
the last 10,000, for a student with twice the labels; both contain the test images. So the teacher has not been trained
on the images that it labels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lightning as L
import numpy as np
import timm
import torch
from sklearn.model_selection import StratifiedShuffleSplit

from ganmc_lightning import ClassifierModule, GANAugmentedDataModule
from ganmc_lightning.cli.precision import resolve_precision
from ganmc_lightning.data import RandomCropFlip
from ganmc_lightning.data.datasets import CIFAR10, NpzFile

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZE = 10_000
LEARNING_RATE, BATCH = 0.1, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_data(arguments.folder)
    train_teacher(arguments.folder, arguments.epochs)


def write_data(folder: Path) -> None:
    data = GANAugmentedDataModule(CIFAR10())
    data.prepare_data()
    with np.load(data.root / "cifar10.npz") as file:
        arrays = {name: file[name] for name in ("train_images", "train_labels", "test_images", "test_labels")}
    labels = arrays["train_labels"]
    rest, ten = next(StratifiedShuffleSplit(1, test_size=SIZE, random_state=0).split(labels, labels))
    big, more = next(StratifiedShuffleSplit(1, test_size=SIZE, random_state=0).split(rest, labels[rest]))
    for name, rows in (("teacher", rest[big]), ("small", ten), ("double", np.concatenate([ten, rest[more]]))):
        subset = {"train_images": arrays["train_images"][rows], "train_labels": labels[rows]}
        np.savez(folder / f"{name}.npz", **{**arrays, **subset}, class_names=CLASSES)


def train_teacher(folder: Path, epochs: int) -> None:
    L.seed_everything(0)
    network = timm.create_model("resnet18", num_classes=10)
    data = GANAugmentedDataModule(
        NpzFile(folder / "teacher.npz"), batch_size=BATCH, augment=RandomCropFlip(4), validation_fraction=0.05
    )

    def optimizer(parameters):
        return torch.optim.SGD(parameters, LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def schedule(optimizer):
        return torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=epochs)

    trainer = L.Trainer(
        max_epochs=epochs,
        precision=resolve_precision("auto"),
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    module = ClassifierModule(network, optimizer, schedule)
    trainer.fit(module, data)
    print(trainer.test(module, data))
    torch.save(network.state_dict(), folder / "teacher.pt")


if __name__ == "__main__":
    main()
