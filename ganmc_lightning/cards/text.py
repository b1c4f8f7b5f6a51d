"""Sentences and plots of a classifier's card."""

from __future__ import annotations

from collections.abc import Sequence

from ganmc_lightning.cards.changes import ClassChange
from ganmc_lightning.cards.formatting import format_fraction, format_percent, format_points
from ganmc_lightning.cards.page import Conclusion
from ganmc_lightning.cards.scores import Calibration, ClassifierScores
from ganmc_lightning.cards.svg import Point, Series, legend_html, scatter_svg

COLORS = {"teacher": (6,), "student": (0, 1), "baseline": (2, 3, 4, 5)}
"""CSS classes of the models of a role; after the last one the first is used again."""


def conclude(models: Sequence[ClassifierScores], samples: int) -> Conclusion:
    """State what the first student keeps of the teacher, after the baselines that it does not beat.

    Args:
        models: scores of all classifiers.
        samples: number of test samples.
    """
    student = next(model for model in models if model.role == "student")
    teacher = next((model for model in models if model.role == "teacher"), None)
    baselines = [model for model in models if model.role == "baseline"]
    equal = [model for model in baselines if model.student_minus is not None and model.student_minus.low <= 0]
    main = _alone(student, samples) if teacher is None else _against(student, teacher)
    if not baselines:
        return Conclusion(main, False)
    compared = max(equal or baselines, key=lambda model: model.accuracy.value)
    assert compared.student_minus is not None  # only of the first student
    difference = f"student minus baseline {format_points(compared.student_minus)}"
    if not equal:
        return Conclusion(f"{main} It beats the baseline {compared.name}: {difference}.", False)
    if compared.student_minus.high < 0:
        return Conclusion(f"The baseline {compared.name} beats the student: {difference}. {main}", True)
    text = f"The student does not differ measurably from the baseline {compared.name}: {difference}."
    return Conclusion(f"{text} {main}", True)


def notes_of_card(models: Sequence[ClassifierScores], samples: int) -> list[str]:
    """Return the remarks without which the numbers would mislead.

    Args:
        models: scores of all classifiers.
        samples: number of test samples.
    """
    notes = [
        f"Scores: {samples:,} test samples. Intervals: 95 %, bootstrap of the test samples, paired for differences; "
        "they do not contain the variation between random seeds of the training."
    ]
    perfect = [model.name for model in models if model.accuracy.value == 1]
    if perfect:
        notes.append(
            f"{', '.join(perfect)}: without a wrong prediction the interval has no width; the error rate is below "
            f"{format_percent(min(1, 3 / samples))} with 95 % confidence (rule of three)."
        )
    if any(model.agreement for model in models):
        notes.append(
            "Agreement: share of predictions equal to the teacher's. KL: mean divergence of the probabilities from "
            "those of the teacher, in nats."
        )
    notes.append(
        "Calibration error: 15 bins of the confidence. Temperatures are fitted to the log loss on validation samples."
    )
    unscaled = [model.name for model in models if model.scaled is None]
    if unscaled:
        notes.append(
            f"Without temperature: {', '.join(unscaled)} (no validation samples, or none that determine a temperature, "
            "as where all are classified correctly)."
        )
    return notes


def summarize_classes(classes: Sequence[ClassChange], listed: int) -> str:
    """Count the classes that lose and gain, and name the number of those on the page.

    Args:
        classes: all classes that occur.
        listed: maximum number of classes on the page.
    """
    changes = [item.change for item in classes if item.change is not None]
    parts = []
    if changes:
        lower, higher = sum(change < 0 for change in changes), sum(change > 0 for change in changes)
        parts.append(
            f"Accuracy of classes: {lower:,} lower, {higher:,} higher, {len(changes) - lower - higher:,} equal."
        )
    if len(classes) > listed:
        parts.append(f"{listed} of {len(classes):,} classes with test samples; card.json has all.")
    return " ".join(parts)


def cost_svg(models: Sequence[ClassifierScores]) -> str:
    """Plot accuracy over parameters, with intervals and the line of the models that no smaller one equals."""
    series = []
    for role, colors in COLORS.items():
        for number, model in enumerate(model for model in models if model.role == role):
            low, high = 100 * model.accuracy.low, 100 * model.accuracy.high
            text = f"{model.name}: {model.parameters:,} parameters, {format_percent(model.accuracy.value)}"
            point = Point(max(1, model.parameters), 100 * model.accuracy.value, text, (low, high))
            series.append(Series(model.name, [point], colors[number % len(colors)], large=True))
    points = sorted((point for item in series for point in item.points), key=lambda point: (point.x, -point.y))
    front: list[Point] = []
    for point in points:
        if not front or point.y > front[-1].y:
            front.append(point)
    if len(front) > 1:
        line = Series("Pareto front", [point._replace(interval=None) for point in front], 7, line=True)
        series.insert(0, line)
    title = "Accuracy in percent over parameters. " + "; ".join(point.text for point in points)
    return scatter_svg(title, ("parameters", "accuracy, %"), series, log_x=True) + legend_html(series)


def calibration_svg(models: Sequence[ClassifierScores]) -> str:
    """Plot accuracy over confidence of teacher and first student, before and after temperature scaling."""
    chosen = [model for model in models if model.role == "teacher"][:1]
    chosen += [model for model in models if model.role == "student"][:1]
    series = []
    for model in chosen:
        color = COLORS[model.role][0]
        series.append(_curve(model.name, model.calibration, color))
        if model.scaled is not None:
            name = f"{model.name}, temperature {model.scaled.temperature:.2f}"
            series.append(_curve(name, model.scaled, color + 1))
    series = [item for item in series if item.points]
    if not series:
        return ""
    title = "Accuracy over mean confidence of " + ", ".join(item.name for item in series)
    plot = scatter_svg(title, ("mean confidence", "accuracy"), series, diagonal=True)
    return plot + legend_html(series)


def _alone(student: ClassifierScores, samples: int) -> str:
    accuracy = student.accuracy
    return (
        f"{student.name} classifies {format_percent(accuracy.value)} of {samples:,} test samples correctly (95 % "
        f"interval {format_percent(accuracy.low)} to {format_percent(accuracy.high)})."
    )


def _against(student: ClassifierScores, teacher: ClassifierScores) -> str:
    assert teacher.student_minus is not None  # only of the first student
    part = format_fraction(student.parameters, teacher.parameters)
    size = f"{part} the parameters" if part.endswith("times") else f"{part} of the parameters"
    points = teacher.student_minus
    change = f"{100 * points.value:+.2f} points, 95 % interval {100 * points.low:+.2f} to {100 * points.high:+.2f}"
    reached, given = 100 * student.accuracy.value, 100 * teacher.accuracy.value
    if reached > given:
        return f"The student has {reached:.2f} % accuracy, the teacher {given:.2f} %, with {size} ({change})."
    return f"The student keeps {reached:.2f} of the teacher's {given:.2f} points of accuracy with {size} ({change})."


def _curve(name: str, calibration: Calibration, color: int) -> Series:
    points = [
        Point(each.confidence, each.accuracy, f"{name}: confidence {each.confidence:.2f}, accuracy {each.accuracy:.2f}")
        for each in calibration.curve
    ]
    return Series(name, points, color, line=True)
