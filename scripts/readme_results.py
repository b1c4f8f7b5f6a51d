"""Draw ``docs/figures/overview.png`` and print the results table of the README, from the reports in ``docs/results``.

python scripts/readme_results.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from scipy.special import stdtrit

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
FIGURE = ROOT / "docs" / "figures" / "overview.png"

MAIN = -1  # the table of classifiers at the top of a report, outside its list of tables
FULLY_GROWN, SIZE_TUNED, SMALL, BOOSTING = 0, 2, 3, 4  # tables of the forest reports


class Comparison(NamedTuple):
    """One line of the table: a student trained with generated samples and its baselines, by the names of the rows."""

    task: str
    report: str
    table: int
    metric: str
    labels: str | None
    real: str
    baselines: tuple[str, ...]
    gan: str


LOGITS = ("Real data only", "Real data + jitter")
ROWS = ("Real data, out-of-bag labels", "Jitter", "Real + jitter", "MUNGE", "Real + MUNGE", "SMOTE", "Real + SMOTE")
FOREST = ("Student only (labels)", "Real data", ROWS, "AC-GAN rows")
GAN_CHOSEN = "p_fake by validation"
HIGGS = "Higgs, 1,000 rows (2,824 to select on)"
COMPARISONS = (
    Comparison("digits, CNN to MLP, accuracy", "digits", MAIN, "accuracy", "Student (labels)",
               LOGITS[0], ("Real data + jitter", "Real data + shifts"), f"Real + GAN data, {GAN_CHOSEN}"),
    Comparison("Fashion-MNIST, 2,000 images, CNN to LeNet-4, accuracy", "fashion_mnist", MAIN, "accuracy",
               "Student (labels)", LOGITS[0], ("Real data + jitter", "Real data + crops and flips"),
               f"Real + GAN data, {GAN_CHOSEN}"),
    Comparison("CIFAR-10, 5,000 images, NIN to LeNet without crops and flips, accuracy", "cifar10_few_images", MAIN,
               "accuracy", "5,000 images, labels", "5,000 images",
               ("5,000 images, mixup, p_fake 0.5", "5,000 images, mixup, p_fake 0.8"), "5,000 images, p_fake 0.5"),
    Comparison("CIFAR-10, 5,000 images, NIN to LeNet with crops and flips, accuracy", "cifar10_5k", MAIN, "accuracy",
               "LeNet (labels)", LOGITS[0], ("Real data + crops and flips",),
               "Real data + crops and flips, p_fake 0.5"),
    Comparison("CIFAR-10, 1,000 images, NIN (5,000 images) to LeNet without crops and flips, accuracy",
               "cifar10_few_images", MAIN, "accuracy", None, "1,000 images", ("1,000 images, mixup, p_fake 0.8",),
               "1,000 images, p_fake 0.8"),
    Comparison("CIFAR-10, 1,000 images, NIN (5,000 images) to LeNet with crops and flips, accuracy",
               "cifar10_few_images", MAIN, "accuracy", None, "1,000 images",
               ("1,000 images, mixup, p_fake 0.8", "1,000 images, crops and flips"),
               "1,000 images, crops and flips, p_fake 0.8"),
    Comparison("CIFAR-10, 400 images, NIN (5,000 images) to LeNet without crops and flips, accuracy",
               "cifar10_few_images", MAIN, "accuracy", None, "400 images", ("400 images, mixup, p_fake 0.8",),
               "400 images, p_fake 0.8"),
    Comparison("CIFAR-10, 400 images, NIN (5,000 images) to LeNet with crops and flips, accuracy", "cifar10_few_images",
               MAIN, "accuracy", None, "400 images",
               ("400 images, mixup, p_fake 0.8", "400 images, crops and flips"),
               "400 images, crops and flips, p_fake 0.8"),
    Comparison("Fashion-MNIST, 2,000 images, ANC (no labels), accuracy", "anc_gan_data", MAIN, "accuracy",
               "LeNet-4 (labels)", "ANC, real data", ("ANC, real data + jitter",), f"ANC, {GAN_CHOSEN}"),
    Comparison("MAGIC, forest to one fully grown tree, AUC", "forest_magic", FULLY_GROWN, "auc", *FOREST),
    Comparison("MAGIC, forest to one tree at least 300x smaller, AUC", "forest_magic", SMALL, "auc", *FOREST),
    Comparison("MAGIC, forest to boosting of at most 1,240 nodes, AUC", "forest_magic", BOOSTING, "auc", *FOREST),
    Comparison(f"{HIGGS}, forest to one fully grown tree, accuracy", "forest_higgs", FULLY_GROWN, "accuracy",
               *FOREST),
    Comparison(f"{HIGGS}, forest to one tree of a tuned size, accuracy", "forest_higgs", SIZE_TUNED,
               "accuracy", *FOREST),
    Comparison(f"{HIGGS}, forest to boosting of at most 300 nodes, AUC", "forest_higgs", BOOSTING, "auc",
               *FOREST),
)  # fmt: skip


def read_values(report: str, table: int, metric: str) -> dict[str, np.ndarray]:
    """Read the test values of every seed from a committed report, by row."""
    content = json.loads((RESULTS / report / "report.json").read_text(encoding="utf-8"))
    rows = content["rows"] if table == MAIN else content["tables"][table]["rows"]
    return {row["name"]: np.array(row["values"]) for row in rows if row["metric"] == metric}


def half_width(values: np.ndarray) -> float:
    """Return the half-width of the 95 % Student-t interval of a mean."""
    n = len(values)
    return float(values.std(ddof=1) / np.sqrt(n) * stdtrit(n - 1, 0.975))


def results_table() -> str:
    """Return the README's Markdown table; the last column is decided by the interval of the paired differences."""
    lines = [
        "| task | labels | real data | best without GAN | with GAN | difference | seeds | result |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in COMPARISONS:
        values = read_values(line.report, line.table, line.metric)
        known = [name for name in (line.real, line.labels, *line.baselines) if name is not None]
        best = max(known, key=lambda name: values[name].mean())
        if len(values[best]) != len(values[line.gan]):
            sys.exit(f"{line.report}: {best!r} and {line.gan!r} have different numbers of seeds, expected equal ones")
        difference = values[line.gan] - values[best]  # paired: a seed fixes the split and the teacher of both rows
        mean, interval = difference.mean(), half_width(difference)
        result = "tie" if abs(mean) <= interval else "better" if mean > 0 else "worse"
        named = (line.labels, line.real, best, line.gan)
        shown = ["" if name is None else f"{values[name].mean():.3f}" for name in named]
        shown[2] += f" ({_short(best)})"
        if best == line.real:
            shown[2] = shown[1] + " (real data)"
        task = f"[{line.task}](docs/results/{line.report}/report.md)"
        lines.append(f"| {task} | {' | '.join(shown)} | {mean:+.4f} ± {interval:.4f} | {len(difference)} | {result} |")
    return "\n".join(lines)


def _short(name: str) -> str:
    """Return the name of a row as it stands in a sentence: "jitter" for "Real data + jitter"."""
    short = name.removeprefix("ANC, ").removeprefix("Real data + ").removeprefix("real data + ")
    short = re.sub("^[0-9,]+ images, ", "", short)
    return short if short.startswith(("SMOTE", "MUNGE")) else short[0].lower() + short[1:]


def draw_forests(axes: Axes) -> None:
    """Draw the AUC of trees of a chosen size and of boosting over their size in kB, and the teacher's."""
    trees, boosting = (SIZE_TUNED, SMALL), (BOOSTING, BOOSTING + 1)
    groups = (
        ("labels", "Student only (labels)", trees),
        ("real", "Real data", trees),
        ("AC-GAN", "AC-GAN rows", trees),
        ("jitter", "Jitter", trees),
        ("MUNGE", "MUNGE", trees),
        ("SMOTE", "SMOTE", trees),
        ("boosting, real", "Real data", boosting),
    )
    for k, (label, name, tables) in enumerate(groups):
        points = []
        for table in tables:
            kilobytes, auc = (read_values("forest_magic", table, metric)[name].mean() for metric in ("bytes", "auc"))
            points.append((kilobytes / 1000, auc))
        axes.plot(*zip(*points, strict=True), "o-", color=f"C{k}", markersize=6, linewidth=1)
        axes.annotate(label, max(points), textcoords="offset points", xytext=(8, -3), color=f"C{k}", fontsize=9)
    teacher = read_values("forest_magic", FULLY_GROWN, "auc")["Teacher, 500 trees"].mean()
    size = read_values("forest_magic", FULLY_GROWN, "bytes")["Teacher, 500 trees"].mean() / 1000
    axes.plot(size, teacher, "k*", markersize=12)
    axes.annotate("teacher,\n500 trees", (size, teacher), textcoords="offset points", xytext=(-52, -22), fontsize=9)
    axes.set(xscale="log", xlabel="size of the model", ylabel="AUC on test rows")
    axes.set_xticks((10, 100, 1000, 10_000, 100_000), ("10 kB", "100 kB", "1 MB", "10 MB", "100 MB"))
    axes.minorticks_off()
    axes.set_title("MAGIC: a forest into one tree, or boosting", fontsize=11)


def draw_generators(axes: Axes) -> None:
    """Draw the FID of students and of GANs trained from scratch over their parameters."""
    report = "gan_compression_fashion_mnist"
    fid, parameters = (read_values(report, 0, metric) for metric in ("fid", "parameters"))
    joint = "student, joint, new discriminator"
    kinds = {joint: "distilled, joint loss", "student, MSE": "distilled, MSE", "regular": "GAN from scratch"}
    for kind, label in kinds.items():
        names = [f"d = {width}, {kind}" for width in (2, 4, 8)]
        axes.plot([parameters[name][0] for name in names], [fid[name].mean() for name in names], "o-", label=label)
    teacher = "d = 32, teacher"
    axes.plot(parameters[teacher][0], fid[teacher].mean(), "k*", markersize=12, label="teacher")
    axes.set(xscale="log", yscale="log", xlabel="parameters of the generator", ylabel="FID (lower is better)")
    ticks = (10, 20, 50, 100)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks((10_000, 30_000, 100_000, 300_000), ("10 k", "30 k", "100 k", "300 k"))
    axes.minorticks_off()
    axes.legend(fontsize=9, frameon=False)
    axes.set_title("Fashion-MNIST: a smaller DCGAN (three seeds)", fontsize=11)


def draw_samples(figure: Figure, left: float) -> None:
    """Show rows of the committed comparison of samples, drawn from equal latents."""
    rows = {"teacher\n369 k": 0, "joint loss\n62 k": 14, "from scratch\n62 k": 17, "joint loss\n13 k": 12,
            "from scratch\n13 k": 15}  # fmt: skip
    path = RESULTS / "gan_compression_fashion_mnist" / "figures" / "samples_comparison.png"
    pixels = np.asarray(Image.open(path).convert("L"))
    bands = find_strips(pixels[:, pixels.shape[1] // 4] < 250)  # a column of pixels through the first block of samples
    start, stop = find_strips(pixels[bands[0][0] + 1] < 250)[0]
    for k, (label, row) in enumerate(rows.items()):
        axes = figure.add_axes((left, 0.725 - 0.155 * k, 0.985 - left, 0.15))
        # The first 6 of 10 samples: the strip stays legible at this width.
        axes.imshow(pixels[bands[row][0] : bands[row][1], start : start + (stop - start) * 6 // 10], cmap="gray")
        axes.set_axis_off()
        axes.text(-0.02, 0.5, label, transform=axes.transAxes, ha="right", va="center", fontsize=9)


def find_strips(dark: np.ndarray, shortest: int = 20) -> list[tuple[int, int]]:
    """Find the runs of true values that are at least ``shortest`` long, as pairs of start and stop."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], dark.astype(int), [0]])))
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= shortest]


def draw_figure(path: Path) -> None:
    """Draw the three panels of the overview, 1,200 pixels wide."""
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        figure = plt.figure(figsize=(12, 4), dpi=100)
        draw_forests(figure.add_axes((0.055, 0.13, 0.27, 0.75)))
        draw_generators(figure.add_axes((0.385, 0.13, 0.27, 0.75)))
        draw_samples(figure, 0.745)
        figure.text(0.865, 0.905, "its samples, by parameters", ha="center", fontsize=11)
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Software": None})
        plt.close(figure)


if __name__ == "__main__":
    draw_figure(FIGURE)
    print(results_table())
