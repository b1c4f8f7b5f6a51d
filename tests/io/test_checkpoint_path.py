from __future__ import annotations

import pytest

from ganmc_lightning.io.checkpoint_path import split_checkpoint_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("best.ckpt", ("best.ckpt", None)),
        ("best.ckpt:student", ("best.ckpt", "student")),
        ("best.ckpt:features.0", ("best.ckpt", "features.0")),
        ("12:30/best.ckpt", ("12:30/best.ckpt", None)),
        ("12:30/best.ckpt:student", ("12:30/best.ckpt", "student")),
        ("12:30/absent.ckpt", ("12:30/absent.ckpt", None)),
        ("absent.ckpt:student", ("absent.ckpt:student", None)),
        ("best.ckpt:", ("best.ckpt:", None)),
        ("a:b.ckpt", ("a:b.ckpt", None)),
    ],
)
def test_colons_in_paths_are_not_separators(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "12:30").mkdir()
    for name in ("best.ckpt", "12:30/best.ckpt", "a:b.ckpt", "a"):
        (tmp_path / name).touch()
    assert split_checkpoint_path(text) == expected
