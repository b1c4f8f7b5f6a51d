"""Compile the C blocks of the documentation with exported students of text rows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pandas import DataFrame
from sklearn.ensemble import HistGradientBoostingClassifier

from ganmc_lightning.tabular.encoding import encode_rows, fit_encoder
from ganmc_lightning.tabular.export import to_c, to_c_encoder, to_c_int16

PAGE = Path(__file__).parents[2] / "docs" / "tabular.md"
COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export boosting of a table with a text column, as ``ganmc compress`` does."""
    folder, random = tmp_path_factory.mktemp("sources"), np.random.default_rng(0)
    table = DataFrame({"color": random.choice(["red", "blue"], 100), "size": random.normal(size=100)})
    encoder = fit_encoder(table)
    assert encoder is not None
    X = encode_rows(encoder, table)
    model = HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(X, (X[:, 0] > 0) ^ (X[:, 2] > 0))
    to_c(model, folder / "student.c")
    to_c_int16(model, folder / "student_int16.c", X)
    to_c_encoder(encoder, folder / "student_encode.h", "student", 8)
    return folder


@pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
@pytest.mark.parametrize("block", re.findall(r"```c\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
def test_blocks_compile(block: str, sources: Path) -> None:
    includes, _, body = block.partition("\n\n")
    (sources / "main.c").write_text(f"{includes}\n\nint main(void)\n{{\n{body}\nreturn 0;\n}}\n", encoding="utf-8")
    named = [sources / f"{name}.c" for name in ("student", "student_int16") if f'"{name}.h"' in includes]
    command = [COMPILER, "-std=c99", "-Werror", "-o", sources / "main", sources / "main.c", *named, "-lm"]
    subprocess.run(command, check=True)  # type: ignore[arg-type]
    subprocess.run([sources / "main"], check=True)


def test_functions_of_16_bit_integers_exist(sources: Path) -> None:
    """The functions have the name of the file; that of the command is ``student_int16``."""
    header = (sources / "student_int16.h").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(\w+)_(quantize|sums|classify)\b", PAGE.read_text(encoding="utf-8")))
    assert {prefix for prefix, _ in named} == {"student_int16", "small"}
    assert all(f"student_int16_{function}(" in header for _, function in named)
