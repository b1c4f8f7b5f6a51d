from __future__ import annotations

import io

import pytest
from rich.console import Console

from ganmc_lightning.experiments.reproduce import reproduce

CARDS = "  sample_grids: [gan]\n  cards:\n    - {stage: mixed_05, baselines: [alone]}\n    - {stage: alone}\n"


@pytest.fixture
def go(edited, tmp_path, fake):
    """Reproduce the tiny experiment with cards; return the exit code. `failing` is the stage of a failing card."""
    file = edited("  sample_grids: [gan]\n", CARDS)
    cards = []

    def run(failing=None, entry=fake, code=2, **options):
        def command(argv):
            if argv[0] != "card":
                return entry(argv)
            cards.append(argv)
            return code if failing is not None and f"/cards/{failing}" in argv[argv.index("--out") + 1] else 0

        return reproduce(
            file,
            tmp_path / "runs",
            command="ganmc reproduce tiny",
            run_command=command,
            console=Console(file=io.StringIO()),
            seeds=(1, 2),
            **options,
        )

    run.cards = cards
    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "tiny"


def test_cards_of_the_first_seed(go, folder):
    assert go() == 0
    student, alone = (str(folder / stage / "seed1") for stage in ("mixed_05", "alone"))
    assert go.cards == [
        ["card", student, "--out", str(folder / "cards" / "mixed_05"), "--baseline", alone],
        ["card", alone, "--out", str(folder / "cards" / "alone")],
    ]
    assert '<a href="cards/mixed_05/card.html">mixed_05, seed 1</a>' in (folder / "report.html").read_text()
    assert "\n- [alone, seed 1](cards/alone/card.html)\n" in (folder / "report.md").read_text()


def test_a_card_that_cannot_be_written(go, folder):
    assert go(failing="mixed_05") == 1
    report = (folder / "report.md").read_text()
    assert "(cards/alone/card.html)" in report
    assert "cards/mixed_05" not in report


@pytest.mark.parametrize("code", [130, 143])
def test_an_interrupted_card_ends_the_command_before_the_report(go, folder, code):
    assert go(failing="mixed_05", code=code) == code
    assert len(go.cards) == 1
    assert not (folder / "report.html").exists()


def test_stages_without_a_result(go, fake, folder):
    fake.exit_codes["alone"] = 2
    assert go(keep_going=True) == 1
    assert [argv[1] for argv in go.cards] == [str(folder / "mixed_05" / "seed1")]
    assert "--baseline" not in go.cards[0]


def test_a_baseline_without_the_seed_of_the_student_is_omitted(go, fake, folder):
    def fail_first_seed(argv):
        fake.exit_codes["alone"] = 2 if "1" in argv else 0
        return fake(argv)

    assert go(keep_going=True, entry=fail_first_seed) == 1
    assert go.cards[0] == ["card", str(folder / "mixed_05" / "seed1"), "--out", str(folder / "cards" / "mixed_05")]
    assert go.cards[1][1] == str(folder / "alone" / "seed2")


def test_a_shared_baseline_has_any_seed(go, edited, folder):
    edited("{config: [student.yaml, more.yaml]}", "{config: more.yaml, shared: true}")
    assert go() == 0
    assert go.cards[0][-2:] == ["--baseline", str(folder / "alone" / "seed0")]
