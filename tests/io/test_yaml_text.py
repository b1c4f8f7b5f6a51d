"""Small documents that expand to large ones, and valid documents."""

from __future__ import annotations

import pytest
import yaml

from ganmc_lightning.io.yaml_text import MAX_DEPTH, MAX_VALUES, LimitError, check_yaml, load_yaml


def bomb(levels: int) -> str:
    """Ten aliases per level: 10 ** levels values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, levels)]
    return "\n".join(lines)


MERGE_BOMB = "\n".join(
    ["a0: &a0 {x: 1}"] + [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}], y: 1}}" for k in range(1, 9)]
)
QUOTED_BOMB = "n: |\n  " + bomb(9).replace("\n", "\n  ")


@pytest.mark.parametrize("text", [bomb(9), bomb(5), MERGE_BOMB, QUOTED_BOMB, "[" + "1," * MAX_VALUES + "1]"])
def test_too_many_values(text):
    with pytest.raises(LimitError, match=rf"more than {MAX_VALUES} values, aliases counted at each use \(line \d+\)"):
        load_yaml(text)


@pytest.mark.parametrize("text", ["a: &a [*a]", "&a a: 1\nb: &b {c: *b}", "&x [1, {y: [*x]}]", "&a {? *a : 1}"])
def test_a_value_within_itself(text):
    with pytest.raises(LimitError, match="is inside its own anchor"):
        load_yaml(text)


@pytest.mark.parametrize("pair", ["[]", "{}"])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_too_deep(pair, depth):
    opening = "[" if pair == "[]" else "{a: "
    with pytest.raises(LimitError, match=f"nested more than {MAX_DEPTH} deep"):
        check_yaml(opening * depth + pair[1] * depth)


def test_the_limits_themselves_pass():
    value = load_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []
    check_yaml("[" + "1," * (MAX_VALUES - 1) + "]")


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "- &x {a: 1}\n- *x\n- {<<: *x, b: 2}", "&a 1: *a", "a: [1, 2.5, null, true, 'x']", bomb(3)],
)
def test_ordinary_documents_are_read_as_before(text):
    assert load_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    ["a: [", "a: *missing", "? [a]\n: b", "a: &a 1\nb: &a 2", "a: 2001-99-99", "a: " + "9" * 5000, "!!timestamp x"],
)
def test_what_cannot_be_read(text):
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
