"""Train, compress and use a GAN with the command line only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.networks import load_discriminator, load_generator

Ganmc = Callable[..., Any]
QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "precision": "32-true",
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
NETWORKS, MODULES = "ganmc_lightning.networks", "ganmc_lightning.modules"
SOURCES, LOSSES = "ganmc_lightning.data.datasets", "ganmc_lightning.losses"


def named(class_path: str, /, **arguments: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": arguments}


def dcgan(width: int, **arguments: Any) -> dict[str, Any]:
    return named(
        f"{NETWORKS}.DCGANGenerator", **{"image_size": 8, "channels": 1, "latent_dim": 6, **arguments}, width=width
    )


def critic(width: int) -> dict[str, Any]:
    return named(f"{NETWORKS}.DCGANDiscriminator", image_size=8, channels=1, width=width)


def config(folder: Path, model: dict[str, Any], data: dict[str, Any], **trainer: Any) -> Path:
    content = {
        "trainer": {**QUIET, "default_root_dir": str(folder), "max_epochs": 2, **trainer},
        "model": model,
        "data": {"batch_size": 32, **data},
    }
    if "checkpoint" in trainer:
        content["checkpoint"] = content["trainer"].pop("checkpoint")
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.fixture
def real(data_root: Path) -> dict[str, Any]:
    return {"dataset": named(f"{SOURCES}.NpzFile", path=str(data_root / "tiny.npz"))}


@pytest.fixture
def nothing() -> dict[str, Any]:
    return {"dataset": named(f"{SOURCES}.DataFreeSource", size=100, test_size=20)}


@pytest.fixture
def teacher(ganmc: Ganmc, tmp_path: Path, real: dict[str, Any]) -> Path:
    """Checkpoint of a WGAN."""
    model = named(
        f"{MODULES}.GANModule",
        generator=dcgan(4),
        discriminator=named(f"{NETWORKS}.DCGANDiscriminator", image_size=8, channels=1, width=4, normalization="none"),
        loss=named(f"{LOSSES}.WassersteinGANLoss", clip=0.02),
        n_critic=2,
        generator_optimizer=named("torch.optim.RMSprop", lr=0.001),
    )
    folder = tmp_path / "teacher"
    assert ganmc("fit", "--config", config(folder, model, real)).status == 0
    return folder / "checkpoints" / "best.ckpt"


Score = Callable[[Path], dict[str, float]]


@pytest.fixture
def score(ganmc: Ganmc, tmp_path: Path, trained: Any, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Score:
    """Metrics of a checkpoint's samples, by `ganmc evaluate` with only its path."""

    def run(checkpoint: Path) -> dict[str, float]:
        monkeypatch.setenv("GANMC_DATA", str(tmp_path / "statistics_of_real_samples"))
        extractor = f"classifier:{trained.teacher_checkpoint}"
        metrics, out = "inception_score,fid,laplacian_variance", tmp_path / "scores"
        arguments = ("--extractor", extractor, "--metrics", metrics, "--num-samples", 60, "--out", out)
        done = ganmc("evaluate", checkpoint, "--data", data_root / "tiny.npz", *arguments)
        assert done.status == 0, done.err
        scores: dict[str, float] = json.loads((tmp_path / "scores" / "result.json").read_text())["metrics"]
        assert 1 <= scores["test/inception_score"] <= 3
        assert scores["test/fid"] > 0
        assert scores["test/laplacian_variance_ratio"] > 0
        return scores

    return run


def compression(teacher: Path, **arguments: Any) -> dict[str, Any]:
    return named(
        f"{MODULES}.GANCompressionModule",
        **{
            "teacher": named(f"{NETWORKS}.load_generator", path=str(teacher)),
            "student": dcgan(2),
            **arguments,
        },
    )


def test_compressed_without_a_data_set_and_drawn_from(
    ganmc: Ganmc,
    tmp_path: Path,
    teacher: Path,
    nothing: dict[str, Any],
    score: Score,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GANMC_DATA", str(tmp_path / "nowhere"))
    folder = tmp_path / "student"
    file = config(
        folder,
        compression(teacher),
        nothing,
        checkpoint={"monitor": "val/mse", "mode": "min"},
        callbacks=[
            named("ganmc_lightning.callbacks.GeneratorEMA", decay=0.9, submodule="student"),
            named("ganmc_lightning.callbacks.SampleGrid", columns=2, submodule="student"),
        ],
    )
    assert ganmc("fit", "--config", file).status == 0
    assert ganmc("test", "--config", folder / "config.yaml").status == 0
    result = json.loads((folder / "result.json").read_text())
    assert result["metrics"]["val/mse"] > 0
    assert result["metrics"]["test/mse"] > 0
    assert result["parameters"] == (6 * 16 + 1) * 2 + 16 * 2 + 1
    assert result["steps"] == 4  # of 90 samples, two batches an epoch
    assert result["flops"] > 0
    assert not (tmp_path / "nowhere").exists()
    assert len(list((folder / "samples").glob("*.png"))) == 2

    checkpoint = folder / "checkpoints" / "best.ckpt"
    assert not any(key.startswith("teacher") for key in torch.load(checkpoint, weights_only=True)["state_dict"])
    assert load_generator(str(checkpoint)).sample_shape == (1, 8, 8)
    assert ganmc("sample", checkpoint, "--num-samples", "5", "--out", tmp_path / "a.npz").status == 0
    with np.load(tmp_path / "a.npz") as samples:
        assert samples["images"].shape == (5, 8, 8, 1)
        assert "labels" not in samples
    assert ganmc("predict", "--config", folder / "config.yaml").status == 0
    with np.load(folder / "predictions.npz") as predictions:
        assert predictions["samples"].shape == (20, 1, 8, 8)
    assert score(checkpoint) != score(teacher)


def test_joint_from_a_warm_critic_and_with_a_feature_distance(
    ganmc: Ganmc, tmp_path: Path, teacher: Path, real: dict[str, Any], score: Score
) -> None:
    model = compression(
        teacher,
        loss=named(
            f"{LOSSES}.GeneratorDistillationLoss",
            alpha=0.2,
            distance=named(
                f"{LOSSES}.WeightedSumLoss",
                distances=[
                    named(f"{LOSSES}.PixelMSELoss", sum_pixels=True),
                    named(
                        f"{LOSSES}.PerceptualLoss",
                        network=named("torch.nn.Conv2d", in_channels=1, out_channels=2, kernel_size=3),
                    ),
                ],
                weights=[1.0, 0.5],
            ),
            adversarial_loss=f"{LOSSES}.NonSaturatingGANLoss",
        ),
        discriminator=named(f"{NETWORKS}.load_discriminator", path=str(teacher)),
    )
    folder = tmp_path / "joint"
    assert ganmc("fit", "--config", config(folder, model, real)).status == 0
    checkpoint = folder / "checkpoints" / "last.ckpt"
    saved = torch.load(checkpoint, weights_only=True)
    assert {key.partition(".")[0] for key in saved["state_dict"]} == {"student", "discriminator"}
    teacher.rename(tmp_path / "gone.ckpt")  # the file describes its networks by themselves
    assert load_discriminator(str(checkpoint))(torch.zeros(2, 1, 8, 8)).shape == (2,)
    assert load_generator(str(checkpoint)).latent_dim == 6
    assert ganmc("sample", checkpoint, "--num-samples", "4", "--out", tmp_path / "a.png").status == 0
    score(checkpoint)


def test_a_compressed_acgan_is_a_synthesizer(
    ganmc: Ganmc, tmp_path: Path, trained: Any, nothing: dict[str, Any], configs: Any, score: Score
) -> None:
    """Compress the AC-GAN of the command line, and use it for half of the samples in distillation."""
    small = named(f"{NETWORKS}.ACGANGenerator", image_size=8, channels=1, num_classes=3, latent_dim=8, width=2)
    model = compression(trained.generator_checkpoint, student=small)
    folder = tmp_path / "compressed"
    assert ganmc("fit", "--config", config(folder, model, nothing)).status == 0
    checkpoint = folder / "checkpoints" / "best.ckpt"
    synthesizer = "--data.synthesizer.init_args.generator.init_args.path"
    assert ganmc("fit", "--config", configs.student, synthesizer, checkpoint).status == 0
    student = json.loads((tmp_path / "runs" / "student" / "result.json").read_text())
    assert 0 <= student["metrics"]["val/accuracy"] <= 1
    assert ganmc("sample", checkpoint, "--num-samples", "6", "--out", tmp_path / "a.npz").status == 0
    with np.load(tmp_path / "a.npz") as samples:
        assert samples["labels"].tolist() == [0, 0, 1, 1, 2, 2]
    score(checkpoint)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.init_args.loss.init_args.alpha", "1.5"], "alpha: got 1.5, expected a value in [0, 1]"),
        (["--model.init_args.loss.init_args.alpha", "0.1"], "model.discriminator is not set"),
        (
            ["--model.init_args.student.init_args.latent_dim", "7"],
            "model.student.latent_dim: got 7, expected 6 as in model.teacher",
        ),
        (
            ["--model.init_args.student.init_args.image_size", "16"],
            "model.student.sample_shape: got (1, 16, 16), expected (1, 8, 8)",
        ),
        (["--model.init_args.student.init_args.width", "0"], "width: got 0, expected at least 1"),
        (["--model.init_args.teacher.init_args.path", "nowhere.ckpt"], "nowhere.ckpt: checkpoint not found"),
        (
            [
                "--model.init_args.discriminator",
                f"{NETWORKS}.DCGANDiscriminator",
                "--model.init_args.loss.init_args.alpha",
                "0.1",
            ],
            "needs real samples",
        ),
    ],
)
def test_mistakes_are_one_line_before_the_first_step(
    ganmc: Ganmc, tmp_path: Path, teacher: Path, nothing: dict[str, Any], arguments: list[str], message: str
) -> None:
    model = compression(teacher, loss=named(f"{LOSSES}.GeneratorDistillationLoss", alpha=0.0))
    folder = tmp_path / "student"
    outcome = ganmc("fit", "--config", config(folder, model, nothing), *arguments)
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (folder / "checkpoints").exists()


def test_a_gan_with_a_bad_n_critic(ganmc: Ganmc, tmp_path: Path, real: dict[str, Any]) -> None:
    model = named(f"{MODULES}.GANModule", generator=dcgan(2), discriminator=critic(2), n_critic=0)
    outcome = ganmc("fit", "--config", config(tmp_path / "gan", model, real))
    assert outcome.status == 2
    assert "n_critic: got 0, expected 1 or more" in outcome.err


def test_a_generator_without_classes_where_they_are_asked_for(
    ganmc: Ganmc, teacher: Path, configs: Any, trained: Any, tmp_path: Path
) -> None:
    """A filter by class requires labeled samples."""
    overlay = tmp_path / "filtered.yaml"
    generator = named(f"{NETWORKS}.load_generator", path=str(teacher))
    classifier = named(f"{NETWORKS}.load_network", path=str(trained.teacher_checkpoint), submodule="network")
    inner = named("ganmc_lightning.synthesizers.GeneratorSynthesizer", generator=generator)
    filtered = named("ganmc_lightning.synthesizers.FilteredSynthesizer", synthesizer=inner, teacher=classifier)
    overlay.write_text(yaml.safe_dump({"data": {"p_fake": 0.5, "synthesizer": filtered}}))
    outcome = ganmc("fit", "--config", configs.student, "--config", overlay)
    assert outcome.status == 2
    assert "got samples without labels, expected labeled samples" in outcome.err
    with pytest.raises(ConfigurationError, match="expected a discriminator without class logits"):
        load_discriminator(str(trained.generator_checkpoint))


def test_other_errors_about_classes(
    ganmc: Ganmc, teacher: Path, configs: Any, tmp_path: Path, real: dict[str, Any], nothing: dict[str, Any]
) -> None:
    unconditional = named(f"{NETWORKS}.load_generator", path=str(teacher))
    conditional = named(f"{NETWORKS}.ACGANGenerator", image_size=8, channels=1, num_classes=3, latent_dim=6, width=2)
    discriminator = named(f"{NETWORKS}.ACGANDiscriminator", image_size=8, channels=1, num_classes=3, width=2)
    acgan = named(f"{MODULES}.ACGANModule", generator=dcgan(2), discriminator=discriminator)
    synthesizer = named("ganmc_lightning.synthesizers.GeneratorSynthesizer", generator=unconditional)
    stream = tmp_path / "stream.yaml"
    stream.write_text(yaml.safe_dump({"data": {"p_fake": 1.0, "synthesizer": synthesizer}}))
    cases = {
        "model.student.num_classes: got 3, expected 0 as in model.teacher": [
            config(tmp_path / "a", compression(teacher, student=conditional), nothing)
        ],
        "model.generator: got an unconditional generator": [config(tmp_path / "b", acgan, real)],
        "got a first batch without labels": [configs.teacher, stream],
    }
    for message, files in cases.items():
        outcome = ganmc("fit", *(word for file in files for word in ("--config", file)))
        assert outcome.status == 2, message
        assert message in outcome.err
        assert outcome.err.count("\n") == 1
    assert not (tmp_path / "runs" / "teacher" / "checkpoints").exists()
