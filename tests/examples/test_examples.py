"""The examples run with shorter trainings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name: str, **constants: object) -> None:
    """Run an example with other values of its constants."""
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    for constant, value in constants.items():
        source, replaced = re.subn(rf"^{constant} = .*$", f"{constant} = {value!r}", source, flags=re.MULTILINE)
        assert replaced == 1, f"{name} has no constant {constant}"
    exec(compile(source, name, "exec"), {"__name__": "__main__"})


@pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")  # the frozen teacher
def test_distil_with_gan_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANMC_DATA", raising=False)
    run_example("01_distill_with_gan_data.py", TEACHER_EPOCHS=1, GAN_EPOCHS=1, STUDENT_EPOCHS=1)
    accuracies = re.findall(r"^(\w+)(?:, p_fake = \S+)?: (0\.\d{3})$", capsys.readouterr().out, re.MULTILINE)
    assert [role for role, _ in accuracies] == ["teacher", "student", "student", "student"]
    assert (tmp_path / "runs" / "example" / "samples.png").is_file()


def test_compression_score(capsys: pytest.CaptureFixture[str]):
    run_example("02_compression_score.py", TEACHER_STEPS=300, SEEDS=(0,))
    scores = dict(re.findall(r"^(.+?) +(-?\d\.\d{3}) ±", capsys.readouterr().out, re.MULTILINE))
    assert float(scores["real"]) == pytest.approx(1, rel=1e-5, abs=1e-6)  # the denominator of the score
    assert float(scores["digit 0 only"]) < 0.2  # a student trained on one class is near chance
