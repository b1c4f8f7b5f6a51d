"""Readers raise ConfigurationError, and nothing else, for generated archives and documents."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import suppress

import numpy as np
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ganmc_lightning.exceptions import ConfigurationError, printable
from ganmc_lightning.io.arrays import list_arrays, read_array, to_image_tensor, to_label_tensor, to_row_tensor
from ganmc_lightning.io.structured import load_yaml_mapping, read_json
from ganmc_lightning.runs.folder import RunFolder

seeded = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda item: st.lists(item, max_size=3) | st.dictionaries(st.text(), item, max_size=3),
    max_leaves=8,
)
arrays = hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3))


@seeded
@given(array=arrays)
def test_arrays(array, tmp_path):
    np.savez(tmp_path / "x.npz", x=array)
    for convert in (to_image_tensor, to_row_tensor, to_label_tensor):
        with suppress(ConfigurationError):
            assert len(convert(read_array(tmp_path / "x.npz", "x"), "x")) == len(array)


@seeded
@given(header=st.binary(max_size=200), name=st.text(max_size=5))
def test_members_of_archives(header, name, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\0" + header)
        archive.writestr(f"{name}.npy", header)
    (tmp_path / "x.npz").write_bytes(content.getvalue())
    with suppress(ConfigurationError):
        for found in list_arrays(tmp_path / "x.npz"):
            read_array(tmp_path / "x.npz", found)


@seeded
@given(content=st.binary(max_size=100) | values.map(lambda value: yaml.dump(value).encode()))
def test_yaml(content, tmp_path):
    (tmp_path / "x.yaml").write_bytes(content)
    with suppress(ConfigurationError):
        assert isinstance(load_yaml_mapping(tmp_path / "x.yaml"), dict)


@seeded
@given(metrics=values, other=st.dictionaries(st.sampled_from(["seed", "steps", "curves", "x"]), values))
def test_results(metrics, other, tmp_path):
    folder = RunFolder(tmp_path)
    folder.result.write_text(json.dumps({"metrics": metrics, **other}))
    assert read_json(folder.result) is not None
    with suppress(ConfigurationError):
        folder.read_result()
    with suppress(ConfigurationError):
        folder.update_result(metrics={"test/accuracy": 0.5})


@seeded
@given(text=st.text())
def test_messages_are_one_line(text):
    assert printable(text).isprintable()
