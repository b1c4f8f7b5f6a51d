"""Cards: teacher, student and baselines on one HTML page without scripts or external files."""

from ganmc_lightning.cards.card import ClassifierCard, make_classifier_card
from ganmc_lightning.cards.measuring import measure_classifier
from ganmc_lightning.cards.results import CardFile, ClassifierResult

__all__ = ["CardFile", "ClassifierCard", "ClassifierResult", "make_classifier_card", "measure_classifier"]
