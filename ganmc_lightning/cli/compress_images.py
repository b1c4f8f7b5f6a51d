"""``ganmc compress DATA --teacher NETWORK``: compress an image classifier."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable

import torch
from lightning.pytorch import Callback
from torch import nn

from ganmc_lightning.cli.acceleration import Acceleration
from ganmc_lightning.cli.callbacks import InterruptHandler
from ganmc_lightning.cli.card_environment import card_environment
from ganmc_lightning.cli.cuda_check import skip_nvml_without_cuda
from ganmc_lightning.cli.malloc import keep_freed_memory
from ganmc_lightning.cli.progress_bar import ProgressBar
from ganmc_lightning.compression import ClassifierCompression, LoadedSource, compress_classifier
from ganmc_lightning.compression.inputs import match_data
from ganmc_lightning.compression.synthesis import filtered_pool, generator_pool
from ganmc_lightning.data.datasets import open_dataset
from ganmc_lightning.data.datasets.image_splits import ImageSizeError
from ganmc_lightning.exceptions import ConfigurationError, user_message
from ganmc_lightning.io.checkpoint_path import split_checkpoint_path
from ganmc_lightning.io.network_reference import LIBRARIES, is_reference, parse_reference
from ganmc_lightning.losses import (
    DecoupledKnowledgeDistillationLoss,
    KnowledgeDistillationLoss,
    L2LogitsLoss,
)
from ganmc_lightning.losses.distillation import DistillationLoss
from ganmc_lightning.networks import load_generator, load_network
from ganmc_lightning.networks.libraries import library_preprocessing
from ganmc_lightning.networks.profiling import device_name
from ganmc_lightning.synthesizers import StoredSynthesizer, Synthesizer

LOSSES: dict[str, Callable[[], DistillationLoss]] = {
    "kd": KnowledgeDistillationLoss,
    "standardized": lambda: KnowledgeDistillationLoss(temperature=2.0, standardize_logits=True),
    "dkd": DecoupledKnowledgeDistillationLoss,
    "l2": L2LogitsLoss,
}
OPTIONS = {
    "student_arguments": "--student-args",
    "standardize_logits": "--loss standardized",
    "mean and std": "--teacher-mean, --teacher-std",
    "teacher": "--teacher",
    "student": "--student",
    "smaller": "--smaller",
    "synthesizers.gan": "--gan",
    "synthesizers.synthetic": "--synthetic",
    "synthesizers.unlabeled": "--unlabeled",
}
"""Argument of Python -> option, for error messages."""
HINTS = (
    (r"set image_size: (\d+) to resize", r"pass --teacher-size \1 to resize"),
    (r"set num_classes: \d+, or use data", "use data"),
    (
        r"^(--teacher.*)load it with load_network\(\.\.\., outputs=\"probabilities\"\)",
        r"\1pass --teacher-probabilities",
    ),
    (r"; remove its final softmax, or load it with load_network\(.*\)", "; remove its final softmax"),
    ("remove class_names$", "remove --teacher-classes"),
)
"""Pattern and replacement of advice that is given in terms of Python."""


def run_images(arguments: argparse.Namespace) -> int:
    """Compress a classifier, write the folder and print a summary.

    Returns:
        Exit code: 0, 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        ConfigurationError: an argument, a file or the data are invalid.
    """
    keep_freed_memory()
    skip_nvml_without_cuda()
    handler = InterruptHandler()
    try:
        compressed = _compress(arguments, handler)
    except SystemExit:
        if handler.exit_code is None:
            raise
        cause = handler.message.partition(";")[0]
        print(f"ganmc compress: {cause}; run the same command again to resume", file=sys.stderr)
        return handler.exit_code
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        raise ConfigurationError(_with_options(message)) from error
    print(f"{compressed.folder}{os.sep}: {', '.join(sorted(path.name for path in compressed.folder.glob('[!.]*')))}")
    return 0


def _compress(arguments: argparse.Namespace, handler: InterruptHandler) -> ClassifierCompression:
    source = _load_data(arguments)
    # Matched here, because filters of synthetic images use the teacher with the classes of the data.
    source, teacher, _, remarks = match_data(_load_teacher(arguments, source.splits.num_classes), source)
    for remark in remarks:
        print(remark)

    def make_callbacks() -> list[Callback]:
        callbacks: list[Callback] = [handler, Acceleration()]
        return [*callbacks, ProgressBar()] if os.isatty(2) else callbacks

    return compress_classifier(
        teacher,
        source,
        arguments.out,
        student=arguments.student,
        student_arguments=arguments.student_args,
        smaller=arguments.smaller,
        loss=LOSSES[arguments.loss](),
        epochs=arguments.epochs,
        seconds=arguments.time,
        batch_size=arguments.batch_size,
        flip=not arguments.no_flip,
        baseline=arguments.baseline,
        gan=arguments.gan is True,
        synthesizers=_synthesizers(arguments, teacher, len(source.splits.train)),
        formats=arguments.format,
        seed=arguments.seed,
        command=arguments.command,
        environment=card_environment(device_name(torch.device("cuda" if torch.cuda.is_available() else "cpu"))),
        make_callbacks=make_callbacks,
        report=lambda line: print(line, flush=True),
    )


def _load_data(arguments: argparse.Namespace) -> LoadedSource:
    """Read the images; of several sizes, and without ``--image-size``, they get the teacher's input size, if known."""

    def load(image_size: int | None) -> LoadedSource:
        channels = 1 if arguments.gray else None
        return LoadedSource(open_dataset(arguments.inputs[0], image_size=image_size, channels=channels))

    try:
        source = load(arguments.image_size)
    except ImageSizeError:
        size = find_teacher_size(arguments)
        if size is None:
            raise
    else:
        _print_other_size(arguments, source)
        return source
    print(f"data: images of several sizes, resized and cropped to {size} x {size} pixels, the teacher's input size")
    return load(size)


def _print_other_size(arguments: argparse.Namespace, source: LoadedSource) -> None:
    """Print a remark if the images have another size than the library of the teacher documents."""
    shape = source.splits.train.sample_shape
    if arguments.image_size is not None or arguments.teacher_size is not None or len(shape) != 3:
        return
    size = find_teacher_size(arguments)
    if size not in (None, shape[-1]):
        print(
            f"data: images of {shape[2]} x {shape[1]} pixels, the library of the teacher documents {size} x {size}; "
            f"pass --teacher-size {size} unless the teacher was trained on {shape[2]} x {shape[1]} pixels"
        )


def find_teacher_size(arguments: argparse.Namespace) -> int | None:
    """Return ``--teacher-size``, or the input size that the library of the teacher documents; None if unknown."""
    given: int | None = arguments.teacher_size
    if given is not None or not is_reference(arguments.teacher):
        return given
    reference = parse_reference(arguments.teacher)
    if reference.library not in LIBRARIES:
        return None
    shape = library_preprocessing(reference, arguments.teacher_args or {}).input_shape
    return shape[-1] if shape else None


def _load_teacher(arguments: argparse.Namespace, num_classes: int) -> nn.Module:
    path, submodule = split_checkpoint_path(arguments.teacher)
    return load_network(
        path,
        submodule,
        num_classes=num_classes,
        arguments=arguments.teacher_args,
        trust=arguments.trust,
        mean=arguments.teacher_mean,
        std=arguments.teacher_std,
        image_size=arguments.teacher_size,
        outputs="probabilities" if arguments.teacher_probabilities else "logits",
        class_names=arguments.teacher_classes,
    )


def _synthesizers(arguments: argparse.Namespace, teacher: nn.Module, size: int) -> dict[str, Synthesizer]:
    found: dict[str, Synthesizer] = {}
    if isinstance(arguments.gan, str):
        found["gan"] = generator_pool(load_generator(arguments.gan), teacher, size)
    if arguments.synthetic is not None:
        found["synthetic"] = filtered_pool(StoredSynthesizer(str(arguments.synthetic)), teacher, size)
    if arguments.unlabeled is not None:
        found["unlabeled"] = StoredSynthesizer(str(arguments.unlabeled), labeled=False)
    return found


def _with_options(message: str) -> str:
    """Replace the name of an argument at the start of a message by that of its option, and advice for Python."""
    for name, option in OPTIONS.items():
        if message.startswith((f"{name}:", f"{name} (")):
            message = f"{option}{message.removeprefix(name)}"
            break
    for pattern, replacement in HINTS:
        message = re.sub(pattern, replacement, message)
    return message
