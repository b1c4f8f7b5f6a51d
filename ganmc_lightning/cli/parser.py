"""Argument parser of the commands: short help pages, and errors in one line."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NoReturn

from ganmc_lightning.exceptions import ConfigurationError

FULL = "full"
"""Word after ``--help`` that selects the page with all options and details."""


def take_help(arguments: Sequence[str]) -> tuple[list[str], bool, bool]:
    """Remove ``full`` after ``--help`` from a command line.

    Returns:
        The remaining arguments, whether help is requested, and whether it is the full page.

    Example:
        >>> take_help(["fit", "--help", "full"])
        (['fit', '--help'], True, True)
    """
    words = list(arguments)
    for position, word in enumerate(words):
        if word in ("-h", "--help"):
            full = words[position + 1 : position + 2] == [FULL]
            return words[: position + 1] + words[position + 1 + full :], True, full
    return words, False, False


class CommandParser(argparse.ArgumentParser):
    """ArgumentParser that raises a one-line exception for invalid arguments.

    Raises:
        ConfigurationError: the arguments are invalid.
    """

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        raise ConfigurationError(f"{message}; `{self.prog} --help` lists the options")

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Raise an exception that names the first unknown argument, and the closest option."""
        if not words:
            return
        name = words[0].partition("=")[0]
        close = get_close_matches(name, re.findall(r"--[a-z][a-z0-9-]*", self.format_help()), n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"`{self.prog} --help` lists the options"
        kind = "unknown option" if name.startswith("-") else "unexpected argument"
        raise ConfigurationError(f"{name}: {kind}, {hint}")


def format_epilog(examples: Sequence[str], text: str) -> str:
    """Return the end of a help page: example command lines, and a paragraph.

    Example:
        >>> print(format_epilog(["ganmc reproduce digits"], "Text."))
        example:
          ganmc reproduce digits
        <BLANKLINE>
        Text.
    """
    heading = "examples:" if len(examples) > 1 else "example:"
    block = "\n  ".join([heading, *examples]) if examples else ""
    return "\n\n".join(part for part in (block, text) if part)


class HelpFormatter(argparse.HelpFormatter):
    """Help page that keeps indented lines, such as examples, and wraps other paragraphs between words only."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wrap paragraphs; names of options stay whole."""
        return "\n\n".join(
            textwrap.indent(paragraph, indent)
            if "\n  " in paragraph
            else textwrap.fill(
                paragraph, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
            )
            for paragraph in text.split("\n\n")
        )


class ShortHelpFormatter(HelpFormatter):
    """Help page with at most two lines for each argument, and only names in groups."""

    def start_section(self, heading: str | None) -> None:
        """Start the section of a group of arguments."""
        self._lists_names = heading not in ("positional arguments", "options")
        super().start_section(heading)

    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        """Add the arguments of a section."""
        if self._lists_names:
            self.add_text(", ".join(action.option_strings[-1] for action in actions))
        else:
            super().add_arguments(actions)

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        """Add only the required arguments to the usage."""
        required = [action for action in actions if action.required and action.option_strings]
        positional = [action for action in actions if not action.option_strings]
        options = argparse.Action([], "options", metavar="[options]")
        super().add_usage(usage, [*positional, *required, options], [], prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        """Return the first two lines of the description of an argument."""
        lines = super()._split_lines(text, width)
        if len(lines) < 3:
            return lines
        rest = " ".join(text.split())[len(lines[0]) :]
        return [lines[0], f"{super()._split_lines(rest, width - 4)[0]} ..."]
