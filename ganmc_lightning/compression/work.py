"""Training and evaluation of the networks of one compression."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch import Callback
from torch import nn

from ganmc_lightning.cards.results import Role
from ganmc_lightning.compression.outputs import Evaluated
from ganmc_lightning.compression.plan import CompressionPlan, stage_folder
from ganmc_lightning.compression.progress import Report
from ganmc_lightning.compression.stages import GAN, LABELS, STUDENT, CompressionStage, StageFactory
from ganmc_lightning.compression.synthesis import (
    FILTER_DRAWS,
    SynthesisDuration,
    find_stored,
    generator_pool,
    measure_synthesis,
    unfiltered_pool,
)
from ganmc_lightning.compression.teacher import SplitLogits
from ganmc_lightning.compression.training import load_trained, train_stage
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError, DivergenceError
from ganmc_lightning.networks import load_generator
from ganmc_lightning.networks.prediction import predict_logits
from ganmc_lightning.synthesizers import Synthesizer

MakeCallbacks = Callable[[], Sequence[Callback]]


def synthetic_name(name: str) -> str:
    """Return the name of the stage that trains a student with the samples of a synthesizer."""
    return f"{STUDENT}_{name}"


@dataclass(frozen=True)
class CompressionWork:
    """Networks of one compression, in the order in which they are trained.

    Attributes:
        factory: builder of the stages.
        out: output folder.
        seed: random seed of all runs.
        command: command line for ``result.json`` of the runs.
        baseline: whether the student is also trained on the labels only.
        gan: whether an AC-GAN is trained, and a student with its images.
        synthesizers: name -> synthesizer of further students.
        make_callbacks: returns callbacks of a training, such as a progress bar.
        report: called with each line for the user.
    """

    factory: StageFactory
    out: Path
    seed: int
    command: str
    baseline: bool
    gan: bool
    synthesizers: Mapping[str, Synthesizer]
    make_callbacks: MakeCallbacks
    report: Report

    def stages(self) -> dict[str, CompressionStage]:
        """Return the stages by name; the student of the trained GAN's images has no synthesizer yet.

        Raises:
            ConfigurationError: the AC-GAN does not support the size of the images.
        """
        make = self.factory
        stages = [make.labels()] if self.baseline else []
        stages.append(make.distillation(STUDENT, "student"))
        for name, synthesizer in self.synthesizers.items():
            stages.append(make.distillation(synthetic_name(name), f"student with {name} images", synthesizer))
        if self.gan:
            stages += [make.gan(), make.distillation(synthetic_name(GAN), "student with GAN images")]
        return {stage.name: stage for stage in stages}

    def exclude_held_out(self) -> None:
        """Omit stored images that are also validation or test images, such as copies of a folder that is split here."""
        found = [find_stored(synthesizer) for synthesizer in self.synthesizers.values()]
        stored = [synthesizer for synthesizer in found if synthesizer is not None]
        if not stored:
            return
        data = GANAugmentedDataModule(self.factory.source)
        data.setup("test")
        splits = data.split("val"), data.split("test")
        for synthesizer in stored:
            synthesizer.exclude(split[index][0] for split in splits for index in range(len(split)))

    def measure_synthesis(self) -> dict[str, SynthesisDuration]:
        """Fit the given synthesizers, and estimate the time of all pools of samples, by name of the stage.

        Raises:
            ConfigurationError: a synthesizer does not support the data, or the teacher does not recognize its images.
        """
        make, durations = self.factory, {}
        for name, synthesizer in self.synthesizers.items():
            try:
                durations[synthetic_name(name)] = measure_synthesis(synthesizer, make.teacher, make.source, make.spec)
            except ConfigurationError as error:
                text = str(error).removeprefix("data.synthesizer: ").removeprefix("data.synthesizer.")
                raise ConfigurationError(f"synthesizers.{name}: {text}") from error
            stored = find_stored(synthesizer)
            if stored is not None and stored.num_excluded:
                self.report(f"{name}: {stored.num_excluded} images are validation or test images, and are not used")
        if self.gan:
            pool = unfiltered_pool(make.generator(), len(make.source.splits.train))
            durations[synthetic_name(GAN)] = measure_synthesis(pool, make.teacher, make.source, make.spec, FILTER_DRAWS)
        return durations

    def train(self, plan: CompressionPlan) -> dict[str, float]:
        """Train all stages that are not complete.

        Returns:
            Name -> validation accuracy of each distilled student, in the order of preference: without further images
            first. The student of a GAN that diverged, or whose images the teacher does not recognize, is omitted.
        """
        accuracies: dict[str, float] = {}
        for name, stage in self.stages().items():
            try:
                self._train(self._with_generator(stage), plan)
            except DivergenceError as error:
                if name != GAN:
                    raise
                self.report(f"{stage.text}: not used, {error}")
                break
            except UnrecognizedImagesError as error:
                self.report(f"{stage.text}: not trained, {error}")
                continue
            if name not in (LABELS, GAN):
                accuracies[name] = self.split_logits(self.trained(stage), "val").accuracy
                self.report(f"{stage.text}: validation accuracy {accuracies[name]:.4f}")
        return accuracies

    def evaluate(self, name: str, role: Role, network: nn.Module) -> Evaluated:
        """Compute the outputs of a classifier for validation and test samples."""
        val, test = (self.split_logits(network, split) for split in ("val", "test"))
        return Evaluated(name, role, network, val, test)

    def split_logits(self, network: nn.Module, split: str) -> SplitLogits:
        """Compute the logits of a classifier for the samples of a split, ``"val"`` or ``"test"``.

        The network is moved to the accelerator, if there is one, and back to the CPU.
        """
        make = self.factory
        data = GANAugmentedDataModule(make.source, batch_size=make.batch_size, num_workers=make.num_workers)
        data.setup("test")
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        loader = data.val_dataloader() if split == "val" else data.test_dataloader()
        outputs = SplitLogits(*predict_logits(network.to(device), loader, device))
        network.cpu()
        return outputs

    def trained(self, stage: CompressionStage) -> nn.Module:
        """Return the student of a complete stage."""
        network = copy.deepcopy(self.factory.student.network)
        return load_trained(stage, stage_folder(self.out, stage), network)

    def _train(self, stage: CompressionStage, plan: CompressionPlan) -> None:
        train_stage(
            stage,
            stage_folder(self.out, stage),
            epochs=plan.epochs,
            seed=self.seed,
            precision=plan.precision,
            command=self.command,
            report=self.report,
            callbacks=self.make_callbacks(),
        )

    def _with_generator(self, stage: CompressionStage) -> CompressionStage:
        """Add the synthesizer of the trained GAN to the stage of its student.

        Raises:
            UnrecognizedImagesError: the teacher predicts no image of a class correctly.
        """
        if not self.gan or stage.name != synthetic_name(GAN):
            return stage
        checkpoint = stage_folder(self.out, self.stages()[GAN]).best_checkpoint
        train = self.factory.source.splits.train
        synthesizer = generator_pool(load_generator(str(checkpoint)), self.factory.teacher, len(train))
        try:
            synthesizer.fit(None, train.labels, self.factory.spec)
        except ConfigurationError as error:
            raise UnrecognizedImagesError(str(error)) from error
        return self.factory.distillation(stage.name, stage.text, synthesizer)


class UnrecognizedImagesError(Exception):
    """The teacher predicts none of the generated images of a class correctly."""
