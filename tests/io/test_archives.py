"""Damaged archives and archives that expand too far are refused before their contents are used."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io import archives
from ganmc_lightning.io.archives import check_archive, is_archive, size_limit
from ganmc_lightning.io.arrays import list_arrays, read_array
from ganmc_lightning.networks.checkpoints import read_checkpoint
from ganmc_lightning.networks.weight_files import read_weights
from ganmc_lightning.tabular.export import load_skops


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "x.ckpt"
    torch.save({"state_dict": {"network.weight": torch.arange(1000.0)}}, path)
    return path


@pytest.mark.parametrize("read", [read_checkpoint, read_weights])
def test_flipped_bit_in_the_weights(checkpoint, read):
    """torch.load does not compare checksums."""
    content = bytearray(checkpoint.read_bytes())
    content[content.index(torch.arange(1000.0).numpy().tobytes()) + 2000] ^= 1
    checkpoint.write_bytes(content)
    assert torch.load(checkpoint, weights_only=True) is not None
    with pytest.raises(ConfigurationError, match=r"damaged \(Bad CRC-32 for file 'x/data/0'\)"):
        read(str(checkpoint))


@pytest.fixture
def make_bomb(tmp_path, monkeypatch):
    """Return a function that writes an archive of 1 kB with 1 MB; the limit of all archives is lower than usual."""
    monkeypatch.setattr(archives, "MIN_LIMIT", 2**16)

    def make(name, header=b""):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", header + bytes(2**20))
        return tmp_path / name

    return make


@pytest.mark.parametrize("read", [read_checkpoint, read_weights, load_skops, list_arrays, check_archive])
def test_expanding_archive(make_bomb, read):
    path = make_bomb("bomb.npz")
    with pytest.raises(ConfigurationError, match=r"expands from [\d,]+ to 1,048,576 bytes, expected at most 100 times"):
        read(path if read in (list_arrays, check_archive) else str(path))


def test_limit(tmp_path):
    (tmp_path / "x").write_bytes(bytes(10))
    assert size_limit(tmp_path / "x") == 2**28


def test_two_members_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", "1")
        archive.writestr("A", "2")
    with pytest.raises(ConfigurationError, match="got two members of one name"):
        check_archive(tmp_path / "x.zip")


def test_other_files_are_no_archives(tmp_path):
    (tmp_path / "x").write_bytes(b"text")
    check_archive(tmp_path / "x")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a", "1")
    # A locator of several disks, for which zipfile raises instead of returning False.
    end = content.getvalue().index(b"PK\x05\x06")
    locator = b"PK\x06\x07" + bytes(12) + b"\xff\0\0\0"
    assert not is_archive(io.BytesIO(content.getvalue()[:end] + locator + content.getvalue()[end:]))


def npz(path, shape, descr="|u1", data=b"", version=(1, 0)):
    content = io.BytesIO()
    write = np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0
    write(content, {"descr": descr, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content.getvalue() + data)
    return path


@pytest.mark.parametrize(
    ("shape", "descr"),
    [((2**31, 64, 64, 3), "|u1"), ((2**62, 8), "<f8"), ((-4, 2), "<f8"), ((10,), "<U100000000")],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_claimed_shapes(tmp_path, shape, descr, version):
    """numpy would allocate the claimed terabytes."""
    path = npz(tmp_path / "x.npz", shape, descr, bytes(64), version)
    with pytest.raises(ConfigurationError, match=r"x: damaged \("):
        read_array(path, "x")


def test_both_versions_of_headers(tmp_path):
    for version in ((1, 0), (2, 0)):
        assert read_array(npz(tmp_path / "x.npz", (2, 2), data=b"abcd", version=version), "x").tolist() == [
            [97, 98],
            [99, 100],
        ]
