"""Learning curves, configuration, sample grids and checkpoint of an offline W&B run."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganmc_lightning.runs.metrics_csv import read_metrics

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # raised inside wandb


def records_of(file: Path) -> list[Any]:
    """Read the messages of an offline run from its file, a log in LevelDB's format."""
    from wandb.proto import wandb_internal_pb2

    content = file.read_bytes()
    records, message, at = [], b"", 7  # after the file's header
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # too small for a header: padding of the block
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        if at + 7 + length > len(content):
            break  # still being written
        message += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            records.append(record)
            message = b""
    return records


def complete_records_of(file: Path) -> list[Any]:
    """Read all messages; W&B's process may still be writing after the run has ended."""
    for _ in range(600):
        records = records_of(file)
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        time.sleep(0.1)
    raise AssertionError("W&B never wrote the end of the run")


@pytest.fixture
def over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configuration of an offline logger."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_CONSOLE", "off")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staged"))
    file = tmp_path / "wandb.yaml"
    file.write_text(
        "trainer:\n  logger:\n    class_path: lightning.pytorch.loggers.WandbLogger\n"
        f"    init_args: {{project: tiny, log_model: true, save_dir: {tmp_path}}}\n"
    )
    return file


def test_offline_run(ganmc: Callable[..., Any], configs: Any, tmp_path: Path, over: Path) -> None:
    assert ganmc("fit", "--config", configs.acgan, "--config", over).status == 0
    (run,) = tmp_path.glob("wandb/offline-run-*")
    (file,) = run.glob("*.wandb")
    records = complete_records_of(file)

    logged: dict[str, list[str]] = {}
    for record in records:
        for item in record.history.item:
            logged.setdefault("/".join(item.nested_key) or item.key, []).append(item.value_json)
    rows = read_metrics(tmp_path / "runs" / "acgan" / "metrics.csv")
    for name in ("train/loss_generator", "train/loss_discriminator", "val/compression_score"):
        assert [float(value) for value in logged[name]] == pytest.approx(
            [float(r[name]) for r in rows if name in r], rel=1e-5, abs=1e-6
        )

    config: dict[str, Any] = {}
    for record in records:
        for item in [*record.run.config.update, *record.config.update]:
            config["/".join(item.nested_key) or item.key] = yaml.safe_load(item.value_json)
    assert config["trainer"]["max_epochs"] == 2
    assert config["model"]["init_args"]["generator"]["init_args"]["latent_dim"] == 8
    assert config["data"]["batch_size"] == 27

    artifacts = [record.artifact for record in records if record.WhichOneof("record_type") == "artifact"]
    models = {tuple(sorted(one.aliases)): one.manifest.contents[0] for one in artifacts if one.type == "model"}
    checkpoints = tmp_path / "runs" / "acgan" / "checkpoints"
    assert {aliases: (file.path, file.size) for aliases, file in models.items()} == {
        ("best", "latest"): ("model.ckpt", (checkpoints / "best.ckpt").stat().st_size),
        ("latest",): ("model.ckpt", (checkpoints / "last.ckpt").stat().st_size),
    }

    assert [record.exit.exit_code for record in records if record.WhichOneof("record_type") == "exit"] == [0]

    images = sorted(path.name for path in (run / "files").rglob("*.png"))
    assert len(images) == 2
    assert all(name.startswith("samples_") for name in images)
    own = sorted((tmp_path / "runs" / "acgan" / "samples").iterdir())
    sent = sorted((run / "files").rglob("*.png"), key=lambda path: path.name.split("_")[1].zfill(8))
    assert [path.read_bytes() for path in sent] == [path.read_bytes() for path in own]


def test_failed_run(ganmc: Callable[..., Any], configs: Any, tmp_path: Path, over: Path) -> None:
    arguments = ["--config", configs.teacher, "--config", over, "--model.optimizer.lr", "1e30"]
    assert ganmc("fit", *arguments, "--trainer.default_root_dir", tmp_path / "run").status != 0
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    exits = [record.exit for record in complete_records_of(file) if record.WhichOneof("record_type") == "exit"]
    assert [each.exit_code for each in exits] == [1]
