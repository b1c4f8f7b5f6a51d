"""`ganmc fit`, `validate`, `test` and `predict` on tiny networks: files, precedence, interruption."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.modules import ACGANModule, ClassifierModule, DistillationModule
from ganmc_lightning.networks import load_generator, load_network
from ganmc_lightning.runs.metrics_csv import read_metrics

Ganmc = Callable[..., Any]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- fit -----------------------------------------------------------------------------------------------------


def test_run_folder_of_a_classifier(trained: Any) -> None:
    assert set(files_of(trained.teacher)) == {
        "config.yaml",
        "metrics.csv",
        "result.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    rows = read_metrics(trained.teacher / "metrics.csv")
    assert sum("train/loss" in row for row in rows) == 2
    accuracies = [float(row["val/accuracy"]) for row in rows if "val/accuracy" in row]
    result = json.loads((trained.teacher / "result.json").read_text())
    assert result["metrics"]["val/accuracy"] == pytest.approx(max(accuracies), rel=1e-5, abs=1e-6)
    assert result["steps"] == 8
    assert result["parameters"] == 64 * 16 + 16 + 16 * 3 + 3
    assert result["flops"] == 2 * (64 * 16 + 16 * 3)
    assert result["train_seconds"] > 0
    assert result["command"].startswith("ganmc fit --config ")
    config = yaml.safe_load((trained.teacher / "config.yaml").read_text())
    assert config["model"]["init_args"]["network"]["init_args"]["hidden"] == [16]
    assert config["trainer"]["max_epochs"] == 2
    assert config["seed_everything"] == 0


def test_run_folder_of_a_gan(trained: Any) -> None:
    assert set(files_of(trained.acgan)) >= {"checkpoints/best.ckpt", "samples/epoch_0001.png", "samples/epoch_0002.png"}
    with Image.open(trained.acgan / "samples" / "epoch_0002.png") as image:
        assert image.size == (
            37 * 14,
            28 * 14,
        )  # 4 x 3 samples of 8 pixels, lines of 1; at least 480 wide
    result = json.loads((trained.acgan / "result.json").read_text())
    scores = [
        float(row["val/compression_score"])
        for row in read_metrics(trained.acgan / "metrics.csv")
        if "val/compression_score" in row
    ]
    assert result["metrics"]["val/compression_score"] == pytest.approx(max(scores), rel=1e-5, abs=1e-6)
    generator = load_generator(str(trained.generator_checkpoint))
    assert result["parameters"] == sum(parameter.numel() for parameter in generator.parameters())
    checkpoint = torch.load(trained.generator_checkpoint.with_name("last.ckpt"), weights_only=True)
    assert not torch.equal(
        checkpoint["state_dict"]["generator.project.weight"], checkpoint["generator_ema_raw"]["project.weight"]
    )


@pytest.mark.parametrize(
    ("name", "arguments", "parts"),
    [
        ("KnowledgeDistillationLoss", {"standardize_logits": True, "temperature": 2.0}, ("soft", "hard")),
        ("DecoupledKnowledgeDistillationLoss", {"beta": 2.0}, ("target_class", "other_classes", "hard")),
    ],
)
def test_distillation_losses(
    ganmc: Ganmc, configs: Any, tmp_path: Path, name: str, arguments: dict[str, Any], parts: tuple[str, ...]
) -> None:
    loss = {"class_path": f"ganmc_lightning.losses.{name}", "init_args": arguments}
    config = tmp_path / "loss.yaml"
    config.write_text(yaml.safe_dump({"model": {"init_args": {"loss": loss}}}))
    assert ganmc("fit", "--config", configs.student, "--config", config).status == 0
    rows = read_metrics(tmp_path / "runs" / "student" / "metrics.csv")
    values = [float(row[f"train/loss_{part}"]) for row in rows for part in parts if f"train/loss_{part}" in row]
    assert len(values) >= 2 * len(parts)
    assert np.isfinite(values).all()


def test_distillation_with_synthetic_samples(ganmc: Ganmc, configs: Any, tmp_path: Path, trained: Any) -> None:
    before = files_of(trained.teacher) | files_of(trained.acgan)
    assert ganmc("fit", "--config", configs.student).status == 0
    folder = tmp_path / "runs" / "student"
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert {name.partition(".")[0] for name in checkpoint["state_dict"]} == {"student"}
    assert checkpoint["GANAugmentedDataModule"]["step"] in (4, 8)
    rows = read_metrics(folder / "metrics.csv")
    assert any("train/agreement" in row for row in rows)
    assert files_of(trained.teacher) | files_of(trained.acgan) == before


def test_initial_weights_are_tested_without_a_checkpoint(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    folder = tmp_path / "untrained"
    test = ["test", "--config", configs.teacher, "--trainer.default_root_dir", folder]
    assert ganmc(*test).status == 2  # no checkpoint in the folder
    assert ganmc(*test, "--ckpt_path", "initial").status == 0
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert 0 <= result["metrics"]["test/accuracy"] <= 1
    assert result["parameters"] > 0
    assert result["flops"] > 0
    assert "steps" not in result


def test_the_seed_determines_the_weights(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    states = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        folder = tmp_path / name
        outcome = ganmc(
            "fit", "--config", configs.teacher, "--seed_everything", str(seed), "--trainer.default_root_dir", folder
        )
        assert outcome.status == 0
        states.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    weights = [state["network.classifier.weight"] for state in states]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_run_is_not_overwritten(ganmc: Ganmc, configs: Any, trained: Any) -> None:
    before = files_of(trained.teacher)
    fit = ["fit", "--config", configs.teacher, "--trainer.default_root_dir", trained.teacher]
    repeated = ganmc(*fit)
    assert (repeated.status, repeated.err) == (0, "")
    assert "already finished" in repeated.out
    outcome = ganmc(*fit, "--data.batch_size", "7")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert f"--ckpt_path {trained.teacher}/checkpoints/last.ckpt" in outcome.err
    assert files_of(trained.teacher) == before


def test_resumed_run_is_the_uninterrupted_one(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit = ["fit", "--config", configs.student]
    assert ganmc(*fit, "--trainer.default_root_dir", whole, "--trainer.max_epochs", "4").status == 0
    assert ganmc(*fit, "--trainer.default_root_dir", parts).status == 0
    resume = ["--trainer.max_epochs", "4", "--ckpt_path", parts / "checkpoints" / "last.ckpt"]
    assert ganmc(*fit, "--trainer.default_root_dir", parts, *resume).status == 0
    assert read_metrics(whole / "metrics.csv") == read_metrics(parts / "metrics.csv")
    one, other = (torch.load(f / "checkpoints" / "last.ckpt", weights_only=True) for f in (whole, parts))
    for key, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][key])
    results = [json.loads((folder / "result.json").read_text()) for folder in (whole, parts)]
    for key in ("metrics", "steps", "parameters", "flops"):
        assert results[0][key] == results[1][key]


def test_resuming_a_finished_run_changes_nothing(ganmc: Ganmc, configs: Any, copy_of_teacher: Path) -> None:
    before = files_of(copy_of_teacher)
    fit = ["fit", "--config", configs.teacher, "--trainer.default_root_dir", copy_of_teacher]
    last = copy_of_teacher / "checkpoints" / "last.ckpt"
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert ganmc(*fit, "--ckpt_path", last).status == 0
    after = files_of(copy_of_teacher)
    for name in ("metrics.csv", "checkpoints/best.ckpt"):
        assert after[name] == before[name]
    for name, value in torch.load(last, weights_only=True)["state_dict"].items():
        assert torch.equal(value, weights[name])
    results = [json.loads(files["result.json"]) for files in (before, after)]
    for key in ("metrics", "steps", "parameters", "flops"):
        assert results[0][key] == results[1][key]


def test_last_checkpoint_is_the_most_recent_not_the_best(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    highest = ["--checkpoint.monitor", "val/cross_entropy", "--checkpoint.mode", "max", "--trainer.max_epochs", "3"]
    assert ganmc("fit", "--config", configs.teacher, "--trainer.default_root_dir", folder, *highest).status == 0
    best, last = (torch.load(folder / "checkpoints" / f"{n}.ckpt", weights_only=True) for n in ("best", "last"))
    assert best["epoch"] == 0  # the loss decreases; mode is max
    assert last["epoch"] == 2


# -- validate, test, predict ---------------------------------------------------------------------------------


@pytest.fixture
def copy_of_teacher(trained: Any, tmp_path: Path) -> Path:
    """A writable copy of the teacher's run folder."""
    folder = tmp_path / "copy"
    for name, content in files_of(trained.teacher).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def accuracy(checkpoint: Path, data_root: Path) -> float:
    """Accuracy on the test images, computed without Lightning."""
    network = load_network(str(checkpoint), "network")
    test = NpzFile(data_root / "tiny.npz").load(Path()).test
    with torch.no_grad():
        predictions = network(test.inputs.float() * (2 / 255) - 1).argmax(dim=1)
    return (predictions == test.labels).double().mean().item()


def test_test_evaluates_the_best_checkpoint(ganmc: Ganmc, configs: Any, copy_of_teacher: Path, data_root: Path) -> None:
    before = files_of(copy_of_teacher)
    outcome = ganmc("test", "--config", configs.teacher, "--trainer.default_root_dir", copy_of_teacher)
    assert outcome.status == 0
    assert "test/accuracy" in outcome.out
    after = files_of(copy_of_teacher)
    result = json.loads(after.pop("result.json"))
    expected = accuracy(copy_of_teacher / "checkpoints" / "best.ckpt", data_root)
    assert result["metrics"].pop("test/accuracy") == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert result["metrics"].pop("test/cross_entropy") > 0
    assert result == json.loads(before.pop("result.json"))  # fields of `ganmc fit` are kept
    assert after == before  # including metrics.csv


def test_validate_prints_the_metrics_of_the_best_epoch(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = ["--config", configs.teacher, "--trainer.default_root_dir", folder]
    run += ["--model.init_args.optimizer.init_args.lr", "0.005"]
    run += ["--checkpoint.monitor", "val/cross_entropy", "--checkpoint.mode", "max"]  # the first epoch: loss decreases
    assert ganmc("fit", *run).status == 0
    before = files_of(folder)
    outcome = ganmc("validate", *run)
    assert outcome.status == 0
    printed = dict(re.findall(r"(val/\w+)\W+([\d.]+)", outcome.out))
    rows = [row for row in read_metrics(folder / "metrics.csv") if "val/accuracy" in row]
    for name in ("val/accuracy", "val/cross_entropy"):
        assert float(printed[name]) == pytest.approx(float(rows[0][name]), abs=1e-4)
        assert float(rows[0][name]) != pytest.approx(float(rows[-1][name]), abs=1e-2)
    assert files_of(folder) == before


def test_config_of_a_run_works_with_the_other_commands(ganmc: Ganmc, trained: Any, copy_of_teacher: Path) -> None:
    """The resolved configuration contains the keys of ``fit`` without the checkpoint that the run resumed from."""
    fit = ["fit", "--config", copy_of_teacher / "config.yaml", "--trainer.default_root_dir", copy_of_teacher]
    last = copy_of_teacher / "checkpoints" / "last.ckpt"
    assert ganmc(*fit, "--trainer.max_epochs", "3", "--ckpt_path", last).status == 0
    assert yaml.safe_load((copy_of_teacher / "config.yaml").read_text())["ckpt_path"] is None
    assert ganmc("test", "--config", copy_of_teacher / "config.yaml").status == 0
    assert "test/accuracy" in json.loads((copy_of_teacher / "result.json").read_text())["metrics"]
    assert "test/accuracy" not in json.loads((trained.teacher / "result.json").read_text())["metrics"]


@pytest.mark.parametrize("option", [("--trainer.fast_dev_run", "true"), ("--trainer.limit_test_batches=1",)])
def test_metrics_of_a_part_of_the_data_are_not_written(
    ganmc: Ganmc, configs: Any, copy_of_teacher: Path, option: tuple[str, ...]
) -> None:
    before = files_of(copy_of_teacher)
    outcome = ganmc("test", "--config", configs.teacher, "--trainer.default_root_dir", copy_of_teacher, *option)
    assert outcome.status == 0, outcome.err
    assert "result.json: not changed, because only a part of the data was tested" in outcome.out
    assert files_of(copy_of_teacher) == before


def test_metrics_of_other_weights_than_the_best_are_not_written(
    ganmc: Ganmc, configs: Any, trained: Any, copy_of_teacher: Path
) -> None:
    test = ["test", "--config", configs.teacher, "--trainer.default_root_dir", copy_of_teacher]
    best = copy_of_teacher / "checkpoints" / "best.ckpt"
    assert ganmc(*test, "--ckpt_path", best).status == 0  # as `ganmc reproduce` does
    before = files_of(copy_of_teacher)
    assert "test/accuracy" in json.loads(before["result.json"])["metrics"]
    for other in ("initial", best.with_name("last.ckpt"), trained.teacher / "checkpoints" / "best.ckpt"):
        outcome = ganmc(*test, "--ckpt_path", other)
        assert outcome.status == 0, outcome.err
        assert f"result.json: not changed, because it describes {best}" in outcome.out
        assert files_of(copy_of_teacher) == before


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_run_that_was_moved(ganmc: Ganmc, copy_of_teacher: Path, command: str) -> None:
    """The configuration of a copy names the original folder, which must not be evaluated or changed."""
    config = copy_of_teacher / "config.yaml"
    outcome = ganmc(command, "--config", config)
    assert outcome.status == 2
    assert f"for a run that was moved, add --trainer.default_root_dir {copy_of_teacher}" in outcome.err
    assert ganmc(command, "--config", config, "--trainer.default_root_dir", copy_of_teacher).status == 0


def test_predict_writes_probabilities(ganmc: Ganmc, configs: Any, copy_of_teacher: Path, data_root: Path) -> None:
    before = files_of(copy_of_teacher)
    outcome = ganmc("predict", "--config", configs.teacher, "--trainer.default_root_dir", copy_of_teacher)
    assert outcome.status == 0
    assert str(copy_of_teacher / "predictions.npz") in outcome.out
    with np.load(copy_of_teacher / "predictions.npz", allow_pickle=False) as archive:
        arrays = dict(archive)
    assert arrays.keys() == {"probabilities", "labels", "format_version"}
    assert arrays["probabilities"].dtype == np.float32
    assert arrays["labels"].dtype == np.int64
    test = NpzFile(data_root / "tiny.npz").load(Path()).test
    network = load_network(str(copy_of_teacher / "checkpoints" / "best.ckpt"), "network")
    with torch.no_grad():
        expected = network(test.inputs.float() * (2 / 255) - 1).softmax(dim=1)
    np.testing.assert_allclose(arrays["probabilities"], expected.numpy(), rtol=1e-5, atol=1e-5)
    assert arrays["labels"].tolist() == test.labels.tolist()
    after = files_of(copy_of_teacher)
    for name in ("predictions.npz", "predictions.csv"):
        del after[name]
    assert after == before
    with (copy_of_teacher / "predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [int(row["prediction"]) for row in table] == expected.argmax(dim=1).tolist()
    assert [int(row["label"]) for row in table] == test.labels.tolist()


def test_predict_with_a_gan_generates_samples(ganmc: Ganmc, configs: Any, trained: Any, tmp_path: Path) -> None:
    arguments = ["--trainer.default_root_dir", tmp_path / "out", "--ckpt_path", trained.generator_checkpoint]
    assert ganmc("predict", "--config", configs.acgan, *arguments).status == 0
    with np.load(tmp_path / "out" / "predictions.npz") as archive:
        assert archive["samples"].shape == (40, 1, 8, 8)
        assert np.abs(archive["samples"]).max() <= 1
        assert archive["labels"].shape == (40,)


def test_predict_requires_one_process(ganmc: Ganmc, configs: Any, copy_of_teacher: Path) -> None:
    before = files_of(copy_of_teacher)
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    outcome = ganmc("predict", "--config", configs.teacher, "--trainer.default_root_dir", copy_of_teacher, *two)
    assert outcome.status == 2
    assert outcome.err == "ganmc: trainer.devices: got 2, expected 1 for predict\n"
    assert files_of(copy_of_teacher) == before


def test_forked_processes_are_refused(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    """They would return neither metrics nor steps for ``result.json``."""
    forked = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.strategy", "ddp_fork"]
    outcome = ganmc("fit", "--config", configs.teacher, "--trainer.default_root_dir", tmp_path / "run", *forked)
    assert outcome.status == 2
    assert outcome.err.startswith("ganmc: trainer.strategy: got ddp_fork, expected ddp: ")


@pytest.mark.parametrize("command", ["validate", "test"])
def test_evaluating_a_gan(ganmc: Ganmc, configs: Any, trained: Any, tmp_path: Path, command: str) -> None:
    arguments = ["--trainer.default_root_dir", tmp_path / "out", "--ckpt_path", trained.generator_checkpoint]
    outcome = ganmc(command, "--config", configs.acgan, *arguments)
    if command == "validate":
        assert outcome.status == 0
        assert "val/compression_score" in outcome.out
    else:
        assert outcome.status == 2
        assert outcome.err.count("\n") == 1
        assert "test" in outcome.err


# -- precedence ----------------------------------------------------------------------------------------------


def test_command_line_over_files_over_defaults(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    over = tmp_path / "over.yaml"
    over.write_text("seed_everything: 5\ntrainer: {max_epochs: 1, log_every_n_steps: 3}\n")
    outcome = ganmc(
        "fit", "--config", configs.teacher, "--config", over, "--trainer.log_every_n_steps", "4", "--print_config"
    )
    assert outcome.status == 0
    config = yaml.safe_load(outcome.out)
    assert config["seed_everything"] == 5
    assert config["trainer"]["max_epochs"] == 1
    assert config["trainer"]["log_every_n_steps"] == 4
    assert config["trainer"]["accelerator"] == "cpu"
    assert not (tmp_path / "runs").exists()


def test_checkpoint_overrides_neither_command_line_nor_file(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    """The checkpoint was saved with dropout 0.2; the resumed run uses the present configuration."""
    drops: list[float] = []

    class Probe(ClassifierModule):
        def on_fit_start(self) -> None:
            drops.append(next(m.p for m in self.modules() if isinstance(m, torch.nn.Dropout)))

    folder = tmp_path / "run"
    fit = ["fit", "--config", configs.teacher, "--trainer.default_root_dir", folder]
    last = ["--ckpt_path", folder / "checkpoints" / "last.ckpt"]
    dropout = "--model.init_args.network.init_args.dropout"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassifierModule, "on_fit_start", Probe.on_fit_start, raising=False)
        assert ganmc(*fit, "--trainer.max_epochs", "1").status == 0
        assert ganmc(*fit, "--trainer.max_epochs", "2", *last, dropout, "0.4").status == 0
        text = configs.teacher.read_text().replace("dropout: 0.2", "dropout: 0.3")
        configs.teacher.write_text(text)
        assert ganmc(*fit, "--trainer.max_epochs", "3", *last).status == 0
    assert drops == [0.2, 0.4, 0.3]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["model"]["init_args"]["network"]["init_args"]["dropout"] == 0.3


# -- checkpoints ---------------------------------------------------------------------------------------------


def test_checkpoints_load_without_their_configuration(ganmc: Ganmc, configs: Any, tmp_path: Path, trained: Any) -> None:
    assert ganmc("fit", "--config", configs.student).status == 0
    student = tmp_path / "runs" / "student" / "checkpoints" / "best.ckpt"
    loaded = {
        ClassifierModule: (trained.teacher_checkpoint, "network"),
        ACGANModule: (trained.generator_checkpoint, "generator"),
        DistillationModule: (student, "student"),
    }
    for kind, (path, part) in loaded.items():
        module = kind.load_from_checkpoint(path, weights_only=True, map_location="cpu")
        saved = torch.load(path, weights_only=True)["state_dict"]
        for name, value in module.state_dict().items():
            assert torch.equal(value, saved[name]), name
        alone = load_network(str(path), part)
        for name, value in alone.state_dict().items():
            assert torch.equal(value, saved[f"{part}.{name}"]), name
    assert module.teacher.network.classifier.weight.shape == (3, 16)


# -- interruption --------------------------------------------------------------------------------------------


def test_ctrl_c_reports_the_last_checkpoint(
    ganmc: Ganmc, configs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit = ["fit", "--config", configs.teacher, "--trainer.default_root_dir"]
    assert ganmc(*fit, whole).status == 0
    with monkeypatch.context() as patch:
        patch.setattr(ClassifierModule, "on_train_batch_start", press_ctrl_c)
        outcome = ganmc(*fit, parts)
    last = parts / "checkpoints" / "last.ckpt"
    assert outcome.status == 130
    assert outcome.err == f"ganmc fit: interrupted; resume with --ckpt_path {last}\n"
    assert not (parts / "result.json").exists()
    assert read_metrics(parts / "metrics.csv")
    assert ganmc(*fit, parts, "--ckpt_path", last).status == 0
    assert read_metrics(parts / "metrics.csv") == read_metrics(whole / "metrics.csv")


def press_ctrl_c(self: ClassifierModule, batch: Any, batch_idx: int) -> None:
    self.iteration += 1
    if self.current_epoch == 1:
        raise KeyboardInterrupt


def test_ctrl_c_before_the_first_checkpoint(
    ganmc: Ganmc, configs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(self: ClassifierModule) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ClassifierModule, "on_train_epoch_start", at_once, raising=False)
    outcome = ganmc("fit", "--config", configs.teacher)
    assert outcome.status == 130
    assert outcome.err == "ganmc fit: interrupted; no checkpoint was saved, run the command again\n"


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_a_full_disk_leaves_the_checkpoint_unchanged(
    ganmc: Ganmc, configs: Any, copy_of_teacher: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = files_of(copy_of_teacher)

    def write_half(checkpoint: Any, file: Any) -> None:
        file.write(b"PK" * 100)
        raise OSError(28, "No space left on device")

    arguments = ["--config", configs.teacher, "--trainer.default_root_dir", copy_of_teacher]
    resume = ["--trainer.max_epochs", "4", "--ckpt_path", copy_of_teacher / "checkpoints" / "last.ckpt"]
    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", write_half)
        outcome = ganmc("fit", *arguments, *resume)
    assert outcome.status == 2
    assert "No space left" in outcome.err
    assert outcome.err.count("\n") == 1
    after = files_of(copy_of_teacher)
    assert after[f"checkpoints/{name}"] == before[f"checkpoints/{name}"]
    assert {path for path in after if path.startswith("checkpoints")} == {
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    assert ganmc("fit", *arguments, *resume).status == 0


# -- divergence ----------------------------------------------------------------------------------------------


def test_a_run_that_diverges(ganmc: Ganmc, configs: Any, tmp_path: Path) -> None:
    outcome = ganmc(
        "fit", "--config", configs.teacher, "--model.optimizer.lr", "1e30", "--trainer.default_root_dir", tmp_path / "r"
    )
    assert outcome.status == 1
    assert outcome.err.startswith("ganmc: ClassifierModule diverged, detected at step 2: loss is nan since step 2 and ")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "r" / "checkpoints").exists()
    assert not (tmp_path / "r" / "result.json").exists()


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_precisions(ganmc: Ganmc, configs: Any, tmp_path: Path, precision: str) -> None:
    options = ("--trainer.precision", precision, "--trainer.default_root_dir", tmp_path / "r")
    for verb in ("fit", "test", "predict"):
        assert ganmc(verb, "--config", configs.teacher, *options).status == 0
    result = json.loads((tmp_path / "r" / "result.json").read_text())
    assert result["flops"] == 2 * (64 * 16 + 16 * 3)
    network = load_network(str(tmp_path / "r" / "checkpoints" / "best.ckpt"), "network")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
