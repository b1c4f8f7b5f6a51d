"""Write one or more valid files of each kind into ``FOLDER/KIND``: ``python seeds.py FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from ganmc_lightning.cli import main

NETWORK = (
    "class_path: ganmc_lightning.networks.MLPClassifier, init_args: {in_features: 64, num_classes: 3, hidden: [8]}"
)
TEACHER = f"""trainer: {{default_root_dir: OUT/teacher, max_epochs: 1, accelerator: cpu, precision: 32-true,
  enable_progress_bar: false, enable_model_summary: false}}
data:
  dataset: {{class_path: ganmc_lightning.data.datasets.NpzFile, init_args: {{path: SEEDS/npz/images.npz}}}}
  batch_size: 40
checkpoint: {{monitor: val/accuracy, mode: max}}
model:
  class_path: ganmc_lightning.modules.ClassifierModule
  init_args:
    network: {{{NETWORK}}}
    optimizer: {{class_path: torch.optim.Adam, init_args: {{lr: 0.01}}}}
"""
STUDENT = (
    TEACHER.replace("OUT/teacher", "OUT/student").partition("model:")[0]
    + f"""model:
  class_path: ganmc_lightning.modules.DistillationModule
  init_args:
    teacher: {{class_path: ganmc_lightning.networks.load_network, init_args: {{path: SEEDS/checkpoint/teacher.ckpt}}}}
    student: {{{NETWORK}}}
    loss: ganmc_lightning.losses.L2LogitsLoss
"""
)
ACGAN = (
    TEACHER.replace("OUT/teacher", "OUT/acgan")
    .replace("checkpoint: {monitor: val/accuracy, mode: max}\n", "")
    .partition("model:")[0]
    + """model:
  class_path: ganmc_lightning.modules.ACGANModule
  init_args:
    generator: {class_path: ganmc_lightning.networks.ACGANGenerator,
      init_args: {image_size: 8, channels: 1, num_classes: 3, latent_dim: 8, width: 4}}
    discriminator: {class_path: ganmc_lightning.networks.ACGANDiscriminator,
      init_args: {image_size: 8, channels: 1, num_classes: 3, width: 2, normalization: spectral, dropout: 0.0}}
"""
)


def write_seeds(folder: Path) -> None:
    """Write all seeds; two runs are trained for one epoch."""
    for kind in ("npz", "config", "checkpoint", "safetensors", "exported", "onnx", "skops", "table", "image"):
        (folder / kind).mkdir(parents=True)
    for kind in ("metrics", "result", "state", "experiment", "statistics", "pool", "booster", "plan"):
        (folder / kind).mkdir()
    write_arrays(folder)
    texts = {"teacher": TEACHER, "acgan": ACGAN, "student": STUDENT}
    for name, text in texts.items():
        (folder / "config" / f"{name}.yaml").write_text(
            text.replace("SEEDS", str(folder)).replace("OUT", str(folder / "runs"))
        )
    for name in ("teacher", "acgan"):
        assert main(["fit", "--config", str(folder / "config" / f"{name}.yaml")]) == 0
        run = folder / "runs" / name
        for checkpoint in ("best", "last"):
            target = folder / "checkpoint" / (f"{name}.ckpt" if checkpoint == "best" else f"{name}_last.ckpt")
            target.write_bytes((run / "checkpoints" / f"{checkpoint}.ckpt").read_bytes())
        (folder / "metrics" / f"{name}.csv").write_bytes((run / "metrics.csv").read_bytes())
        (folder / "result" / f"{name}.json").write_bytes((run / "result.json").read_bytes())
    write_networks(folder)
    write_models(folder)
    write_texts(folder)


def write_arrays(folder: Path) -> None:
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 255, (60, 8, 8, 1)).astype(np.uint8), np.arange(60) % 3
    arrays = {"train_images": images, "train_labels": labels, "test_images": images[:30], "test_labels": labels[:30]}
    np.savez(folder / "npz" / "images.npz", **arrays)
    np.savez_compressed(folder / "npz" / "names.npz", **arrays, class_names=np.array(["a", "b", "c"]))
    rows = random.normal(size=(40, 3))
    np.savez(folder / "npz" / "rows.npz", X=rows, y=labels[:40], sample_weight=np.ones(40))
    np.savez(folder / "npz" / "samples.npz", images=images[:9])
    np.savez(
        folder / "statistics" / "statistics.npz",
        mean=np.zeros(3),
        covariance=np.eye(3),
        features=np.zeros((5, 3), np.float32),
    )
    np.save(folder / "pool" / "inputs.npy", np.zeros((10, 3), np.float32))
    table = pd.DataFrame(
        {"size": rows[:, 0].round(3), "color": ["red", "blue"] * 20, "sold": ["yes", "no", "no", "yes"] * 10}
    )
    table.to_csv(folder / "table" / "table.csv", index=False)
    table.to_csv(folder / "table" / "table.tsv", index=False, sep="\t")
    (folder / "table" / "wide.csv").write_text(table.to_csv(index=False), encoding="utf-16")
    table.to_parquet(folder / "table" / "table.parquet")
    table.astype({"color": "category"}).to_parquet(folder / "table" / "zstd.parquet", compression="zstd")
    for name in ("rgb.png", "rgb.jpg", "rgb.gif", "rgb.bmp", "rgb.tiff", "rgb.webp", "rgb.ppm", "alpha.png"):
        mode = "RGBA" if name.startswith("alpha") else "RGB"
        pixels = random.integers(0, 255, (8, 8, len(mode))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "image" / name)


def write_networks(folder: Path) -> None:
    teacher = str(folder / "checkpoint" / "teacher.ckpt")
    assert main(["export", teacher, "--format", "safetensors,pt2,onnx", "--out", str(folder / "exports")]) == 0
    for kind, suffix in (("safetensors", ".safetensors"), ("exported", ".pt2"), ("onnx", ".onnx")):
        for file in (folder / "exports").rglob(f"*{suffix}"):
            (folder / kind / file.name).write_bytes(file.read_bytes())
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    torch.save({"model": network.state_dict(), "epoch": 3}, folder / "checkpoint" / "plain.pt")
    legacy = folder / "checkpoint" / "legacy.pt"
    torch.save(network.state_dict(), legacy, _use_new_zipfile_serialization=False)


def write_models(folder: Path) -> None:
    from ganmc_lightning.tabular.export import save_skops

    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 3)), np.arange(40) % 2
    save_skops(RandomForestClassifier(2, max_depth=2, random_state=0).fit(X, y), folder / "skops" / "forest.skops")


def write_texts(folder: Path) -> None:
    experiment = f"""experiment: demo
title: Demo
seeds: [0, 1]
stages:
  teacher: {{config: {folder}/config/teacher.yaml, overrides: {{trainer.max_epochs: 2}}}}
  student: {{config: {folder}/config/student.yaml, needs: [teacher], quick: {{data.batch_size: 20}}}}
quick: {{trainer.max_epochs: 1}}
report:
  rows:
    - {{name: Teacher, stage: teacher}}
"""
    (folder / "experiment" / "demo.yaml").write_text(experiment)
    fingerprint = {"configs": {"teacher": "0" * 64}, "source": "0" * 64, "data": {"images.npz": "0" * 64}}
    (folder / "state" / "state.json").write_text(json.dumps({"fingerprint": fingerprint, "status": "finished"}))
    plan = {"settings": {"seed": 0}, "epochs": 3, "precision": "32-true", "seconds": 2.5}
    (folder / "plan" / "plan.json").write_text(json.dumps(plan))


if __name__ == "__main__":
    write_seeds(Path(sys.argv[1]).resolve())
