"""Help pages: a short one without PyTorch, a full one with `--help full`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from ganmc_lightning.cli import COMMANDS, EXAMPLES, TRAINING
from ganmc_lightning.cli.help_pages import PAGES
from ganmc_lightning.cli.parser import CommandParser, HelpFormatter, ShortHelpFormatter, format_epilog, take_help

Ganmc = Callable[..., Any]


@pytest.mark.parametrize("command", [*TRAINING, *COMMANDS])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_short_pages(ganmc: Ganmc, monkeypatch: pytest.MonkeyPatch, command: str, option: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = ganmc(command, option)
    lines = outcome.out.splitlines()
    assert outcome.status == 0
    assert lines[0].startswith(f"usage: ganmc {command} ")
    assert len(lines) < 40
    assert max(map(len, lines)) <= 80
    assert f"ganmc {command} --help full" in outcome.out


@pytest.mark.parametrize("command", ["predict", "forest", "evaluate"])
def test_full_pages(ganmc: Ganmc, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = ganmc(command, "--help", "full")
    assert outcome.status == 0
    assert outcome.out.count("\n") > 40


def test_a_group_of_options_is_a_list_of_names() -> None:
    parser = CommandParser("tool", formatter_class=ShortHelpFormatter)
    group = parser.add_argument_group("images")
    group.add_argument("--size", "--image-size", help="size in pixels")
    group.add_argument("--gray", action="store_true", help="one channel")
    page = parser.format_help()
    assert "images:\n  --image-size, --gray\n" in page
    assert "pixels" not in page


def test_the_description_of_an_option_has_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parser = CommandParser("tool", formatter_class=ShortHelpFormatter)
    words = [f"word{k}" for k in range(40)]
    parser.add_argument("--long", help=" ".join(words))
    text = parser.format_help().partition("--long LONG")[2]
    *shown, end = text.split()
    assert len(text.strip().splitlines()) == 2
    assert end == "..."
    assert shown == words[: len(shown)]


def test_examples_keep_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    epilog = format_epilog(["tool --long-option a", "tool b"], "A paragraph that is wrapped at the width.")
    page = CommandParser("tool", epilog=epilog, formatter_class=HelpFormatter).format_help()
    assert page.endswith("examples:\n  tool --long-option a\n  tool b\n\nA paragraph that is wrapped\nat the width.\n")


def test_examples_are_valid_command_lines() -> None:
    for name, lines in EXAMPLES.items():
        module = import_module(f"ganmc_lightning.cli.{name}_arguments")
        for line in lines:
            program, command, *arguments = line.split()
            parser = CommandParser(name)
            module.add_arguments(parser)
            assert (program, command) == ("ganmc", name)
            parser.parse_args(arguments)


@pytest.mark.parametrize("command", PAGES)
def test_options_of_short_pages_exist(ganmc: Ganmc, command: str) -> None:
    full = ganmc(command, "--help", "full").out
    for line in PAGES[command].splitlines():
        if line.startswith("  --"):
            assert line.split()[0] in full


def test_the_command_line_after_help_is_ignored() -> None:
    assert take_help(["fit", "-h", "full", "--config", "a"]) == (["fit", "-h", "--config", "a"], True, True)
    assert take_help(["fit", "--config", "full"]) == (["fit", "--config", "full"], False, False)
    assert take_help(["fit", "--help", "a"]) == (["fit", "--help", "a"], True, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fitt", "ganmc: unknown command 'fitt', did you mean 'fit'?"),
        ("reproduc digits", "ganmc: unknown command 'reproduc', did you mean 'reproduce'?"),
        ("zzz", "ganmc: unknown command 'zzz', expected one of: fit, validate,"),
        ("reproduce digit", "ganmc: unknown experiment 'digit', did you mean 'digits'?"),
        ("reproduce digits --quik", "ganmc: --quik: unknown option, did you mean '--quick'?"),
        ("reproduce digits --xyz", "ganmc: --xyz: unknown option, `ganmc reproduce --help` lists the options"),
        ("reproduce digits fashion", "ganmc: fashion: unexpected argument, `ganmc reproduce --help`"),
        ("reproduce digits --jobs many", "argument --jobs: invalid int value: 'many'; `ganmc reproduce --help`"),
    ],
)
def test_slips_are_one_line(ganmc: Ganmc, words: str, message: str) -> None:
    outcome = ganmc(*words.split())
    assert outcome.status == 2
    assert outcome.out == ""
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
