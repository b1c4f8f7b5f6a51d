"""Hash of image files by content."""

from __future__ import annotations

import os
from pathlib import Path

from ganmc_lightning.experiments.fingerprint import hash_path
from ganmc_lightning.io.file_hash import hash_images


def test_names_and_contents_are_hashed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    image = tmp_path / "a" / "1.PNG"
    image.write_bytes(b"abc")
    first = hash_images(tmp_path)
    os.utime(image, (0, 0))
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"xyz")
    assert hash_images(tmp_path) == first
    image.write_bytes(b"abd")
    changed = hash_images(tmp_path)
    assert changed != first
    image.rename(tmp_path / "1.PNG")
    assert hash_images(tmp_path) not in (first, changed)


def test_a_file(tmp_path: Path) -> None:
    for name, content in (("a.npz", b"1"), ("b.npz", b"1"), ("c.npz", b"2")):
        (tmp_path / name).write_bytes(content)
    assert hash_images(tmp_path / "a.npz") == hash_images(tmp_path / "b.npz") != hash_images(tmp_path / "c.npz")


def test_linked_folders(tmp_path: Path) -> None:
    """Class folders may be links; a link to the folder itself ends."""
    (tmp_path / "elsewhere" / "a").mkdir(parents=True)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a").symlink_to(tmp_path / "elsewhere" / "a")
    (photos / "self").symlink_to(photos)
    before = hash_images(photos), hash_path(photos)
    (tmp_path / "elsewhere" / "a" / "1.png").write_bytes(b"abc")
    after = hash_images(photos), hash_path(photos)
    assert all(one != other for one, other in zip(before, after, strict=True))
