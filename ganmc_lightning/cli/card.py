"""``ganmc card``: compare a trained student with its teacher on one page."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from ganmc_lightning.cards import ClassifierCard, ClassifierResult, make_classifier_card, measure_classifier
from ganmc_lightning.cards.measuring import latency_note
from ganmc_lightning.cards.results import Role
from ganmc_lightning.cli.card_environment import card_environment
from ganmc_lightning.cli.card_networks import load_run_network, load_run_teacher
from ganmc_lightning.data.datamodule import GANAugmentedDataModule
from ganmc_lightning.data.loaders import InMemoryLoader
from ganmc_lightning.evaluation.real_data import load_datamodule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.structured import load_yaml_mapping
from ganmc_lightning.networks.allowed import search_current_folder
from ganmc_lightning.networks.frozen import Frozen
from ganmc_lightning.networks.prediction import predict_logits
from ganmc_lightning.networks.profiling import device_name
from ganmc_lightning.networks.validation import check_classifier
from ganmc_lightning.runs.folder import RunFolder


def run(arguments: argparse.Namespace) -> int:
    """Evaluate the networks on the test samples of the run, and write the card.

    Raises:
        ConfigurationError: the run has no classifier or no test samples, or a network does not fit its data.
    """
    search_current_folder()  # for the teacher's module, as in the run
    data = load_run_data(RunFolder(arguments.run).config)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    networks: list[tuple[str, Role, nn.Module]] = []
    teacher = load_run_teacher(arguments.run, arguments.teacher, data.spec.num_classes)
    if teacher is not None:
        networks.append((_shorten(teacher.name), "teacher", teacher.network))
    networks.append((_shorten(arguments.run.as_posix()), "student", load_run_network(arguments.run)))
    for path in arguments.baseline:
        name = _shorten(path.as_posix())
        name += " (baseline)" if name in {other for other, _, _ in networks} else ""  # the teacher, on its own labels
        networks.append((name, "baseline", load_run_network(path)))
    card = make_run_card(networks, data, device, arguments.command, _seed(arguments.run))
    print(card.conclusion.text)
    print(card.write(arguments.out))
    return 0


def load_run_data(config: Path) -> GANAugmentedDataModule:
    """Load the data of a run, with its splits and scaling.

    Raises:
        ConfigurationError: the run used no labeled data.
    """
    data = load_datamodule(str(config), in_memory=False)
    if not data.spec.has_samples or data.spec.num_classes == 0:
        raise ConfigurationError(f"{config}: data.dataset has no labeled samples, expected the run of a classifier")
    if data.validation_split != "val":
        raise ConfigurationError(f"{config}: data.validation_fraction: got 0, expected validation samples for a card")
    return data


def make_run_card(
    networks: list[tuple[str, Role, nn.Module]],
    data: GANAugmentedDataModule,
    device: torch.device,
    command: str,
    seed: int,
) -> ClassifierCard:
    """Evaluate and measure networks on the data of a run.

    Args:
        networks: name, role and network.
        data: data module after ``setup()``.
        device: device of the evaluation and of the latencies.
        command: command line.
        seed: random seed of the run.

    Raises:
        ConfigurationError: a network was trained on other classes or does not accept the samples.
    """
    results: list[ClassifierResult] = []
    labels = torch.empty(0)
    for name, role, network in networks:
        frozen = Frozen(network)
        check_classifier(name, frozen, data.spec)
        frozen.adapt_to(name, data.spec)
        frozen.to(device)
        val_logits, val_labels = predict_logits(frozen, data.val_dataloader(), device)
        logits, labels = predict_logits(frozen, data.test_dataloader(), device)
        sample = torch.zeros(1, *data.spec.sample_shape, device=device)
        results.append(measure_classifier(name, role, network, sample, logits, val_logits, val_labels))
    test = data.test_dataloader()
    images = test.inputs if isinstance(test, InMemoryLoader) and test.inputs.dtype == torch.uint8 else None
    return make_classifier_card(
        results,
        labels,
        data.spec.class_names,
        command=command,
        seed=seed,
        environment=card_environment(device_name(device)),
        images=images,  # None for rows and for images that are read from files
        notes=[f"Data: {data.dataset.name}.", latency_note(device)],
    )


def _shorten(name: str) -> str:
    """Return a path relative to the working directory if it is inside; another name unchanged."""
    path = Path(name)
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else name


def _seed(run: Path) -> int:
    """Return the random seed of a run; 0 where it was not set."""
    seed = load_yaml_mapping(RunFolder(run).config).get("seed_everything")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else 0
