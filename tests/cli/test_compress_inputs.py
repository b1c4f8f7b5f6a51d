"""Targets of `ganmc compress`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ganmc_lightning.cli.compress_arguments import add_arguments, validate_arguments
from ganmc_lightning.cli.compress_inputs import CompressInputs, read_inputs
from ganmc_lightning.cli.parser import CommandParser
from ganmc_lightning.exceptions import ConfigurationError


def read(folder: Path, targets: list[str], test: list[str] | None = None) -> CompressInputs:
    words = ["--teacher", "forest", "--target", "y", "--task", "regression", "--out", str(folder / "small")]
    for name, values in (("train", targets), ("test", test)):
        if values is not None:
            rows = "".join(f"{row % 2 + 0.5},{value}\n" for row, value in enumerate(values))
            (folder / f"{name}.csv").write_text(f"a,y\n{rows}")
            words += [*(["--test"] if name == "test" else []), str(folder / f"{name}.csv")]
    parser = CommandParser("ganmc compress")
    add_arguments(parser)
    arguments = parser.parse_args(words)
    validate_arguments(arguments)
    return read_inputs(arguments)


def test_large_whole_targets_keep_their_values(tmp_path: Path) -> None:
    values = ["1e300", "9007199254740992", "-1e19", "3"]
    inputs = read(tmp_path, values, values)
    assert inputs.test is not None
    for y in (inputs.y, inputs.test[1]):
        np.testing.assert_array_equal(y, [float(value) for value in values])


@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_infinite_targets_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"train.csv: column 'y': got {value}, expected finite numbers"):
        read(tmp_path, ["1", "2", value])
    with pytest.raises(ConfigurationError, match=f"test.csv: column 'y': got {value}, expected finite numbers"):
        read(tmp_path, ["1", "2", "3"], ["1.5", "2", value])
