from __future__ import annotations

import ctypes
import re
import subprocess

import numpy as np
import pandas as pd
import pytest

from ganmc_lightning.tabular.encoding import encode_rows, fit_encoder
from ganmc_lightning.tabular.export import to_c_encoder
from ganmc_lightning.tabular.export.c_library import find_compiler, has_compiler


def compiled(header, folder):
    """Return the encoder as a function of one row; the library exports the static function."""
    source = folder / "wrapper.c"
    source.write_text(
        f'#include "{header.name}"\nvoid encode(const char *const *t, const double *n, double *o)'
        "{ student_encode(t, n, o); }\n"
    )
    library = folder / "wrapper.so"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run([*find_compiler(), *flags], check=True)
    return ctypes.CDLL(str(library)).encode


@pytest.mark.skipif(not has_compiler(), reason="no C compiler")
def test_rows_equal_the_encoder(tmp_path):
    random = np.random.default_rng(0)
    many = [f"c{k}" for k in range(40)]
    table = pd.DataFrame(
        {
            "size": random.normal(size=300),
            "color": random.choice(['r"ed', "blü", "a?b\\c", None], 300),
            "code */": random.choice(many, 300),
            "age": random.choice([1.0, np.nan], 300),
        }
    ).astype({"color": object, "code */": object})
    encoder = fit_encoder(table)
    encode = compiled(to_c_encoder(encoder, tmp_path / "student_encode.h", "student", 8), tmp_path)
    table.loc[300] = [0.5, "unknown", "unknown", 2.0]
    with pytest.warns(UserWarning, match="^X: column 'color': unknown category 'unknown' in 1 row, encoded as zeros$"):
        expected = encode_rows(encoder, table)
    for row, target in zip(table.itertuples(index=False), expected, strict=True):
        strings = [None if pd.isna(value) else value.encode() for value in (row[1], row[2])]
        out = np.full(expected.shape[1], -1.0)
        numbers = np.array([row[0], row[3]])
        encode((ctypes.c_char_p * 2)(*strings), ctypes.c_void_p(numbers.ctypes.data), ctypes.c_void_p(out.ctypes.data))
        np.testing.assert_array_equal(out, target)


@pytest.mark.parametrize(("values", "literals"), [([1, 2, 1], '"1", "2"'), ([True, False, None], '"0", "1", NULL')])
def test_categories_that_are_no_text(values, literals, tmp_path):
    table = pd.DataFrame({"code": pd.Categorical(values), "size": [0.0, 1.0, 2.0]})
    path = to_c_encoder(fit_encoder(table), tmp_path / "student_encode.h", "student", 4)
    assert f"student_categories[] = {{{literals}}};" in path.read_text()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_rare_missing_value_has_the_column_of_rare_categories(dtype, tmp_path):
    codes = np.random.default_rng(0).integers(40, size=400).astype(dtype)
    codes[:2] = np.nan
    table = pd.DataFrame({"code": pd.Categorical(codes), "size": np.arange(400.0)})
    source = to_c_encoder(fit_encoder(table), tmp_path / "student_encode.h", "student", 8).read_text()
    assert ", NULL};" in source
    columns = re.search(r"category_columns\[\] = {(.*)}", source)[1].split(", ")
    assert columns[-1] == "31"
    assert max(map(int, columns)) == 31
    assert "out[32 + k]" in source
