"""Hash of the contents of image files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ganmc_lightning.io.folders import IMAGE_SUFFIXES
from ganmc_lightning.io.walk import walk_files


def hash_images(path: Path) -> str:
    """Compute the sha256 of a file, or of the names and contents of all images below a folder.

    Files are not decoded. Other files, such as those of file managers, do not change the hash.

    Args:
        path: the file or folder.
    """
    if path.is_file():
        files = [path]
    else:
        files = sorted(file for file in walk_files(path) if file.suffix.lower() in IMAGE_SUFFIXES)
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            digest.update(f"{file.relative_to(path)}\0".encode() + hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
