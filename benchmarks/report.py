"""Write the tables of ``docs/speed.md``, its figure and the table of the README from ``benchmarks/results``.

python -m benchmarks.report
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.results_file import RESULTS, meets
from benchmarks.rows import Row
from benchmarks.sweep import BATCH_SIZE, P_FAKE
from benchmarks.training import LOOP, NO_POOL, OTHER, PAIRS, POOL, REAL, SHIPPED, UNCACHED, USUAL

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "speed.md"
FIGURE = ROOT / "docs" / "figures" / "speed.png"
README, README_DEVICE = ROOT / "README.md", "AMD EPYC"
TORCHDISTILL = "https://github.com/yoshitomo-matsubara/torchdistill"
START, END = "<!-- tables of benchmarks/report.py -->", "<!-- end of tables -->"
TRAINING = ("training", "training_float32")
COLUMNS = {
    "`ganmc fit`": (POOL, SHIPPED),
    "no pool or cache": (NO_POOL,),
    "loop, same optimizations": (LOOP,),
    "loop, usual style": (USUAL,),
    "`ganmc fit`, p_fake 0": (REAL,),
    "p_fake 0, no cache": (UNCACHED,),
    "torchdistill, p_fake 0": (OTHER,),
}


def tables(results: dict[str, Any]) -> str:
    """Return the Markdown of one device: throughput of the pairs, and all rows with a target."""
    benchmarks = results["benchmarks"]
    lines = [f"## {results['device']}", ""]
    trained = [row for name in TRAINING if name in benchmarks for row in benchmarks[name]["rows"]]
    if trained:
        lines += [*_pair_table(trained), ""]
    lines += ["| measured | value | target | met |", "|---|---|---|---|"]
    for benchmark in benchmarks.values():
        for row in benchmark["rows"]:
            if row["target"] is not None:
                value = f"{_number(row['value'])} {row['unit']}".strip()
                lines.append(f"| {row['name']} | {value} | {row['target']} | {'yes' if meets(row) else 'no'} |")
    lines += ["", "Runs:", ""]
    runs: dict[str, list[str]] = {}
    for name, benchmark in benchmarks.items():
        versions = ", ".join(f"{package} {version}" for package, version in benchmark["versions"].items())
        seed = f"threads: {benchmark['threads']}, seed {benchmark['seed']}, {benchmark['date']}"
        runs.setdefault(f"`{benchmark['command']}`; {seed}; {versions}", []).append(name)
    lines += [f"- {', '.join(names)}: {run}" for run, names in runs.items()]
    return "\n".join(lines)


def _pair_table(rows: list[Row]) -> list[str]:
    speeds = {(row["pair"], row["precision"], row["implementation"]): row for row in rows if "implementation" in row}
    ratios = {row["name"]: row["value"] for row in rows}
    names = [*COLUMNS, "`ganmc fit` / same optimizations", "share of the floor", "peak memory"]
    lines = [f"| samples per second | precision | {' | '.join(names)} |", "|" + "---|" * (len(names) + 2)]
    for pair, precision in dict.fromkeys(key[:2] for key in speeds):
        found = [
            next((speeds[pair, precision, name] for name in names if (pair, precision, name) in speeds), None)
            for names in COLUMNS.values()
        ]
        cells = ["" if row is None else _number(row["value"]) for row in found]
        ratio = ratios[f"{pair}, {precision}: ratio to the loop with the same optimizations"]
        share = ratios[f"{pair}, {precision}: share of the device's floor"]
        fit = found[0]
        memory = "" if fit is None or fit["memory_mib"] is None else f"{fit['memory_mib'] / 1024:.2f} GiB"
        cells += [f"{ratio:.2f}", f"{share:.0%}", memory]
        lines.append(f"| {pair} | {precision} | {' | '.join(cells)} |")
    return lines


def readme_table(results: dict[str, Any]) -> str:
    """Return the Markdown of the distillation pairs."""
    other = f"[torchdistill]({TORCHDISTILL}), real images only"
    names = ["distillation", "`ganmc fit`, pool and cached logits", "loop in the usual style", "ratio", other, "ratio"]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    rows = results["benchmarks"]["training"]["rows"]
    speeds = {(row["pair"], row["implementation"]): row["value"] for row in rows if "implementation" in row}
    for pair in (pair.name for pair in PAIRS if pair.distills):
        fit, usual, real, other = (speeds[pair, name] for name in (POOL, USUAL, REAL, OTHER))
        ratios = f"{fit / usual:.1f} | {_number(other)} | {real / other:.1f}"
        lines.append(f"| {pair.replace('->', 'to')} | {_number(fit)} | {_number(usual)} | {ratios} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the speed relative to the loop in the usual style, and the sweeps over p_fake and the batch size."""
    benchmarks = results["benchmarks"]
    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "font.size": 9}):
        figure, (pairs, p_fake, batch) = plt.subplots(1, 3, figsize=(12, 3.8), dpi=100, width_ratios=(1.6, 1, 1))
        _draw_pairs(pairs, benchmarks["training"]["rows"])
        if "sweep" not in benchmarks:
            p_fake.set_axis_off()
            batch.set_axis_off()
        else:
            cells = [row for row in benchmarks["sweep"]["rows"] if "implementation" in row]
            _draw_sweep(p_fake, [row for row in cells if row["batch_size"] == BATCH_SIZE], "p_fake", "p_fake")
            _draw_sweep(batch, [row for row in cells if row["p_fake"] == P_FAKE], "batch_size", "batch size")
            batch.set_xscale("log", base=2)
            batch.set_xticks(sorted({row["batch_size"] for row in cells}))
            batch.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        figure.tight_layout()
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Software": None})
        plt.close(figure)


def _draw_pairs(axes: Axes, rows: list[Row]) -> None:
    speeds = {(row["pair"], row["implementation"]): row["value"] for row in rows if "implementation" in row}
    names = [pair.name for pair in PAIRS if (pair.name, USUAL) in speeds]
    shown = {"ganmc fit": (POOL, SHIPPED), "loop, same optimizations": (LOOP,), "loop, usual style": (USUAL,)}
    height = 0.8 / len(shown)
    for k, (label, implementations) in enumerate(shown.items()):
        values = [
            next(speeds[name, implementation] for implementation in implementations if (name, implementation) in speeds)
            / speeds[name, USUAL]
            for name in names
        ]
        bars = axes.barh([n + k * height for n in range(len(names))], values, height, label=label)
        axes.bar_label(bars, fmt="%.2g", padding=2, fontsize=8)
    axes.set_yticks([n + height for n in range(len(names))], names)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_title("samples per second, relative to the usual style")
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _draw_sweep(axes: Axes, rows: list[Row], key: str, label: str) -> None:
    for precision in dict.fromkeys(row["precision"] for row in rows):
        color = None
        for implementation, style in (("ganmc fit", "o-"), (LOOP, "o:")):
            line = sorted(
                (row[key], row["value"])
                for row in rows
                if row["precision"] == precision and row["implementation"] == implementation
            )
            (drawn,) = axes.plot(*zip(*line, strict=True), style, color=color, label=f"{implementation}, {precision}")
            color = drawn.get_color()
    axes.set(xlabel=label, ylabel="samples per second", ylim=(0, None), title="LeNet-4 with a pool")
    axes.legend(frameon=False, fontsize=7)


def read_results() -> list[dict[str, Any]]:
    """Read the results of all devices."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("*.json"))]


def with_tables(page: str) -> str:
    """Return the page with the tables of all devices between its two marks."""
    everything = read_results()
    figure = [f"![Throughput of training]({FIGURE.relative_to(PAGE.parent)})"] if _timed_devices(everything) else []
    text = "\n\n".join([*figure, *(tables(results) for results in everything)])
    return _between_marks(page, text)


def with_readme_table(page: str) -> str:
    """Return the README with the table of one device between its two marks."""
    (results,) = (results for results in read_results() if results["device"] == README_DEVICE)
    return _between_marks(page, readme_table(results))


def _between_marks(page: str, text: str) -> str:
    return re.sub(f"{START}.*{END}", lambda _: f"{START}\n\n{text}\n\n{END}", page, flags=re.DOTALL)


def main() -> None:
    for path, update in ((PAGE, with_tables), (README, with_readme_table)):
        path.write_text(update(path.read_text(encoding="utf-8")), encoding="utf-8")
    for results in _timed_devices(read_results())[:1]:
        draw(results, FIGURE)


def _timed_devices(everything: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [results for results in everything if "training" in results["benchmarks"]]


if __name__ == "__main__":
    main()
