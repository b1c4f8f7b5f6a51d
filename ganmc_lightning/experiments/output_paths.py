"""Check that the stages of an experiment write only into their run folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath

from ganmc_lightning.experiments.interpolation import merge_configs

RUN_DIR = "{run_dir}"
OUTPUT_OPTIONS = ("--out", "--export", "--nearest-plot")
"""Options of commands whose value is a file or folder to write."""


def find_run_keys(overrides: Mapping[str, object]) -> Iterator[str]:
    """Yield the overrides of output folders and the seed, which belong to the run and not to its stage.

    Args:
        overrides: dotted key -> value.

    Example:
        >>> list(find_run_keys({"trainer.max_epochs": 1, "trainer": {"default_root_dir": "elsewhere"}}))
        ['trainer.default_root_dir']
    """
    merged = merge_configs([], overrides)
    for section, key in (("trainer", "default_root_dir"), ("checkpoint", "dirpath")):
        values = merged.get(section)
        if isinstance(values, Mapping) and key in values:
            yield f"{section}.{key}"
    if "seed_everything" in merged:
        yield "seed_everything"


def find_outside_outputs(words: Sequence[str]) -> Iterator[str]:
    """Yield the output options of a command whose value is not inside ``{run_dir}``, as written.

    Args:
        words: words of the command.

    Example:
        >>> list(find_outside_outputs(["forest", "--out", "{run_dir}", "--export=models"]))
        ['--export=models']
    """
    for word, following in pairwise([*words, ""]):
        option, equals, value = word.partition("=")
        if option in OUTPUT_OPTIONS:
            parts = PurePath(value if equals else following).parts
            if parts[:1] != (RUN_DIR,) or ".." in parts:
                yield word if equals else f"{word} {following}"
