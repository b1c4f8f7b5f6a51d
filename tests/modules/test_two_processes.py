"""Two gloo processes on the CPU: equal weights, distinct shards of the data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).with_name("two_processes.py")
Diaries = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def diaries(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Diaries:
    """Return the records of both processes by run."""
    folder = tmp_path_factory.mktemp("ddp")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(data_root / "tiny.npz")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=1200,  # for a hang, not for a slow machine
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {
        run: [torch.load(path, weights_only=True) for path in sorted(folder.glob(f"{run}.rank*.pt"))]
        for run in ("distillation", "acgan", "acgan_resumed", "odd_1", "odd_2")
    }


@pytest.mark.parametrize("run", ["distillation", "acgan", "acgan_resumed"])
def test_both_end_with_the_same_weights(diaries: Diaries, run: str) -> None:
    one, other = diaries[run]
    for part in ("parameters", "average"):
        assert one[part].keys() == other[part].keys()
        for name, value in one[part].items():
            torch.testing.assert_close(value, other[part][name], rtol=1e-5, atol=1e-6, msg=name)
    assert bool(one["average"]) == (run != "distillation")
    for diary in (one, other):
        epochs = 3 if run == "acgan_resumed" else 2
        assert diary["iteration"] == diary["global_step"] == 6 * epochs  # 108 samples, two shares, nine a batch


@pytest.mark.parametrize("run", ["distillation", "acgan"])
def test_validation_sees_each_sample_once_and_both_know_the_score(diaries: Diaries, run: str) -> None:
    one, other = diaries[run]
    assert one["validated"] + other["validated"] == 2 * 12
    scores = [{name: value for name, value in diary["metrics"].items() if "val/" in name} for diary in (one, other)]
    assert scores[0]
    torch.testing.assert_close(scores[0], scores[1], rtol=1e-5, atol=1e-6)


def test_means_over_an_odd_number_of_samples_are_those_of_one_process(diaries: Diaries) -> None:
    (one,), both = diaries["odd_1"], diaries["odd_2"]
    assert one["validated"] == 15
    assert [diary["validated"] for diary in both] == [8, 7]
    for name in ("val/accuracy", "val/cross_entropy"):
        for diary in both:
            assert diary["metrics"][name].item() == pytest.approx(one["metrics"][name].item(), rel=1e-5), name
    hits = 15 * both[0]["metrics"]["val/accuracy"].item()
    assert hits == pytest.approx(round(hits), abs=1e-4)


def test_real_samples_of_an_epoch_are_shared_out(diaries: Diaries) -> None:
    seen = [
        {image.numpy().tobytes() for inputs, *_ in diary["batches"][:6] for image in inputs}
        for diary in diaries["acgan"]
    ]
    assert [len(share) for share in seen] == [54, 54]
    assert not seen[0] & seen[1]


def test_synthetic_samples_and_augmentation_differ(diaries: Diaries) -> None:
    one, other = diaries["distillation"]
    drawn = [torch.cat([inputs[fake] for inputs, _, fake, *_ in diary["batches"]]) for diary in (one, other)]
    assert len(drawn[0]) == len(drawn[1]) == 54
    rows = [{image.numpy().tobytes() for image in samples} for samples in drawn]
    assert not rows[0] & rows[1]


@pytest.mark.parametrize("run", ["acgan", "acgan_resumed"])
def test_noise_differs(diaries: Diaries, run: str) -> None:
    """With equal latents in both, the second process would add nothing to the generator's batch."""
    one, other = (torch.cat(diary["noise"]) for diary in diaries[run])
    assert one.shape == other.shape
    assert not (one[:, None] == other).all(dim=2).any()


def test_noise_continues_after_a_restart(diaries: Diaries) -> None:
    for before, after in zip(diaries["acgan"], diaries["acgan_resumed"], strict=True):
        one, other = torch.cat(before["noise"]), torch.cat(after["noise"])
        assert not (one[:, None] == other).all(dim=2).any()
