"""Files of the finished training sets of a study, from which a stopped study continues."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.format_version import FORMAT_KEY, FORMAT_VERSION
from ganmc_lightning.io.structured import read_json, write_json
from ganmc_lightning.tabular.study_result import StudyResult


@dataclass(frozen=True)
class StudyParts:
    """One JSON file for each finished training set of a study; a file with another key is computed again.

    Attributes:
        folder: folder of the files, which does not have to exist; None keeps nothing.
        key: hash of everything that the numbers depend on.

    Example:
        >>> import tempfile
        >>> parts = StudyParts(Path(tempfile.mkdtemp()), key="a")
        >>> parts.write("real", StudyResult(metrics={"real/auc": 0.9}), seconds=2.0)
        >>> parts.read("real").metrics, StudyParts(parts.folder, key="b").read("real")
        ({'real/auc': 0.9}, None)
    """

    folder: Path | None = None
    key: str = ""

    def with_key(self, *values: object) -> StudyParts:
        """Return the parts that also depend on further values."""
        if self.folder is None:
            return self
        from ganmc_lightning.io.object_hash import hash_object  # here, because it imports PyTorch

        return StudyParts(self.folder, hash_object([self.key, *values]))

    def read(self, name: str) -> StudyResult | None:
        """Read the numbers of a training set; return None if they are missing, damaged or outdated."""
        content = None if self.folder is None else read_json(self._path(name))
        if content is None or content.get("key") != self.key or content.get(FORMAT_KEY) != FORMAT_VERSION:
            return None
        return StudyResult.from_numbers(content, content["seconds"])

    def write(self, name: str, result: StudyResult, seconds: float) -> None:
        """Write the numbers of a training set.

        Args:
            name: name of the training set.
            result: its result.
            seconds: time that it took.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        if self.folder is None:
            return
        path = self._path(name)
        content = {FORMAT_KEY: FORMAT_VERSION, "key": self.key, "seconds": seconds, **result.numbers()}
        try:
            write_json(path, content)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be written ({error.strerror})") from error

    def remove(self) -> None:
        """Remove the files."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name}.json"
