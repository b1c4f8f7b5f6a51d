"""``ganmc profile``: sizes, throughput and the figure, for generators saved without training."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest
import torch
from PIL import Image

from ganmc_lightning.cli import main
from ganmc_lightning.cli.profile import load_generators, measure
from ganmc_lightning.networks import ACGANGenerator, DCGANGenerator, LeNet4, TabularGenerator
from ganmc_lightning.networks.profiling import count_parameters, state_dict_size, throughput


def save(path, network, submodule, **arguments):
    recipe = {"class_path": f"ganmc_lightning.networks.{type(network).__name__}", "init_args": arguments}
    weights = {f"{submodule}.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": {submodule: recipe}}, path)
    return str(path)


def dcgan(path, submodule="generator", **arguments):
    arguments = {"image_size": 8, "channels": 1, "latent_dim": 6, **arguments}
    return save(path, DCGANGenerator(**arguments), submodule, **arguments)


@pytest.fixture
def pair(tmp_path):
    """A teacher, and a student saved as the submodule ``student``."""
    teacher = dcgan(tmp_path / "teacher.ckpt", width=8)
    student = dcgan(tmp_path / "student.ckpt", "student", width=2)
    return [f"teacher={teacher}", f"student={student}"]


def test_table_result_and_figure(pair, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["profile", *pair, "--out", str(out), "--num-samples", "4", "--benchmark-seconds", "0.01"]) == 0
    printed = capsys.readouterr().out
    result = json.loads((out / "result.json").read_text())
    scores = result["metrics"]
    # 100 -> d is 16 * 6 d + d and d -> 1 is 16 d + 1 here: 113 d + 1.
    assert scores["test/teacher/parameters"] == 113 * 8 + 1
    assert scores["test/student/parameters"] == 113 * 2 + 1
    assert scores["test/teacher/compression_ratio"] == 1
    assert scores["test/student/compression_ratio"] == pytest.approx(905 / 227, rel=1e-9, abs=1e-10)
    # Multiplications and additions of both layers: 6 -> d over 4x4, then each of 16 pixels to 16 of the image.
    assert scores["test/student/flops"] == 2 * (6 * 2 * 16 + 16 * 2 * 16)
    assert scores["test/teacher/bytes"] > scores["test/student/bytes"] > 4 * 227
    assert scores["test/student/images_per_second"] > 0
    assert result["settings"]["batch_size"] == 64
    assert "905" in printed
    assert "227" in printed
    with Image.open(out / "samples" / "comparison.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape[1] > pixels.shape[0]
    assert pixels.std() > 0


def test_metrics_are_added(pair, tmp_path):
    (tmp_path / "scores.json").write_text('{"metrics": {"test/student/fid": 3.5, "test/real/fid": 0.1}}')
    arguments = ["profile", *pair, "--out", str(tmp_path / "out"), "--benchmark-seconds", "0.01", "--metrics-json"]
    assert main([*arguments, str(tmp_path / "scores.json")]) == 0
    scores = json.loads((tmp_path / "out" / "result.json").read_text())["metrics"]
    assert scores["test/student/fid"] == 3.5
    assert scores["test/real/fid"] == 0.1
    assert scores["test/student/parameters"] == 227


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no metrics found"), ("{}", "no metrics found"), ("x", "not a JSON object"), ("[1]", "not a JSON object")],
)
def test_missing_metrics(pair, tmp_path, capsys, content, message):
    file = tmp_path / "scores.json"
    if content is not None:
        file.write_text(content)
    assert main(["profile", *pair, "--out", str(tmp_path / "out"), "--metrics-json", str(file)]) == 2
    error = capsys.readouterr().err
    assert str(file) in error
    assert message in error
    assert not (tmp_path / "out").exists()


def test_conditional_generators(tmp_path):
    arguments = {"image_size": 8, "channels": 3, "num_classes": 3, "latent_dim": 4, "width": 2}
    path = save(tmp_path / "acgan.ckpt", ACGANGenerator(**arguments), "generator", **arguments)
    assert (
        main(["profile", f"a={path}", f"b={path}", "--out", str(tmp_path / "out"), "--benchmark-seconds", "0.01"]) == 0
    )
    assert (tmp_path / "out" / "samples" / "comparison.png").is_file()


def test_images_of_two_channels_are_measured_without_a_figure(tmp_path, capsys):
    path, out = dcgan(tmp_path / "two.ckpt", channels=2, width=2), tmp_path / "out"
    assert main(["profile", f"a={path}", "--out", str(out), "--benchmark-seconds", "0.01"]) == 0
    assert "no figure: got samples of shape (2, 8, 8), expected images of 1, 3 or 4 channels" in capsys.readouterr().out
    assert [file.name for file in out.iterdir()] == ["result.json"]


def test_rows_are_measured(tmp_path, capsys):
    arguments, out = {"num_features": 8, "num_classes": 2}, tmp_path / "out"
    path = save(tmp_path / "rows.ckpt", TabularGenerator(**arguments), "generator", **arguments)
    assert main(["profile", f"a={path}", "--out", str(out), "--benchmark-seconds", "0.01"]) == 0
    assert "figure" not in capsys.readouterr().out
    assert [file.name for file in out.iterdir()] == ["result.json"]


def test_a_damaged_generator_has_a_result_but_no_figure(tmp_path, capsys):
    path, out = dcgan(tmp_path / "gan.ckpt", width=2), tmp_path / "out"
    checkpoint = torch.load(path, weights_only=True)
    next(iter(checkpoint["state_dict"].values())).fill_(torch.nan)
    torch.save(checkpoint, path)
    assert main(["profile", f"a={path}", "--out", str(out), "--benchmark-seconds", "0.01"]) == 2
    assert "ganmc: a: got NaN or infinite samples" in capsys.readouterr().err
    assert [file.name for file in out.iterdir()] == ["result.json"]


def test_the_result_of_a_training_is_not_replaced(pair, tmp_path, capsys):
    (tmp_path / "result.json").write_text('{"steps": 9}')
    assert main(["profile", *pair, "--out", str(tmp_path), "--benchmark-seconds", "0.01"]) == 2
    error = capsys.readouterr().err
    assert error == f"ganmc: --out: {tmp_path} contains the result of a training, expected another folder\n"
    assert (tmp_path / "result.json").read_text() == '{"steps": 9}'


def test_measures_leave_the_generators_as_they_were(pair):
    generators = load_generators(pair)
    generator = generators["student"].train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    costs = measure(generators, 4, 0.01, torch.device("cpu"))
    assert list(costs) == ["teacher", "student"]
    assert generator.training
    assert all(torch.equal(value, generator.state_dict()[name]) for name, value in before.items())


class Ticking(torch.nn.Linear):
    """Layer whose forward passes take the given seconds of a clock, in turn."""

    def __init__(self, monkeypatch, *durations):
        super().__init__(2, 2)
        self.durations, self.now = itertools.cycle(durations), 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def forward(self, inputs):
        assert not self.training
        assert not torch.is_grad_enabled()
        self.now += next(self.durations)
        return super().forward(inputs)


def test_throughput(monkeypatch):
    """The first call is not measured, and one measured call chooses the number of calls in a round."""
    network = Ticking(monkeypatch, 0.25)
    assert throughput(network, torch.zeros(8, 2), seconds=5.0, rounds=5) == 8 / 0.25
    assert network.now == 0.25 + 0.25 + 5
    slow = (100.0, 1.0, 1.0, 4.0, 2.0)  # warm-up, choice, rounds of one call
    assert throughput(Ticking(monkeypatch, *slow), torch.zeros(8, 2), seconds=3.0, rounds=3) == 8 / 2


def test_size():
    large = torch.nn.Linear(512, 512)
    assert state_dict_size(large) == pytest.approx(4 * count_parameters(large), rel=0.01)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("nowhere.ckpt", "NAME=CHECKPOINT"),
        ("b=nowhere.ckpt", "nowhere.ckpt: checkpoint not found"),
        ("teacher={student}", "got the name 'teacher' twice"),
        ("b={other_latents}", "cannot compare teacher and b: latent_dim is 6 and 5"),
        ("b={classifier}", "{classifier}: 'student' is a LeNet4, expected a generator"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(pair, tmp_path, monkeypatch, capsys, second, message):
    monkeypatch.chdir(tmp_path)
    arguments = {"widths": [2, 2, 2], "in_channels": 1, "num_classes": 3}
    paths = {
        "student": tmp_path / "student.ckpt",
        "other_latents": dcgan(tmp_path / "other.ckpt", latent_dim=5, width=2),
        "classifier": save(tmp_path / "classifier.ckpt", LeNet4(**arguments), "student", **arguments),
    }
    assert main(["profile", pair[0], second.format(**paths), "--out", "out"]) == 2
    error = capsys.readouterr().err
    assert message.format(**paths) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--num-samples", "0"),
        ("--batch-size", "0"),
        *(("--benchmark-seconds", value) for value in ("0", "nan", "inf")),
    ],
)
def test_options_must_be_positive(pair, tmp_path, option, value, capsys):
    assert main(["profile", *pair, "--out", str(tmp_path / "out"), option, value]) == 2
    assert "expected positive, finite numbers" in capsys.readouterr().err
