"""``ganmc evaluate``: compute metrics of generated samples against real ones."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from ganmc_lightning import __version__
from ganmc_lightning.evaluation.compression import make_compression_scores
from ganmc_lightning.evaluation.evaluator import FEATURE_METRICS, METRICS, GeneratorEvaluator, held_out_split
from ganmc_lightning.evaluation.plots import COLUMNS, plot_results
from ganmc_lightning.evaluation.real_data import load_datamodule
from ganmc_lightning.evaluation.result import EvaluationResult
from ganmc_lightning.evaluation.samples import SPLITS
from ganmc_lightning.evaluation.sources import open_sample_sets
from ganmc_lightning.evaluation.student_factory import make_student_factory
from ganmc_lightning.evaluation.table import collect_settings, flatten_metrics, print_results
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics.extractors import load_classifier, make_extractor
from ganmc_lightning.networks.profiling import device_name
from ganmc_lightning.networks.training_data import check_statistics
from ganmc_lightning.runs.folder import RunFolder

MINIMA = {"num_samples": 2, "seed": 0, "num_students": 1, "student_batch_size": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add(
        "samples",
        nargs="+",
        metavar="SAMPLES",
        help="checkpoint of a (compressed) GAN, CHECKPOINT:SUBMODULE if the generator is not named generator or "
        "student; .npz file; folder of images; real:train, real:val or real:test; NAME=SAMPLES sets the column name",
    )
    add(
        "--data",
        required=True,
        help="real data: a built-in data set such as digits, an .npz file, or the .yaml config of a run",
    )
    add(
        "--metrics",
        type=_split_names,
        metavar="A,B",
        help=f"comma-separated metrics from {','.join(METRICS)} (default: all that can be computed)",
    )
    add(
        "--extractor",
        help="feature extractor: inception, inception:WEIGHTS.pth, classifier:CHECKPOINT or "
        "classifier:CHECKPOINT:LAYER (default: inception for images)",
    )
    add("--num-samples", type=int, default=10_000, metavar="N", help="number of samples per set (default: 10000)")
    add("--seed", type=int, default=0, help="random seed for latents, subsets and students (default: 0)")
    add("--real-split", default="test", choices=SPLITS, help="split of the real data to compare with (default: test)")
    add(
        "--sharpness-reference",
        metavar="SAMPLES",
        help="reference samples for the sharpness ratio (default: the real split)",
    )
    add("--teacher", metavar="CHECKPOINT", help="trained classifier for the Compression Score")
    add("--student", metavar="CLASS|YAML", help="student of the Compression Score: network class or .yaml config")
    add("--num-students", type=int, default=3, metavar="N", help="students per set and variant (default: 3)")
    add(
        "--student-batch-size",
        type=int,
        default=128,
        metavar="N",
        help="batch size for training the students (default: 128; use a smaller size for small data sets)",
    )
    add(
        "--student-learning-rate",
        type=float,
        default=1e-3,
        metavar="LR",
        help="learning rate of the students' Adam optimizer (default: 0.001)",
    )
    add("--out", type=Path, metavar="FOLDER", help="write metrics and settings to FOLDER/result.json")
    add("--nearest-plot", type=Path, metavar="FILE.png", help="plot samples next to their nearest training samples")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate sample sets, print their metrics and write them to files.

    Raises:
        ConfigurationError: an argument is invalid.
    """
    started = time.monotonic()
    _check_arguments(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = load_datamodule(arguments.data)
    samples = open_sample_sets(
        arguments.samples, data, sharpness_reference=arguments.sharpness_reference, device=device
    )
    requested, is_images = set(arguments.metrics or METRICS), len(data.spec.sample_shape) == 3
    extractor, compression = None, {}
    extractor_name = arguments.extractor or ("inception" if is_images else None)
    if arguments.nearest_plot and not (extractor_name and is_images):
        raise ConfigurationError("--nearest-plot requires images and an extractor")
    if extractor_name and (arguments.nearest_plot or requested & set(FEATURE_METRICS)):
        extractor = make_extractor(extractor_name, tuple(data.spec.sample_shape)).to(device)
        check_statistics("--extractor", extractor, data.spec)
    if arguments.teacher and "compression_score" in requested:
        first = arguments.seed * arguments.num_students  # so that students of different --seed differ
        compression = make_compression_scores(
            data,
            load_classifier(arguments.teacher).to(device),
            make_student_factory(arguments.student),
            held_out_split=held_out_split(arguments.real_split),
            device=device,
            seeds=range(first, first + arguments.num_students),
            batch_size=arguments.student_batch_size,
            learning_rate=arguments.student_learning_rate,
        )
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        evaluator = GeneratorEvaluator(
            data,
            metrics=arguments.metrics,
            extractor=extractor,
            compression=compression,
            num_samples=arguments.num_samples,
            seed=arguments.seed,
            real_split=arguments.real_split,
            sharpness_reference=samples.sharpness_reference,
            device=device,
            progress=lambda description: lambda items: progress.track(items, description=description),
        )
        results = [evaluator.evaluate(sample_set) for sample_set in samples.sets]
        if arguments.nearest_plot:
            plot_results(evaluator, results, arguments.nearest_plot)
    print_results(evaluator, results, data.dataset.name)
    if arguments.out:
        _write_result(arguments, evaluator, results, data.dataset.name, round(time.monotonic() - started, 2))
    return 0


def _split_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _check_arguments(arguments: argparse.Namespace) -> None:
    """Validate numbers, combinations and output paths before any file is loaded."""
    for name, minimum in MINIMA.items():
        if getattr(arguments, name) < minimum:
            flag = f"--{name.replace('_', '-')}"
            raise ConfigurationError(f"{flag}: got {getattr(arguments, name)}, expected at least {minimum}")
    if not arguments.student_learning_rate > 0:
        raise ConfigurationError(
            f"--student-learning-rate: got {arguments.student_learning_rate}, expected a positive number"
        )
    if (arguments.teacher is None) != (arguments.student is None):
        raise ConfigurationError("--teacher, --student: got only one, expected both or neither")
    if arguments.nearest_plot and arguments.num_samples < COLUMNS:
        raise ConfigurationError(
            f"--num-samples: got {arguments.num_samples}, expected at least {COLUMNS} with --nearest-plot"
        )
    if arguments.nearest_plot and all(text.rpartition("=")[2] == "real:train" for text in arguments.samples):
        raise ConfigurationError("--nearest-plot: got only real:train, expected samples to compare with it")
    for option, path in (("--out", arguments.out), ("--nearest-plot", arguments.nearest_plot)):
        if path is not None:
            _check_writable(option, path)


def _check_writable(option: str, path: Path) -> None:
    folder, file = (path, path / "result.json") if option == "--out" else (path.parent, path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{option}: cannot write {file} ({error.strerror})") from error
    if file.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{option}: cannot write {file}")


def _write_result(
    arguments: argparse.Namespace,
    evaluator: GeneratorEvaluator,
    results: Sequence[EvaluationResult],
    data_name: str,
    seconds: float,
) -> None:
    inputs = {"data": data_name, "teacher": arguments.teacher, "student": arguments.student}
    RunFolder(arguments.out).update_result(
        command=arguments.command,
        seed=arguments.seed,
        metrics=flatten_metrics(results),
        train_seconds=seconds,
        device=device_name(torch.device(evaluator.device)),
        settings={"version": __version__, **inputs, **collect_settings(evaluator, results)},
    )
