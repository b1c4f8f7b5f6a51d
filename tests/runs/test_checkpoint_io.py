from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.runs.checkpoint_io import AtomicCheckpointIO


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.ones(3)}, "epoch": 1}, path)
    return path


def test_round_trip(good: Path) -> None:
    checkpoint = AtomicCheckpointIO().load_checkpoint(good)
    assert checkpoint["epoch"] == 1
    assert torch.equal(checkpoint["state_dict"]["weight"], torch.ones(3))
    assert [path.name for path in good.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(28, "No space left on device"), ConfigurationError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_an_interrupted_write_leaves_the_old_checkpoint(
    good: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, raised: type[BaseException]
) -> None:
    before = good.read_bytes()

    def write_half(checkpoint: Any, file: Any) -> None:
        file.write(before[: len(before) // 2])
        raise error

    monkeypatch.setattr(torch, "save", write_half)
    with pytest.raises(raised):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {}}, good)
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["last.ckpt"]


def test_loading_executes_no_code(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "harm",))

    torch.save({"state_dict": {}, "harm": Harmful()}, tmp_path / "bad.ckpt")
    with pytest.raises(ConfigurationError, match=r"bad\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "bad.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ConfigurationError, match=r"plain\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "plain.ckpt", weights_only=False)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_file_that_is_not_a_checkpoint(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"x\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "x.ckpt")
