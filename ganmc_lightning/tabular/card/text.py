"""Sentences, table cells and plots of a card."""

from __future__ import annotations

from ganmc_lightning.cards.formatting import format_difference
from ganmc_lightning.cards.page import Conclusion
from ganmc_lightning.cards.svg import Point, Series, legend_html, scatter_svg
from ganmc_lightning.tabular.card.scores import TestScores
from ganmc_lightning.tabular.compress import Compression
from ganmc_lightning.tabular.compress_checks import has_names
from ganmc_lightning.tabular.compress_search import TriedStudent, best_of_each_kind
from ganmc_lightning.tabular.recipes import LABELS_ONLY

HEADINGS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "mean absolute error",
}
MODEL_NAMES = {"teacher": "teacher", "student": "student", "plain": "plain boosting, same size"}
GAN = "gan"
"""Name of the synthesizer of ``--gan``, which was trained before the test rows were held out."""
LISTED = 15
COLORS = {"boosting": 0, "tree": 1, "forest": 2}


def conclusion_of(compression: Compression, scores: TestScores) -> Conclusion:
    """Compare the student with plain boosting of the same size."""
    name = HEADINGS[scores.score]
    if compression.is_plain:
        return Conclusion(
            "On the validation rows, no student of the teacher is better than plain boosting of the same size on the "
            "labels by more than a standard error. The exported model is plain boosting on the labels.",
            True,
        )
    if compression.uses_labels_alone:
        if compression.tried[0].candidate.teacher_labels == LABELS_ONLY:
            reason = "No student of the teacher beats those of the labels on the validation rows."
        else:
            reason = "The best student on the validation rows, one of the teacher, exceeds a limit of size or time."
        return Conclusion(
            f"{reason} The exported {compression.model.chosen_.student} is fitted to the labels alone. {name} minus "
            f"that of plain boosting: {format_difference(scores.differences['plain'])}.",
            True,
        )
    difference = scores.differences["plain"]
    amount = f"{name} {format_difference(difference)}"
    if difference.low > 0:
        return Conclusion(f"The student beats plain boosting of the same size on the labels: {amount}.", False)
    if difference.high < 0:
        return Conclusion(f"Plain boosting of the same size on the labels is better on the test rows: {amount}.", True)
    return Conclusion(
        f"The student does not differ measurably from plain boosting of the same size on the labels: {amount}.", True
    )


def metric_headings(scores: TestScores) -> dict[str, str]:
    """Return the names of the metrics except the main one, in the order of the table."""
    return {key: HEADINGS[key] for key in next(iter(scores.metrics.values())) if key != scores.score}


def notes_of(compression: Compression) -> list[str]:
    """Return the remarks without which the numbers would mislead."""
    rows = compression.rows
    count = f"{len(rows.y_test):,}"
    if rows.held_out:
        notes = [f"Scores: {count} held-out rows of the training table, not used to fit or choose a student."]
    else:
        notes = [f"Scores: {count} rows of the test table, not used to fit or choose a student."]
    drawn = "test rows of each class" if hasattr(rows.teacher, "predict_proba") else "test rows"
    notes.append(f"Intervals: 95 %, bootstrap of the {drawn}, paired for differences.")
    if rows.teacher_scores == "refitted":
        notes.append("The teacher was fitted again without the test rows, with its parameters, and labels the rows.")
    elif rows.teacher_scores == "seen":
        notes.append(
            "The teacher may have been fitted to the test rows: its scores and the student's are then too high. "
            "Pass test rows that it has not seen."
        )
    elif not rows.held_out and rows.teacher_given:
        notes.append("The scores of the teacher assume that it was not fitted to the test table.")
    if rows.held_out and any(item.synthesizer == GAN for item in compression.tried):
        notes.append(
            "The GAN may have been trained on the test rows: the scores of students of its rows are then too high. "
            "Pass test rows that it has not seen (--test)."
        )
    if rows.sample_weight is not None:
        notes.append("Fitted with sample weights; the scores weight all rows equally.")
    if rows.teacher_scores != "refitted" and hasattr(rows.X, "iloc") and not has_names(rows.teacher):
        notes.append("The teacher has no names of columns: those of the table are used in their order.")
    notes.append(
        "Plain boosting: scikit-learn's histogram gradient boosting on the labels, tuned on the same validation rows, "
        "with at most as many nodes as the student, at least one tree per class."
    )
    notes.append("Bytes of a model: pickled. Latency: minimum of several calls on this machine.")
    if compression.not_refitted:
        notes.append(
            f"The student was fitted without the {len(rows.choice.y_val):,} validation rows, which are a part of the "
            f"table, because {compression.not_refitted}."
        )
    if rows.choice.seen:
        notes.append(
            "The teacher may have been fitted to the validation rows, which then favor its students over plain "
            "boosting. Pass validation rows that it has not seen."
        )
    if compression.skipped:
        notes.append(f"Not tried because of the time limit: {'; '.join(compression.skipped)}.")
    notes += [f"Not usable here: {name} ({reason})." for name, reason in compression.unusable.items()]
    return notes


def candidate_rows(compression: Compression) -> list[tuple[str, str, str, str]]:
    """Return kind, labels, nodes and validation score of the best students."""
    return [
        (
            item.candidate.student,
            item.labels,
            "" if item.candidate.nodes is None else f"{item.candidate.nodes:,}",
            f"{item.candidate.score:.4f}",
        )
        for item in compression.tried[:LISTED]
    ]


def pareto_svg(compression: Compression) -> str:
    """Plot the validation score of the best student of each size; the chosen one is large."""
    tried = [item for item in compression.tried if item.candidate.nodes]
    series = []
    for kind in [item.candidate.student for item in best_of_each_kind(tried)]:
        own = [item for item in tried if item.candidate.student == kind]
        for plain, label in ((False, f"{kind}, teacher"), (True, f"{kind}, labels only")):
            group = [item for item in own if (item.candidate.teacher_labels == LABELS_ONLY) is plain]
            points = [_point(item) for item in _frontier(group)]
            if points:
                series.append(Series(label, points, 2 * COLORS.get(kind, 3) + plain, line=True))
    chosen = compression.model.chosen_
    if chosen.nodes and chosen.score == chosen.score:
        point = Point(chosen.nodes, chosen.score, f"chosen: {chosen.nodes:,} nodes, {chosen.score:.4f}")
        series.append(Series("chosen", [point], 8, large=True))
    if not series:
        return ""
    name = HEADINGS["auc" if compression.scoring == "roc_auc" else "r2"]
    plot = scatter_svg(f"{name} against nodes", ("nodes", f"{name}, validation rows"), series, log_x=True)
    return plot + legend_html(series)


def reliability_svg(scores: TestScores, is_plain: bool) -> str:
    """Plot accuracy against confidence; empty for regression."""
    series = [
        Series(
            MODEL_NAMES[name], [Point(x, y, f"confidence {x:.2f}, accuracy {y:.2f}") for x, y, _ in points], color, True
        )
        for (name, points), color in zip(scores.reliability.items(), (6, 0, 2), strict=False)
        if points and not (is_plain and name == "plain")
    ]
    if not series:
        return ""
    plot = scatter_svg("Reliability", ("mean confidence", "accuracy"), series, diagonal=True)
    return plot + legend_html(series)


def _frontier(group: list[TriedStudent]) -> list[TriedStudent]:
    """Return the students that no smaller one equals in score, by size."""
    found: list[TriedStudent] = []
    for item in sorted(group, key=lambda item: (item.candidate.nodes or 0, -item.candidate.score)):
        if not found or item.candidate.score > found[-1].candidate.score:
            found.append(item)
    return found


def _point(item: TriedStudent) -> Point:
    nodes, score = item.candidate.nodes or 0, item.candidate.score
    return Point(nodes, score, f"{item.candidate.student}, {item.labels}: {nodes:,} nodes, {score:.4f}")
