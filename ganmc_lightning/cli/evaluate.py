"""``ganmc evaluate``: compute metrics of generated samples against real ones."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.progress import Progress

from ganmc_lightning import __version__
from ganmc_lightning.cli.malloc import keep_freed_memory
from ganmc_lightning.evaluation.compression import make_compression_scores
from ganmc_lightning.evaluation.evaluator import FEATURE_METRICS, METRICS, GeneratorEvaluator, held_out_split
from ganmc_lightning.evaluation.plots import COLUMNS, plot_results
from ganmc_lightning.evaluation.real_data import load_datamodule
from ganmc_lightning.evaluation.result import EvaluationResult
from ganmc_lightning.evaluation.sources import open_sample_sets
from ganmc_lightning.evaluation.student_factory import make_student_factory
from ganmc_lightning.evaluation.table import collect_settings, flatten_metrics, print_results
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.images import PLOT_CHANNELS
from ganmc_lightning.metrics.extractors import load_classifier, make_extractor
from ganmc_lightning.networks.profiling import device_name
from ganmc_lightning.networks.training_data import check_statistics
from ganmc_lightning.runs.folder import RunFolder


def run(arguments: argparse.Namespace) -> int:
    """Evaluate sample sets, print their metrics and write them to files.

    Raises:
        ConfigurationError: an argument is invalid.
    """
    started = time.monotonic()
    keep_freed_memory()
    if arguments.nearest_plot and arguments.num_samples < COLUMNS:
        raise ConfigurationError(
            f"--num-samples: got {arguments.num_samples}, expected at least {COLUMNS} with --nearest-plot"
        )
    if arguments.out:
        RunFolder(arguments.out).check_no_training("--out")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = load_datamodule(arguments.data)
    if data.spec.weighted:
        raise ConfigurationError(
            f"--data {arguments.data}: got rows with weights, expected none: metrics count all rows equally"
        )
    samples = open_sample_sets(
        arguments.samples, data, sharpness_reference=arguments.sharpness_reference, device=device
    )
    requested, is_images = set(arguments.metrics or METRICS), len(data.spec.sample_shape) == 3
    extractor, compression = None, {}
    extractor_name = arguments.extractor or ("inception" if is_images else None)
    if arguments.nearest_plot and not (extractor_name and is_images):
        raise ConfigurationError("--nearest-plot requires images and an extractor")
    if arguments.nearest_plot and data.spec.sample_shape[0] not in PLOT_CHANNELS:
        raise ConfigurationError(
            f"--nearest-plot: got images of {data.spec.sample_shape[0]} channels, expected 1, 3 or 4"
        )
    if extractor_name and (arguments.nearest_plot or requested & set(FEATURE_METRICS)):
        extractor = make_extractor(extractor_name, tuple(data.spec.sample_shape), arguments.extractor_size).to(device)
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
        if arguments.out:  # before the figure and the output, which fails if its reader has ended
            _write_result(arguments, evaluator, results, data.dataset.name, round(time.monotonic() - started, 2))
        if arguments.nearest_plot:
            plot_results(evaluator, results, arguments.nearest_plot)
    print_results(evaluator, results, data.dataset.name)
    return 0


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
