"""Strategies of hypothesis for valid archives, tables and documents with unexpected contents."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    st.sampled_from(["../../outside", "/outside/ganmc", "nan", "{run_dir}", "1e999", "torch.nn.Linear", "os.system"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda item: st.lists(item, max_size=4) | st.dictionaries(st.text(max_size=8), item, max_size=4),
    max_leaves=12,
)
_TYPES = st.one_of(
    *(hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.floating_dtypes(), hnp.boolean_dtypes()),
    *(hnp.complex_number_dtypes(), hnp.unicode_string_dtypes(max_len=5), hnp.datetime64_dtypes()),
)
_ARRAYS = hnp.arrays(_TYPES, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
_ARRAY_NAMES = ("train_images", "train_labels", "test_images", "test_labels", "class_names", "X", "y", "sample_weight")
_CELLS = st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str))


def contents(kind: str, seeds: Path) -> st.SearchStrategy[tuple[str, bytes]] | None:
    """Return a strategy of file name and content; None for kinds without one."""
    if kind == "npz":
        return st.dictionaries(st.sampled_from(_ARRAY_NAMES), _ARRAYS, min_size=1).map(_npz)
    if kind == "pool":
        return _ARRAYS.map(_npy)
    if kind == "table":
        return st.lists(st.lists(_CELLS, min_size=1, max_size=4), min_size=1, max_size=8).map(_csv)
    if kind in ("config", "experiment", "result", "state", "plan"):
        file = min((seeds / kind).iterdir())
        valid = yaml.safe_load(file.read_text())
        return st.tuples(st.integers(0, 10**6), VALUES).map(lambda change: _document(file.name, valid, *change))
    if kind == "checkpoint":
        file = seeds / "checkpoint" / "teacher.ckpt"
        valid = torch.load(file, weights_only=True)
        return st.tuples(st.integers(0, 10**6), VALUES).map(lambda change: _checkpoint(file.name, valid, *change))
    return None


def _npz(arrays: dict[str, Any]) -> tuple[str, bytes]:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return "arrays.npz", content.getvalue()


def _npy(array: Any) -> tuple[str, bytes]:
    content = io.BytesIO()
    np.save(content, array)
    return "inputs.npy", content.getvalue()


def _csv(rows: list[list[str]]) -> tuple[str, bytes]:
    lines = ["sold,a,b", *(",".join(cells) for cells in rows)]
    return "table.csv", "\n".join(lines).encode("utf-8", "surrogatepass")


def _document(name: str, valid: Any, place: int, value: Any) -> tuple[str, bytes]:
    changed = _replaced(valid, place, value)
    text = json.dumps(changed) if name.endswith(".json") else yaml.dump(changed, allow_unicode=True)
    return name, text.encode("utf-8", "surrogatepass")


def _checkpoint(name: str, valid: Any, place: int, value: Any) -> tuple[str, bytes]:
    content = io.BytesIO()
    torch.save(_replaced(valid, place, value), content)
    return name, content.getvalue()


def _replaced(valid: Any, place: int, value: Any) -> Any:
    """Return a copy of nested mappings and lists with one of their values replaced; ``place`` selects it."""
    places = list(_places(valid))
    return _put(valid, places[place % len(places)], value)


def _places(value: Any, place: tuple[Any, ...] = ()) -> Any:
    yield place
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(item, (*place, key))


def _put(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[place[0]] = _put(copy[place[0]], place[1:], value)
    return copy
