"""Invalid or expanding YAML in every kind of file that a command reads: one line, exit code 2."""

from __future__ import annotations

import pytest

from ganmc_lightning.cli import main
from ganmc_lightning.evaluation.student_factory import make_student_factory
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import read_json

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 10)
)
HOSTILE = {
    "bomb": (BOMB, "more than 100000 values"),
    "in_a_number": ("seed: |\n  " + BOMB.replace("\n", "\n  "), "more than 100000 values"),
    "ring": ("a: &a [*a]", "is inside its own anchor"),
    "deep": ("a: " + "[" * 3000 + "]" * 3000, "nested more than 40 deep"),
    "digits": ("max_trees: " + "9" * 5000, "cannot be read"),
}


@pytest.fixture(params=list(HOSTILE))
def hostile(request, tmp_path):
    """A file and its error message."""
    text, message = HOSTILE[request.param]
    (tmp_path / "hostile.yaml").write_text(text)
    return str(tmp_path / "hostile.yaml"), message


@pytest.mark.parametrize(
    "command", ["fit --config", "test --config", "forest --config", "reproduce", "fit --trainer", "fit --data"]
)
def test_every_command(hostile, command, capsys):
    path, message = hostile
    assert main([*command.split(), path]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert len(error) < 1000


def test_the_student_of_an_evaluation(hostile):
    with pytest.raises(ConfigurationError, match=hostile[1]):
        make_student_factory(hostile[0])


def test_deeply_nested_json(tmp_path):
    (tmp_path / "a.json").write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert read_json(tmp_path / "a.json") is None
