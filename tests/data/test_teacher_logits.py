from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from ganmc_lightning.batch import Batch
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.augment import RandomCropFlip
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.modules import DistillationModule
from ganmc_lightning.networks import ACGANGenerator, MLPClassifier
from ganmc_lightning.synthesizers import GeneratorSynthesizer, JitterSynthesizer, PooledSynthesizer

pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")

MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]


class CountingTeacher(nn.Module):
    """An MLPClassifier that counts its input samples."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.network = MLPClassifier(64, 3, dropout=0.5)
        self.seen = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen += len(inputs)
        logits: Tensor = self.network(inputs)
        return logits


class Keep(Callback):
    """Record the training batches and whether they contain logits."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        self.batches.append(batch)


def pooled(refresh: float = 0.5, folder: str | None = None) -> PooledSynthesizer:
    torch.manual_seed(2)
    generator = ACGANGenerator(image_size=8, channels=1, num_classes=3, latent_dim=8, width=4)
    return PooledSynthesizer(GeneratorSynthesizer(generator), size=60, refresh=refresh, folder=folder)


def train(make_data: MakeData, make_trainer: MakeTrainer, **arguments: Any) -> tuple[nn.Module, Keep, CountingTeacher]:
    teacher_dropout = arguments.pop("teacher_dropout", False)
    precision = arguments.pop("precision", "32-true")
    teacher, keep = CountingTeacher(), Keep()
    torch.manual_seed(0)
    student = MLPClassifier(64, 3)
    module = DistillationModule(teacher, student, teacher_dropout=teacher_dropout)
    make_trainer(max_epochs=3, callbacks=[keep], precision=precision).fit(module, make_data(**arguments))
    return student, keep, teacher


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("p_fake", [0.0, 0.5, 1.0])
def test_stored_logits_train_the_student_that_a_called_teacher_trains(
    make_data: MakeData, make_trainer: MakeTrainer, p_fake: float, precision: str
) -> None:
    students = {}
    for cache_logits in (None, False):
        synthesizer = pooled() if p_fake else None
        student, keep, teacher = train(
            make_data,
            make_trainer,
            p_fake=p_fake,
            synthesizer=synthesizer,
            cache_logits=cache_logits,
            precision=precision,
        )
        assert all((batch.teacher_logits is None) == (cache_logits is False) for batch in keep.batches)
        students[cache_logits] = student
        if cache_logits is None:
            reference = copy.deepcopy(teacher.network).eval()
            for batch in keep.batches:
                wanted = reference(batch.inputs.float()).detach()
                close = 1e-5 if precision == "32-true" else 3e-2
                torch.testing.assert_close(batch.teacher_logits, wanted, rtol=close, atol=close)
    # Adam divides by tiny gradients in its first steps, which magnifies what rounding changes.
    tolerance = 1e-4 if precision == "32-true" else 3e-2
    for one, other in zip(students[None].parameters(), students[False].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
        assert (one - other).abs().mean() < 1e-3  # the steps of Adam are nine times as large


class Elementwise(nn.Module):
    """A teacher whose logits of a sample do not depend on the size of its batch, not even by rounding."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1)[:, :3] * 1.7 - 0.3


@pytest.mark.parametrize("p_fake", [0.0, 0.5])
@pytest.mark.parametrize("folder", [None, "pools"])
def test_equal_logits_give_an_equal_student(
    make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path, p_fake: float, folder: str | None
) -> None:
    """Bit for bit, also with the logits in the file of a shared pool, which the first run writes."""
    weights = []
    for cache_logits in (None, False, None):
        torch.manual_seed(0)
        student = MLPClassifier(64, 3)
        synthesizer = pooled(0.0, None if folder is None else str(tmp_path / folder)) if p_fake else None
        data = make_data(p_fake=p_fake, synthesizer=synthesizer, cache_logits=cache_logits)
        make_trainer(max_epochs=2).fit(DistillationModule(Elementwise(), student), data)
        weights.append(torch.cat([parameter.flatten() for parameter in student.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_two_runs_with_one_data_module_share_a_pool(
    make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    teacher, data = MLPClassifier(64, 3), make_data(p_fake=0.5, synthesizer=pooled(0.0, str(tmp_path / "pools")))
    for _ in range(2):
        make_trainer(max_epochs=1).fit(DistillationModule(teacher, MLPClassifier(64, 3)), data)
    names = sorted(file.name for file in tmp_path.glob("pools/*/*.npy"))
    assert names == ["labels.npy", "logits.npy", "samples.npy"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"augment": RandomCropFlip(1)}, "data.augment changes the samples"),
        ({"teacher_dropout": True}, "model.teacher_dropout is true"),
    ],
)
def test_required_logits_that_would_be_wrong(
    make_data: MakeData, make_trainer: MakeTrainer, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"data.cache_logits: got true, but {reason}; expected null or false"):
        train(make_data, make_trainer, cache_logits=True, **arguments)


def test_the_teacher_sees_each_real_sample_once(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    _, _, teacher = train(make_data, make_trainer)
    assert teacher.seen == 108 + 2  # all training samples, and two blank ones of the check before training


def test_augmented_samples_and_a_teacher_with_dropout_are_not_stored(
    make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    for arguments in (
        {"augment": RandomCropFlip(1)},
        {"teacher_dropout": True},
        {"synthesizer": JitterSynthesizer(), "p_fake": 1.0},
    ):
        _, keep, _ = train(make_data, make_trainer, **arguments)
        assert all(batch.teacher_logits is None for batch in keep.batches)


def test_pooled_and_augmented_samples_in_one_batch(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    _, keep, teacher = train(make_data, make_trainer, augment=RandomCropFlip(1), synthesizer=pooled(), p_fake=0.25)
    reference = copy.deepcopy(teacher.network).eval()
    for batch in keep.batches:
        assert batch.synthetic.sum() == 8
        torch.testing.assert_close(batch.teacher_logits, reference(batch.inputs).detach(), rtol=1e-5, atol=1e-5)


def test_nothing_is_stored_for_samples_served_once(make_data: MakeData, make_trainer: MakeTrainer) -> None:
    teacher, keep = CountingTeacher(), Keep()
    module = DistillationModule(teacher, MLPClassifier(64, 3))
    make_trainer(max_epochs=1, callbacks=[keep]).fit(module, make_data())
    assert all(batch.teacher_logits is None for batch in keep.batches)
