"""Card of a compression: sizes, scores, latencies and plots of teacher, student and baseline on one HTML page."""

from ganmc_lightning.tabular.card.card import CompressionCard, measure_card, render_card, write_card

__all__ = ["CompressionCard", "measure_card", "render_card", "write_card"]
