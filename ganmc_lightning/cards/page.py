"""What all cards share: templates, and the sentence at the top."""

from __future__ import annotations

from typing import NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from ganmc_lightning.cards import formatting


class Conclusion(NamedTuple):
    """Result of a compression in one or two sentences.

    Attributes:
        text: the sentences.
        warning: whether the teacher did not help.
    """

    text: str
    warning: bool


def make_templates(package: str) -> Environment:
    """Create the environment of a package's templates, which extend ``base.html.j2``.

    Args:
        package: package with a folder ``templates``.
    """
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("ganmc_lightning.cards")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(
        bytes=formatting.format_size,
        count=formatting.format_large,
        seconds=formatting.format_seconds,
        difference=formatting.format_difference,
        metric=formatting.format_metric_value,
        percent=formatting.format_percent,
    )
    return templates
