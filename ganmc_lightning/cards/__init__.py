"""Cards: teacher, student and baselines on one HTML page without scripts or external files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganmc_lightning.cards.card import ClassifierCard, make_classifier_card
    from ganmc_lightning.cards.measuring import measure_classifier
    from ganmc_lightning.cards.results import CardFile, ClassifierResult

# Imported when first asked for: the cards of tables use other modules of this package, which do not import PyTorch.
_LAZY_IMPORTS = {
    "CardFile": "results",
    "ClassifierCard": "card",
    "ClassifierResult": "results",
    "make_classifier_card": "card",
    "measure_classifier": "measuring",
}

__all__ = ["CardFile", "ClassifierCard", "ClassifierResult", "make_classifier_card", "measure_classifier"]


def __getattr__(name: str) -> object:
    if name not in _LAZY_IMPORTS:
        raise AttributeError(f"module 'ganmc_lightning.cards' has no attribute '{name}'")
    return getattr(import_module(f"ganmc_lightning.cards.{_LAZY_IMPORTS[name]}"), name)
