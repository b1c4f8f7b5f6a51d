"""Code, configurations and pages use the words of CONTRIBUTING.md (rules 2, 10 and 11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOBS = (
    "ganmc_lightning/**/*.py",
    "configs/**/*.yaml",
    "docs/*.md",
    "README.md",
    "CONTRIBUTING.md",
    "examples/*.py",
    "examples/web/README.md",
    "examples/web/index.html",
)
FILES = sorted(path for pattern in GLOBS for path in ROOT.glob(pattern) if path.is_file())
FOREIGN = (
    r"\b(mend(s|ed|ing)?|complain\w*|judg\w+|deceiv\w*|verdicts?|games?|pictures?|lessons?|rivals?|recit\w+|lest|wont)\b",
    r"\b(holds?|held|holding) (\w+ )?against\b|\bhand(s|ed|ing)? (\w+ )?over\b|\bfor want of\b|\bbesides[.,;]?$",
    r"\b(goes|going|went) on\b|\b(left|leaves?|leaving) (\w+ )?out\b",
    r"colour|neighbour|\bdistil(s|\b)|distil_|normalis|optimis|behaviour|initialis|regularis|favour|\bgrey",
)
PATTERN = re.compile("|".join(FOREIGN), re.IGNORECASE)


def test_words():
    hits = [
        f"{path.relative_to(ROOT)}:{number}: {found[0]}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for found in PATTERN.finditer(line)
    ]
    assert len(FILES) > 200
    assert not hits, "\n".join([f"{len(hits)} words to replace:", *hits])


@pytest.mark.parametrize("text", ["held it against", "a neighbouring row", "is left out", "the Game", "mended"])
def test_pattern_matches(text: str):
    assert PATTERN.search(text)


@pytest.mark.parametrize("text", ["amend", "recommended", "a neighboring row", "normalize", "besides the point", "on"])
def test_pattern_does_not_match_standard_words(text: str):
    assert not PATTERN.search(text)
