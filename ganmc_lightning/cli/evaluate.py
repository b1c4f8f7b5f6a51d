"""``ganmc evaluate``: how good are samples, beside real ones?"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from ganmc_lightning import __version__
from ganmc_lightning.evaluation.evaluator import EvaluationResult, GeneratorEvaluator
from ganmc_lightning.evaluation.plots import COLUMNS, find_nearest, plot_nearest
from ganmc_lightning.evaluation.real_data import PARTS, RealData, load_datamodule
from ganmc_lightning.evaluation.samples import SampleSet, open_samples
from ganmc_lightning.evaluation.selection import METRICS, held_out_split, select_metrics
from ganmc_lightning.evaluation.students import Students, make_student_factory
from ganmc_lightning.evaluation.table import flatten_metrics, make_table, remarks
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import write_json
from ganmc_lightning.metrics.extractors import FeatureExtractor, classifier_of_checkpoint, make_extractor
from ganmc_lightning.networks.training_data import check_statistics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "samples",
        nargs="+",
        metavar="SAMPLES",
        help="a checkpoint of a GAN or a compressed one (CHECKPOINT:PART where the generator has another name), an npz "
        "file, a folder of images, or real:train, real:val, real:test; NAME=SAMPLES names its column",
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="NAME",
        help="the real data: digits, fashion_mnist, ..., an npz file, or the yaml of a training that used them",
    )
    parser.add_argument("--metrics", metavar="A,B", help=f"some of {','.join(METRICS)}; all that can be computed")
    parser.add_argument(
        "--extractor",
        help="inception, inception:WEIGHTS.pth, classifier:CHECKPOINT or classifier:CHECKPOINT:LAYER "
        "(inception for images)",
    )
    parser.add_argument("--n", type=int, default=10_000, help="samples of each set (10000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of noise, choices and students (0)")
    parser.add_argument("--real-split", default="test", choices=PARTS, help="real samples to compare with (test)")
    parser.add_argument("--reference", metavar="SAMPLES", help="whose sharpness is 1 (that of the real split)")
    parser.add_argument("--teacher", metavar="CHECKPOINT", help="for the Compression Score: a trained classifier")
    parser.add_argument("--student", metavar="CLASS-or-YAML", help="a network, or the yaml of a training of it")
    parser.add_argument("--students", type=int, default=3, metavar="N", help="students of each set and form (3)")
    parser.add_argument("--student-batch-size", type=int, default=128, metavar="N", help="small for small data (128)")
    parser.add_argument("--student-learning-rate", type=float, default=1e-3, metavar="LR", help="of Adam (0.001)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write numbers and protocol there")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="picture of the nearest training samples")


def run(arguments: argparse.Namespace) -> int:
    """Score and report.

    Raises:
        ConfigurationError: something the user gave cannot be used.
    """
    started = time.monotonic()
    _check_numbers(arguments)
    for path in (arguments.json, arguments.plot):
        if path is not None:
            _check_writable(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = load_datamodule(arguments.data)
    sets = [open_samples(text, data, device) for text in arguments.samples]
    names = [samples.name for samples in sets]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two sets of samples are called '{name}': give each a name, NAME=SAMPLES")
    errors = Console(stderr=True)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        scorer = _scorer(arguments, data, device, bar)
        scores = [scorer.score(samples) for samples in sets]
        if arguments.plot is not None:
            _plot(scorer, sets, scores, arguments.plot)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    table = make_table(scores)
    console.width = max(console.width, console.measure(table).maximum)  # a number cut off is worse than a long line
    console.print(table)
    for line in [*_describe(scorer), *remarks(scores)]:
        console.print(line)
    if arguments.json is not None:
        seconds = time.monotonic() - started
        write_json(arguments.json, _result(arguments, scorer, scores, seconds, device))
    return 0


def _scorer(arguments: argparse.Namespace, data: RealData, device: torch.device, bar: Progress) -> GeneratorEvaluator:
    asked = None if arguments.metrics is None else [name.strip() for name in arguments.metrics.split(",")]
    spec = arguments.extractor or ("inception" if data.is_images else None)
    metrics, skipped = select_metrics(
        asked, data, spec is not None, arguments.teacher is not None and arguments.student is not None
    )
    if not metrics:
        raise ConfigurationError(
            "nothing can be scored: " + ", ".join(f"{name} ({why})" for name, why in skipped.items())
        )
    extractor: FeatureExtractor | None = None
    if spec is not None and (arguments.plot is not None or set(metrics) - {"vol", "compression_score"}):
        extractor = make_extractor(spec, tuple(data.spec.sample_shape)).to(device)
        check_statistics("--extractor", extractor, data.spec)
    if arguments.plot is not None and (extractor is None or not data.is_images):
        raise ConfigurationError("--plot needs images and an extractor")
    reference = None if arguments.reference is None else open_samples(arguments.reference, data, device)
    students = _students(arguments, data, device) if "compression_score" in metrics else None
    return GeneratorEvaluator(
        data,
        metrics,
        skipped,
        arguments.n,
        arguments.seed,
        arguments.real_split,
        extractor,
        reference,
        students,
        device,
        lambda label: lambda parts: bar.track(parts, description=label),
    )


def _students(arguments: argparse.Namespace, data: RealData, device: torch.device) -> Students:
    held_out = data.samples(held_out_split(arguments.real_split))
    first = arguments.seed * arguments.students  # runs with other seeds have other students
    return Students(
        classifier_of_checkpoint(arguments.teacher),
        make_student_factory(arguments.student),
        data.spec,
        data.samples("train")[0].to(device),
        (held_out[0].to(device), held_out[1].to(device)),
        range(first, first + arguments.students),
        arguments.student_batch_size,
        arguments.student_learning_rate,
    )


def _plot(scorer: GeneratorEvaluator, sets: list[SampleSet], scores: list[EvaluationResult], path: Path) -> None:
    training, held_out = scorer.data.samples("train")[0], scorer.held_out.features
    pairs = [
        find_nearest(found.name, found.samples, found.features.features, training, scorer.training.features, held_out)
        for samples, found in zip(sets, scores, strict=True)
        if found.features is not None and samples.real_part != "train"
    ]
    plot_nearest(pairs, path)


def _check_numbers(arguments: argparse.Namespace) -> None:
    for name, least in (("n", 2), ("seed", 0), ("students", 1), ("student_batch_size", 1)):
        if getattr(arguments, name) < least:
            raise ConfigurationError(
                f"--{name.replace('_', '-')} must be at least {least}, got {getattr(arguments, name)}"
            )
    if not arguments.student_learning_rate > 0:
        raise ConfigurationError(f"--student-learning-rate must be positive, got {arguments.student_learning_rate}")
    if (arguments.teacher is None) != (arguments.student is None):
        raise ConfigurationError("the Compression Score needs both --teacher and --student")
    if arguments.plot is not None:
        if arguments.n < COLUMNS:
            raise ConfigurationError(f"--plot needs --n of at least {COLUMNS}, got {arguments.n}")
        if all(text.partition("=")[2] == "real:train" or text == "real:train" for text in arguments.samples):
            raise ConfigurationError("--plot shows the training samples nearest to others: name others than real:train")


def _check_writable(path: Path) -> None:
    """Complain before an hour of work, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path} ({error.strerror}): name another file") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigurationError(f"cannot write {path}: name another file")


def _describe(scorer: GeneratorEvaluator) -> list[str]:
    """What the numbers rest on."""
    data, lines = scorer.data, []
    real, training = (len(data.samples(part)[1]) for part in (scorer.real_part, "train"))
    lines.append(f"real: {data.name}, {scorer.real_part} ({real:,}); training samples {training:,}; seed {scorer.seed}")
    if scorer.extractor is not None:
        protocol = dict(scorer.extractor.protocol())
        name, digest = protocol.pop("extractor"), protocol.pop("extractor_digest")
        lines.append(f"extractor: {name}, {digest}; " + "; ".join(f"{key} {text}" for key, text in protocol.items()))
    if scorer.students is not None:
        lines.append(
            f"students: {len(scorer.students.seeds)} of each set, batch {scorer.students.batch_size}, tested on "
            f"{scorer.held_out_split}; ± is the standard error"
        )
    return lines


def _result(
    arguments: argparse.Namespace,
    scorer: GeneratorEvaluator,
    scores: list[EvaluationResult],
    seconds: float,
    device: torch.device,
) -> dict[str, Any]:
    data = scorer.data
    return {
        "command": arguments.command,
        "metrics": flatten_metrics(scores),
        "train_seconds": round(seconds, 2),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "settings": {
            "version": __version__,
            "data": data.name,
            "real_split": scorer.real_part,
            "held_out_split": scorer.held_out_split,
            "n_train": len(data.samples("train")[1]),
            "n": scorer.n,
            "seed": scorer.seed,
            **({} if scorer.extractor is None else scorer.extractor.protocol()),
            "teacher": arguments.teacher,
            "student": arguments.student,
            "samples": {
                found.name: {
                    "from": found.origin,
                    "n": found.n,
                    "metrics": found.protocols,
                    "skipped": found.skipped,
                }
                for found in scores
            },
        },
    }
