"""Pipes, devices, folders, missing files and files that are not UTF-8 are refused in one line."""

from __future__ import annotations

import os

import pytest

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.images import decode_image, read_dimensions
from ganmc_lightning.io.input_files import check_regular_file, read_text
from ganmc_lightning.io.samples import read_folder_samples
from ganmc_lightning.io.structured import load_yaml_mapping, read_json
from ganmc_lightning.networks import load_network

PIPE = "got a pipe, socket or device, expected a regular file"


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    return tmp_path / "x.png"


@pytest.mark.parametrize(
    "read",
    [
        check_regular_file,
        read_text,
        read_dimensions,
        load_yaml_mapping,
        lambda path: decode_image(path, 3),
        lambda path: load_network(str(path)),
        lambda path: read_folder_samples(path.parent, (3, 8, 8)),
    ],
)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipes_and_devices(read, kind, pipe, tmp_path):
    """Reading them would never end."""
    path = pipe
    if kind == "device":
        pipe.unlink()
        path.symlink_to("/dev/zero")
    with pytest.raises(ConfigurationError, match=PIPE):
        read(path)


def test_json_in_a_pipe(pipe):
    assert read_json(pipe) is None


@pytest.mark.parametrize("name", ["missing", "folder", "x" * 300, "link"])
def test_no_file(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "link")
    with pytest.raises(ConfigurationError, match=r"file not found|File name too long"):
        check_regular_file(tmp_path / name)


def test_link_to_a_file(tmp_path):
    (tmp_path / "file").write_text("é", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_text(tmp_path / "link") == "é"


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "file").write_bytes(b"abc\xff")
    with pytest.raises(ConfigurationError, match="byte 3 is not UTF-8, expected UTF-8 text"):
        read_text(tmp_path / "file")
