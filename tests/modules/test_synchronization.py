"""No step of training, validation or test waits for the device, tested without one.

A step on the CPU calls the functions that it would call on a GPU. Those that read values on the host, and
those that create tensors on the host, are recorded. ``test_cuda.py`` contains the test on a GPU.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode

from ganmc_lightning.callbacks import GeneratorEMA
from ganmc_lightning.cli.progress_bar import ProgressBar
from ganmc_lightning.data import GANAugmentedDataModule
from ganmc_lightning.data.augment import RandomCropFlip
from ganmc_lightning.data.datasets import NpzFile
from ganmc_lightning.modules import CompressionModule, DistillationModule
from ganmc_lightning.networks import ACGANGenerator, MLPClassifier
from ganmc_lightning.synthesizers import (
    FilteredSynthesizer,
    GeneratorSynthesizer,
    JitterSynthesizer,
    MixupSynthesizer,
    MungeSynthesizer,
    PooledSynthesizer,
    SmoteSynthesizer,
    Synthesizer,
)

MakeModule = Callable[..., CompressionModule]
MakeData = Callable[..., GANAugmentedDataModule]
MakeTrainer = Callable[..., Trainer]

pytestmark = pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training:UserWarning")

aten = torch.ops.aten
DATA_DEPENDENT = {
    aten._local_scalar_dense,
    aten.is_nonzero,
    aten.equal,
    aten.nonzero,
    aten.masked_select,
    aten._unique,
    aten._unique2,
    aten.unique_dim,
    aten.unique_consecutive,
    aten.bincount,
    aten.repeat_interleave,
    aten._assert_async,
}
"""Operations whose result, or its size, is read on the host."""
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
"""Operations that count the elements of a mask on the host."""
READS = {
    Tensor.cpu,
    Tensor.numpy,
    Tensor.tolist,
    Tensor.item,
    Tensor.__array__,
    Tensor.__bool__,
    Tensor.__int__,
    Tensor.__float__,
    Tensor.__index__,
    Tensor.__contains__,
}
CREATION = {
    torch.tensor,
    torch.as_tensor,
    torch.from_numpy,
    torch.zeros,
    torch.ones,
    torch.full,
    torch.empty,
    torch.arange,
    torch.linspace,
    torch.eye,
    torch.rand,
    torch.randn,
    torch.randint,
    torch.randperm,
}
"""Functions that create a tensor on the host unless they get a device."""
COPIES = {torch.tensor, torch.as_tensor, torch.from_numpy}
"""Functions that copy from the host to the device."""


class HostReads:
    """Record the operations inside the context that read or create values on the host, by step.

    Steps of optimizers are not recorded: Adam keeps its step count on the host.
    """

    def __init__(self) -> None:
        self.step = 0
        self.found: list[tuple[int, str, str]] = []
        self._enabled = True
        self._modes = (_Functions(self._record), _Operations(self._record))
        self._hooks: list[Any] = []

    def _record(self, operation: str) -> None:
        if self._enabled:
            frames = [frame for frame in traceback.extract_stack() if "/torch/" not in frame.filename]
            places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if __file__ != frame.filename]
            self.found.append((self.step, operation, " < ".join(reversed(places[-6:]))))

    def _set_enabled(self, enabled: bool) -> None:
        self._enabled = enabled

    def __enter__(self) -> Self:
        self._hooks = [
            register_optimizer_step_pre_hook(lambda *_: self._set_enabled(False)),
            register_optimizer_step_post_hook(lambda *_: self._set_enabled(True)),
        ]
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, error, trace)
        for hook in self._hooks:
            hook.remove()


class _Operations(TorchDispatchMode):
    def __init__(self, record: Callable[[str], None]) -> None:
        super().__init__()
        self.record = record

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = function.overloadpacket
        masked = packet in INDEXING and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if packet in DATA_DEPENDENT or masked:
            self.record(str(packet))
        return function(*args, **(kwargs or {}))


class _Functions(TorchFunctionMode):
    def __init__(self, record: Callable[[str], None]) -> None:
        super().__init__()
        self.record = record

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        read = function in READS
        created = function in CREATION and kwargs.get("device") is None
        if read or created or function in COPIES:
            self.record(resolve_name(function) or str(function))
        return function(*args, **kwargs)


class StepReads(Callback):
    """Record host reads from the start of step ``first`` to the end of training, with the hooks between the steps."""

    def __init__(self, first: int = 2) -> None:
        self.first = first
        self.reads = HostReads()
        self._active = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.reads.step += 1
        if self.reads.step == self.first:
            self.reads.__enter__()
            self._active = True

    def on_train_epoch_end(self, *_: Any) -> None:
        self._stop()

    def on_exception(self, *_: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._active:
            self._active = False
            self.reads.__exit__(None, None, None)


class EvaluationReads(Callback):
    """Record host reads from the second batch of validation or test to the end of the last, with the hooks between."""

    def __init__(self) -> None:
        self.reads = HostReads()

    def on_validation_batch_start(self, *_: Any) -> None:
        self.reads.step += 1
        if self.reads.step == 2:
            self.reads.__enter__()

    def on_validation_epoch_end(self, *_: Any) -> None:  # before the hook of the module, which logs
        self.reads.__exit__(None, None, None)

    on_test_batch_start, on_test_epoch_end = on_validation_batch_start, on_validation_epoch_end
    on_exception = on_validation_epoch_end


class ByPosition(nn.Module):
    """Teacher of the tiny data set: the position of the bright bar."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mean(dim=(1, 2))[:, :6].unflatten(1, (3, 2)).mean(dim=2)


def synthesizer_of(kind: str) -> Synthesizer:
    generator = GeneratorSynthesizer(ACGANGenerator(image_size=8, channels=1, num_classes=3, latent_dim=8, width=4))
    synthesizers: dict[str, Callable[[], Synthesizer]] = {
        "generator": lambda: generator,
        "pooled": lambda: PooledSynthesizer(generator, size=64),
        "filtered": lambda: FilteredSynthesizer(JitterSynthesizer(), ByPosition()),
        "jitter": JitterSynthesizer,
        "mixup": MixupSynthesizer,
    }
    return synthesizers[kind]()


def reads_of_20_steps(
    module: CompressionModule, data: GANAugmentedDataModule, trainer: Trainer
) -> list[tuple[int, str, str]]:
    """Train 21 steps per epoch; the first step validates the labels and is not recorded."""
    (steps,) = (callback for callback in trainer.callbacks if isinstance(callback, StepReads))
    trainer.fit(module, data)
    assert module.iteration == steps.reads.step == 21 * trainer.max_epochs
    return steps.reads.found


SETTINGS = {"max_epochs": 1, "limit_val_batches": 0, "log_every_n_steps": 10}


@pytest.mark.parametrize("p_fake", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "kind",
    ["classifier", "distillation", "hints", "anc", "gan", "wgan_gp", "acgan", "gan_compression", "joint"],
)
def test_steps_of_modules(
    kind: str, p_fake: float, make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    """Only the steps that log read values, once per interval of 10 steps."""
    data = make_data(batch_size=5, p_fake=p_fake, synthesizer=synthesizer_of("jitter"))
    reads = reads_of_20_steps(make_module(kind), data, make_trainer(callbacks=[StepReads()], **SETTINGS))
    assert {step for step, *_ in reads} == {10, 20}, reads


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        *((kind, "validate") for kind in ("classifier", "distillation", "anc", "gan", "acgan", "gan_compression")),
        *((kind, "test") for kind in ("classifier", "distillation", "anc", "gan_compression")),
    ],
)
def test_steps_of_evaluation(
    kind: str, stage: str, make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    callback = EvaluationReads()
    run = getattr(make_trainer(callbacks=[callback]), stage)
    run(make_module(kind), make_data(batch_size=4), verbose=False)
    assert callback.reads.step >= 3
    assert not callback.reads.found


@pytest.mark.parametrize("p_fake", [0.5, 1.0])
@pytest.mark.parametrize("synthesizer", ["generator", "pooled", "filtered", "jitter", "mixup"])
def test_steps_of_synthesizers(
    synthesizer: str, p_fake: float, make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    augment = RandomCropFlip(padding=1)
    data = make_data(batch_size=5, p_fake=p_fake, synthesizer=synthesizer_of(synthesizer), augment=augment)
    reads = reads_of_20_steps(make_module("distillation"), data, make_trainer(callbacks=[StepReads()], **SETTINGS))
    assert {step for step, *_ in reads} == {10, 20}, reads


@pytest.mark.parametrize("synthesizer", [MungeSynthesizer, SmoteSynthesizer])
def test_steps_of_synthesizers_of_rows(
    synthesizer: Callable[..., Synthesizer], make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    labels = np.arange(120) % 3
    rows = np.random.default_rng(0).normal(size=(120, 3)) + labels[:, None]
    np.savez(tmp_path / "rows.npz", X_train=rows, y_train=labels, X_test=rows, y_test=labels)
    options = {"dataset": NpzFile(tmp_path / "rows.npz"), "synthesizer": synthesizer(categorical_features=[1])}
    data = make_data(batch_size=5, p_fake=0.5, **options)
    module = DistillationModule(nn.Linear(3, 3), MLPClassifier(3, 3, (4,)))
    reads = reads_of_20_steps(module, data, make_trainer(callbacks=[StepReads()], **SETTINGS))
    assert {step for step, *_ in reads} == {10, 20}, reads


def test_steps_with_callbacks(make_module: MakeModule, make_data: MakeData, tmp_path: Path) -> None:
    """In the second epoch, in which the progress bar displays the means of the first."""
    trainer = Trainer(
        **{**SETTINGS, "max_epochs": 2},
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=CSVLogger(tmp_path),
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[GeneratorEMA(), ProgressBar(), StepReads(first=22)],
    )
    reads = reads_of_20_steps(make_module("acgan"), make_data(batch_size=5), trainer)
    assert {step for step, *_ in reads} == {30, 40}, reads


@pytest.mark.parametrize(
    "read",
    [
        lambda values: values.sum().item(),
        lambda values: values.tolist(),
        lambda values: values.numpy(),
        lambda values: values.cpu(),
        lambda values: bool(values.sum() > 0),
        lambda values: float(values.sum()),
        lambda values: values[values > 0],
        lambda values: values.nonzero(),
        lambda values: values.unique(),
        lambda values: torch.masked_select(values, values > 0),
        lambda values: values.index_put((values > 0,), values.new_zeros(())),
        lambda values: torch.bincount(values.long()),
        lambda values: torch.tensor([1.0], device=values.device),
        lambda values: values + torch.ones(3),
        lambda values: torch.equal(values, values),
    ],
)
def test_reads_are_found(read: Callable[[Tensor], object]) -> None:
    values = torch.arange(3.0)
    with HostReads() as reads:
        values[values.new_ones(2, dtype=torch.long)].where(values[:2] > 0, 0).sum()
        assert not reads.found
        read(values)
    assert reads.found
