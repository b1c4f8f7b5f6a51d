from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import nn

from ganmc_lightning.batch import Batch
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses import HintLoss, KnowledgeDistillationLoss
from ganmc_lightning.modules import CompressionModule, DistillationModule
from ganmc_lightning.networks import Frozen, MLPClassifier
from ganmc_lightning.synthesizers import JitterSynthesizer

pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")

MakeModule = Callable[..., CompressionModule]
MakeData = Callable[..., GANAugmentedDataModule]


def test_teacher_never_changes(
    make_module: MakeModule, make_data: MakeData, make_trainer: Callable[..., Trainer]
) -> None:
    module = make_module("distillation")
    assert any(name.endswith("running_mean") for name, _ in module.teacher.named_buffers())
    before = copy.deepcopy(module.teacher.state_dict())
    student = copy.deepcopy(module.student.state_dict())
    data = make_data(p_fake=0.5, synthesizer=JitterSynthesizer())
    trainer = make_trainer(max_epochs=2)
    trainer.fit(module, data)
    for name, value in module.teacher.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not module.teacher.training
    assert all(parameter.grad is None for parameter in module.teacher.parameters())
    assert all(not torch.equal(value, student[name]) for name, value in module.student.state_dict().items())
    owned = {id(parameter) for group in trainer.optimizers[0].param_groups for parameter in group["params"]}
    assert owned == {id(parameter) for parameter in module.student.parameters()}


def test_teacher_stays_out_of_the_checkpoint(
    make_module: MakeModule, make_data: MakeData, make_run_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    module = make_module("distillation")
    assert {name.partition(".")[0] for name in module.state_dict()} == {"student"}
    assert {name.partition(".")[0] for name in nn.ModuleDict({"held": module}).state_dict(prefix="x.")} == {"x"}
    assert not any("teacher" in name for name in nn.ModuleDict({"held": module}).state_dict())
    make_run_trainer(tmp_path, max_epochs=1).fit(module, make_data())
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert {name.partition(".")[0] for name in checkpoint["state_dict"]} == {"student"}


def test_one_step_equals_a_step_by_hand(
    make_module: MakeModule, make_data: MakeData, make_trainer: Callable[..., Trainer]
) -> None:
    torch.manual_seed(3)
    teacher, student = MLPClassifier(64, 3), MLPClassifier(64, 3)
    reference = copy.deepcopy(student)
    loss = KnowledgeDistillationLoss(temperature=5.0, alpha=0.7, hard_loss_on_synthetic=False)
    module = DistillationModule(teacher, student, loss, lambda p: torch.optim.SGD(p, lr=0.1))
    arguments = {"p_fake": 0.5, "synthesizer": JitterSynthesizer(), "batch_size": 108}
    make_trainer(max_steps=1).fit(module, make_data(**arguments))

    data = make_data(**arguments)
    data.prepare_data()
    data.setup("fit")
    batch = Batch(*data.augment_and_mix(*next(iter(data.train_dataloader()))))
    assert batch.synthetic.sum() == 54
    target = F.softmax(teacher(batch.inputs) / 5, dim=1).detach()
    logits = reference(batch.inputs)
    soft = -(target * F.log_softmax(logits / 5, dim=1)).sum(dim=1).mean()
    real = ~batch.synthetic
    hard = F.cross_entropy(logits[real], batch.labels[real])
    (0.7 * 25 * soft + 0.3 * hard).backward()
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter -= 0.1 * parameter.grad
    for one, other in zip(student.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("teacher_dropout", [False, True])
def test_teacher_dropout(make_data: MakeData, make_trainer: Callable[..., Trainer], teacher_dropout: bool) -> None:
    """The teacher's dropout stays on only in training, and only if it is set."""
    drops: dict[str, list[bool]] = {"training": [], "validation": []}

    class Teacher(MLPClassifier):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            (dropout,) = (layer for layer in self.modules() if isinstance(layer, nn.Dropout))
            drops["training" if trainer.training else "validation"].append(dropout.training)
            return super().forward(inputs)

    class Asker(Callback):
        def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
            pl_module.teacher(torch.zeros(1, 64))

    teacher, student = Teacher(64, 3, dropout=0.5), MLPClassifier(64, 3)
    module = DistillationModule(teacher, student, teacher_dropout=teacher_dropout)
    trainer = make_trainer(max_epochs=2, callbacks=[Asker()])
    trainer.fit(module, make_data())
    checked, *steps = drops["training"]
    assert not checked  # in the validation of the networks against the data
    assert steps == [teacher_dropout] * 6
    assert drops["validation"] == [False, False]


def test_teacher_dropout_of_a_module_in_evaluation_mode(
    make_data: MakeData, make_trainer: Callable[..., Trainer]
) -> None:
    """Fit sets the module to training mode, also if it was evaluated before."""
    modes: list[bool] = []
    teacher = MLPClassifier(64, 3, dropout=0.5)
    module = DistillationModule(teacher, MLPClassifier(64, 3), teacher_dropout=True).eval()
    (dropout,) = (layer for layer in teacher.modules() if isinstance(layer, nn.Dropout))
    dropout.register_forward_hook(lambda layer, *_: modes.append(layer.training))
    make_trainer(max_epochs=1, limit_val_batches=0).fit(module, make_data())
    assert modes[1:] == [True] * 3  # after the validation of the networks


def test_teacher_dropout_without_a_dropout_layer() -> None:
    with pytest.raises(ConfigurationError, match=r"^model\.teacher_dropout: got true for Linear, which has no dropout"):
        DistillationModule(nn.Linear(4, 3), MLPClassifier(4, 3), teacher_dropout=True)


def convolutional_teacher() -> nn.Module:
    torch.manual_seed(5)
    layers = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()]
    teacher = nn.Sequential(*layers, nn.Linear(288, 3))
    teacher(torch.randn(64, 1, 8, 8) * 3 + 1)  # statistics other than 0 and 1
    return teacher.eval()


@pytest.mark.parametrize("loss", [None, HintLoss([("3", "features")])])
def test_batch_normalization_of_the_teacher_is_folded_in_training(
    make_data: MakeData, make_trainer: Callable[..., Trainer], loss: Any
) -> None:
    """Not for a loss that reads the outputs of the teacher's layers."""
    folded: list[bool] = []

    class Recorder(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            folded.append(pl_module.teacher.folded is not pl_module.teacher.network)

    torch.manual_seed(0)
    module = DistillationModule(convolutional_teacher(), MLPClassifier(64, 3), loss)
    make_trainer(max_steps=2, callbacks=[Recorder()]).fit(module, make_data(cache_logits=False))
    assert folded == [loss is None] * 2
    assert module.teacher.folded is module.teacher.network


def test_training_with_folded_batch_normalization_equals_training_without(
    make_data: MakeData, make_trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    students = []
    for fold in (True, False):
        if not fold:
            monkeypatch.setattr(Frozen, "fold", lambda teacher, inputs: None)
        torch.manual_seed(0)
        module = DistillationModule(
            convolutional_teacher(), MLPClassifier(64, 3), optimizer=lambda p: torch.optim.SGD(p, lr=0.01)
        )
        make_trainer(max_steps=5).fit(module, make_data(cache_logits=False))
        students.append(module.student)
    for one, other in zip(*(student.parameters() for student in students), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_student_and_teacher_are_separate(make_data: MakeData, make_trainer: Callable[..., Trainer]) -> None:
    """A shared batch normalization would change the teacher, even one without parameters."""
    norm = nn.BatchNorm1d(64, affine=False)
    teacher = nn.Sequential(nn.Flatten(), norm, nn.Linear(64, 3))
    student = nn.Sequential(nn.Flatten(), norm, nn.Linear(64, 3))
    with pytest.raises(ConfigurationError, match=r"model\.student shares layers with the frozen model\.teacher"):
        make_trainer(max_epochs=1).fit(DistillationModule(teacher, student), make_data())
    frozen = MLPClassifier(64, 3).requires_grad_(False)
    with pytest.raises(ConfigurationError, match=r"model\.student has no trainable parameter"):
        make_trainer(max_epochs=1).fit(DistillationModule(MLPClassifier(64, 3), frozen), make_data())
