from __future__ import annotations

from pathlib import Path

import pytest

from ganmc_lightning.cli.config_files import check_config_files
from ganmc_lightning.exceptions import ConfigurationError


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--config", "{file}", "--data.p_fake", "0.5"],
        ["--config={file}", "-c", "{file}"],
        ["--config", "{{trainer: {{max_epochs: 1}}}}"],  # YAML instead of a path
        ["--config"],  # reported by the parser of the command
        ["--config_dir", "nowhere.yaml"],  # another option
    ],
)
def test_valid_files(tmp_path: Path, arguments: list[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("trainer: {max_epochs: 1}")
    check_config_files([argument.format(file=file) for argument in arguments])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "--config {file}: file not found"),
        (b"\xff\xfe\xfa", "--config {file}: byte 0 is not UTF-8, expected UTF-8 text"),
        (b"trainer: [", "{file}: while parsing a flow node"),
        (b"a: &x {b: *x}", "{file}: the alias *x is inside its own anchor (line 1)"),
    ],
)
def test_invalid_files(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "a.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        check_config_files(["--seed_everything", "1", "-c", str(file)])
    assert str(error.value).startswith(message.format(file=file))
    assert "\n" not in str(error.value)
