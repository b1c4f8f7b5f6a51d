"""Arguments of `ganmc compress` for images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ganmc_lightning.cli import compress_image_arguments
from ganmc_lightning.cli.compress_images import LOSSES
from ganmc_lightning.compression import compress as defaults


@pytest.fixture
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder; its images are not read."""
    return tmp_path_factory.mktemp("photos")


TEACHER = ("--teacher", "timm:resnet18")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{photos}",), "--teacher: missing, expected the trained network"),
        (("none/", *TEACHER), "none/: not found, expected a folder of images"),
        (("{photos}", "--teacher", "none.ckpt"), "none.ckpt: checkpoint not found"),
        (("{photos}", "--teacher", "timm:resnet18:none.pth"), "--teacher: none.pth: file of the weights not found"),
        (("{photos}", *TEACHER, "--student", "resnet18"), "--student: got the network 'resnet18', expected"),
        (("{photos}", *TEACHER, "--student", "timm:a:b"), "--student: got weights in 'timm:a:b'"),
        (("{photos}", *TEACHER, "--student", "timm:a", "--smaller", "2"), "--smaller: got a value with --student"),
        (("{photos}", *TEACHER, "--student-args", "{}"), "--student-args: got arguments without --student"),
        (("{photos}", *TEACHER, "--student-args", "3"), "argument --student-args: got '3', expected a JSON object"),
        (("{photos}", *TEACHER, "--smaller", "0.5"), "--smaller: got 0.5, expected at least 1"),
        (("{photos}", *TEACHER, "--smaller", "nan"), "--smaller: got nan, expected at least 1"),
        (("{photos}", *TEACHER, "--seed", "-1"), "--seed: got -1, expected 0 to 4294967295"),
        (("{photos}", *TEACHER, "--epochs", "0"), "--epochs: got 0, expected at least 1"),
        (("{photos}", *TEACHER, "--time", "soon"), "--time: got 'soon', expected a duration such as 90, 30m or 1.5h"),
        (
            ("{photos}", *TEACHER, "--format", "onxx"),
            "--format: got 'onxx', expected some of onnx, pt2",
        ),
        (("{photos}", *TEACHER, "--gan", "none.ckpt"), "none.ckpt: checkpoint not found"),
        (("{photos}", *TEACHER, "--synthetic", "none"), "--synthetic: none: not found"),
        (("{photos}", *TEACHER, "--unlabeled", "none"), "--unlabeled: none: not found"),
        (("{photos}", *TEACHER, "--teacher-mean", "0,0,0"), "--teacher-mean, --teacher-std: got one of the options"),
        (
            ("{photos}", *TEACHER, "--max-nodes", "5"),
            "--max-nodes: is an option for tables, expected options for images",
        ),
        (("x.csv", "--target", "y", "--student", "timm:a"), "--student: is an option for images"),
        (("x.csv", "--target", "y", "--teacher", "timm:a"), "--teacher: got 'timm:a', expected forest for a table"),
        (("model.skops", "x.csv"), "--target: missing, expected the column of x.csv"),
        (("model.skops", "x.csv", "--target", "y", "--gan"), "model.skops: file not found"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    arguments: tuple[str, ...], message: str, ganmc: Any, photos: Path, tmp_path: Path
) -> None:
    words = [word.format(photos=photos) if "{photos}" in word else word for word in arguments]
    outcome = ganmc("compress", *words, "--out", tmp_path / "small")
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_copies_equal_the_originals() -> None:
    arguments = compress_image_arguments
    assert (arguments.EPOCHS, arguments.BATCH_SIZE, arguments.SMALLER) == (
        defaults.EPOCHS,
        defaults.BATCH_SIZE,
        defaults.SMALLER,
    )
    assert arguments.DEFAULT_FORMATS == defaults.FORMATS
    assert set(arguments.LOSSES) == set(LOSSES)
