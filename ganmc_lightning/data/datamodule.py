"""The one stream every module trains on: real samples, some of them replaced by synthetic ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor

from ganmc_lightning.batch import Batch, DataSpec, decode
from ganmc_lightning.data.augment import Augment
from ganmc_lightning.data.datasets.base import DatasetSource, TensorDataset
from ganmc_lightning.data.loaders import InMemoryLoader, ResumableDataLoader, ResumableDistributedSampler
from ganmc_lightning.data.mixing import Mix, concat_synthetic, synthetic_count
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.schema import Schema
from ganmc_lightning.data.seeds import derive_seed
from ganmc_lightning.data.splitting import (
    Part,
    check_validation_fraction,
    train_val_split,
    with_relative_weights,
)
from ganmc_lightning.data.statistics import channel_statistics, row_statistics
from ganmc_lightning.data.teacher_logits import TeacherLogits
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer
from ganmc_lightning.synthesizers.pooled import PooledSynthesizer

# Streams of random numbers that must not meet: each gets a number of its own.
SHUFFLE_STREAM, SYNTHESIS_STREAM, MIX_STREAM, POOL_STREAM = range(4)


class GANAugmentedDataModule(LightningDataModule):
    """Serves real and synthetic samples in one stream (GAN-MC, section 2.3).

    A validation part is cut from the training samples, the same in every run; choices are made on it, and the
    test samples are touched by ``test`` and ``predict`` alone. Data sets that fit live on the training device
    as uint8; decoding, augmentation and mixing happen there, batch by batch, in training only.

    Rows that the dataset gives weights send them with the training batches, 1 on average; a synthetic row weighs 1.
    Validation and test scores count every row once.

    The samples drawn in a step depend on the run's seed, the process and the number of the step and on nothing
    else, so that a run can be repeated and a resumed one goes on with the same stream.

    Args:
        dataset: the real data.
        synthesizer: where synthetic samples come from.
        p_fake: probability that a training sample is synthetic; 0 draws none, 1 uses no real sample.
        mix: ``"sample"`` puts ``p_fake * batch_size`` synthetic samples in each batch, ``"batch"`` tosses one
            coin a batch as the authors' code does.
        batch_size: samples in a batch, of each process.
        augment: random change of the real training samples.
        validation_fraction: share of the training samples kept for choices, in (0, 1).
        train_size: use only so many training samples (after the cut), a stratified choice.
        quantile_transform: turn every column of rows into normal scores, where plain z-scores leave skew and tails to
            the generator; all stages of an experiment must agree on it.
        cache_logits: compute a teacher's logits of samples that are served unchanged only once. The result is that
            of a teacher called in every step, up to the rounding of sums in batches of another size.
        num_workers: worker processes of sources that read their samples from files.
        root: folder of the cached data sets; ``$GANMC_DATA`` or ``./data`` when left out.

    Raises:
        ConfigurationError: a value is out of range, or ``p_fake > 0`` without a synthesizer.
    """

    def __init__(
        self,
        dataset: DatasetSource,
        synthesizer: Synthesizer | None = None,
        p_fake: float = 0.0,
        mix: Mix = "sample",
        batch_size: int = 128,
        augment: Augment | None = None,
        validation_fraction: float = 0.1,
        train_size: int | None = None,
        quantile_transform: bool = False,
        cache_logits: bool = True,
        num_workers: int = 0,
        root: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= p_fake <= 1:
            raise ConfigurationError(f"data.p_fake must lie in [0, 1], got {p_fake}")
        if p_fake > 0 and synthesizer is None:
            raise ConfigurationError(
                f"data.p_fake is {p_fake} but data.synthesizer is missing: name one, or set p_fake to 0"
            )
        if batch_size < 1:
            raise ConfigurationError(f"data.batch_size must be at least 1, got {batch_size}")
        check_validation_fraction(validation_fraction)
        self.dataset = dataset
        self.synthesizer = synthesizer
        self.p_fake = p_fake
        self.mix = mix
        self.batch_size = batch_size
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.train_size = train_size
        self.quantile_transform = quantile_transform
        self.cache_logits = cache_logits
        self.num_workers = num_workers
        self.root = Path(root or os.environ.get("GANMC_DATA") or "data")
        self.step = 0
        self._seed = 0
        self._scaler: RowScaler | None = None
        self._schema: Schema | None = None
        self._parts: dict[str, Part] = {}
        self._spec: DataSpec | None = None
        self._random = torch.Generator()
        self._epoch: int | None = None  # the one the synthesizer was last told of
        self._teacher_logits: TeacherLogits | None = None

    @property
    def spec(self) -> DataSpec:
        """Shape of one sample, classes and statistics; known after :meth:`setup`."""
        if self._spec is None:
            raise RuntimeError("the data are not loaded yet: call prepare_data() and setup() first")
        return self._spec

    def samples(self, part: str) -> tuple[Tensor, Tensor]:
        """All stored samples of one part, as a synthesizer sees them.

        Args:
            part: ``"train"``, ``"val"`` or ``"test"``.

        Raises:
            ConfigurationError: the dataset reads its samples from files and never holds them all.
        """
        dataset = self._parts[part]
        if not isinstance(dataset, TensorDataset):
            raise ConfigurationError(
                f"the samples of {self.dataset.name} do not lie in memory: this needs a smaller dataset"
            )
        return dataset.inputs, dataset.labels

    # -- loading -------------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Fetch the data once, on one process, if they are not there."""
        self.dataset.prepare(self.root)

    def setup(self, stage: str | None = None) -> None:
        """Load, split and scale the data, bring them to the device, and fit the synthesizer for training."""
        if not self._parts:
            self._load()
        self._seed = int(os.environ.get("PL_GLOBAL_SEED", 0))  # where Lightning's seed_everything leaves it
        if self._random.device != self.device:  # another trainer than the one before
            self._parts = {name: self._on_device(part) for name, part in self._parts.items()}
            self._random = torch.Generator(self.device)
        if stage in (None, "fit"):
            self.step = 0  # a resumed run gets its number of steps after this hook
            self._epoch = None
            self._teacher_logits = None
            self._fit_synthesizer()

    def _fit_synthesizer(self) -> None:
        if self.synthesizer is not None and self.p_fake > 0:
            train = self._parts["train"]
            inputs = train.inputs if isinstance(train, TensorDataset) else None
            self.synthesizer.fit(inputs, train.labels.to(self.device), self.spec)

    def _load(self) -> None:
        splits = self.dataset.load(self.root)
        labels, num_classes, name = splits.train.labels, splits.num_classes, self.dataset.name
        kept, held_out = train_val_split(labels, num_classes, self.validation_fraction, self.train_size, name)
        parts = {"train": splits.train.subset(kept), "val": splits.train.subset(held_out), "test": splits.test}
        parts = with_relative_weights(parts, self.dataset.name)
        train = parts["train"]
        weighted = isinstance(train, TensorDataset) and train.weights is not None
        if isinstance(train, TensorDataset) and train.inputs.is_floating_point():
            self._scaler = RowScaler.fit(train.inputs, self.quantile_transform, splits.categories)
            self._schema = splits.schema or Schema.unnamed(train.inputs.shape[1])
            parts = {name: self._with_inputs(part, self._scaler.transform) for name, part in parts.items()}
        statistics = channel_statistics(train) if self._scaler is None else row_statistics(self._scaler)
        self._spec = DataSpec(splits.train.sample_shape, splits.num_classes, splits.class_names, statistics, weighted)
        self._parts = parts

    def _on_device(self, part: Part) -> Part:
        return part.to(self.device) if isinstance(part, TensorDataset) else part

    @staticmethod
    def _with_inputs(part: Part, change: Callable[[Tensor], Tensor]) -> Part:
        return part.with_inputs(change(part.inputs)) if isinstance(part, TensorDataset) else part

    @property
    def device(self) -> torch.device:
        """The training device; the CPU where no trainer is attached."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    # -- loaders -------------------------------------------------------------------------------------------

    def train_dataloader(self) -> InMemoryLoader | ResumableDataLoader:
        """Shuffled training batches of equal size."""
        return self._loader("train", derive_seed(self._seed, SHUFFLE_STREAM))

    def val_dataloader(self) -> InMemoryLoader | ResumableDataLoader:
        """The part of the training samples that choices are made on."""
        return self._loader("val", None)

    def test_dataloader(self) -> InMemoryLoader | ResumableDataLoader:
        """The test samples."""
        return self._loader("test", None)

    def predict_dataloader(self) -> InMemoryLoader | ResumableDataLoader:
        """The test samples, in their order."""
        return self.test_dataloader()

    def _loader(self, name: str, seed: int | None) -> InMemoryLoader | ResumableDataLoader:
        part = self._parts[name]
        rank, world_size = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        if len(part) < world_size:
            raise ConfigurationError(
                f"the {name} samples of {self.dataset.name} are {len(part)}, fewer than the {world_size} "
                f"processes that "
                "share them: lower --trainer.devices"
            )
        order = ResumableDistributedSampler(len(part), rank, world_size, seed)
        batch_size = max(1, min(self.batch_size, len(order)))
        if isinstance(part, TensorDataset):
            return InMemoryLoader(part.inputs, part.labels, order, batch_size, drop_last=seed is not None)
        return ResumableDataLoader(
            part, order, batch_size, seed is not None, self.num_workers, pin_memory=self.device.type == "cuda"
        )

    # -- the stream ----------------------------------------------------------------------------------------

    def supply_logits_of(self, teacher: Callable[[Tensor], Tensor]) -> None:
        """Send a teacher's logits with the training batches; see :class:`~ganmc_lightning.batch.SupportsTeacherLogits`.

        Nothing is stored for real samples that are augmented, or that are served fewer than two times on average.
        """
        if not self.cache_logits:
            return
        train = self._parts["train"]
        stored = train.inputs if isinstance(train, TensorDataset) and self._serves_real_samples_again() else None
        pool = self.synthesizer if isinstance(self.synthesizer, PooledSynthesizer) and self.p_fake > 0 else None
        with torch.no_grad(), self._precision():
            self._teacher_logits = TeacherLogits(lambda samples: teacher(self._in_precision(samples)), stored, pool)

    def _serves_real_samples_again(self) -> bool:
        if self.augment is not None or self.trainer is None:
            return False
        batches = float(self.trainer.num_training_batches)
        if self.trainer.max_epochs is not None and self.trainer.max_epochs >= 0:
            batches *= self.trainer.max_epochs
        elif self.trainer.max_steps < 0:
            return self.p_fake < 1
        if self.trainer.max_steps >= 0:
            batches = min(batches, self.trainer.max_steps)
        return (1 - self.p_fake) * batches * self.batch_size >= 2 * len(self._parts["train"])

    def _precision(self) -> AbstractContextManager[Any]:
        """Autocast where the trainer runs steps under it, so that synthesizer and teacher do too.

        The contexts of ``bf16-true``, ``16-true`` and ``64-true`` only change the default dtype, which is not for the
        stream: it is computed in float32 and converted at the end.
        """
        plugin = None if self.trainer is None else self.trainer.precision_plugin
        return plugin.forward_context() if isinstance(plugin, MixedPrecision) else nullcontext()

    def on_after_batch_transfer(self, batch: Sequence[Tensor], dataloader_idx: int) -> Batch:
        """Convert a batch to floats; in training also augment it and mix synthetic samples in."""
        if self.trainer is not None and not self.trainer.training:
            return self._converted(concat_synthetic((decode(batch[0]), batch[1]), None))
        with torch.no_grad(), self._precision():
            return self._converted(self.augment_and_mix(*batch))

    def _converted(self, batch: Batch) -> Batch:
        """The batch in the precision of the network; Lightning converts batches before this hook only."""
        return batch._replace(inputs=self._in_precision(batch.inputs))

    def _in_precision(self, inputs: Tensor) -> Tensor:
        if self.trainer is None:
            return inputs
        converted: Tensor = self.trainer.precision_plugin.convert_input(inputs)
        return converted

    def augment_and_mix(self, inputs: Tensor, labels: Tensor, index: Tensor | None = None) -> Batch:
        """Make the next training batch of the stream.

        Args:
            inputs: stored samples (N, ...) on the device.
            labels: int64 (N,).
            index: numbers of the samples in the training set, int64 (N,), where they are in memory.

        Returns:
            N samples, the first of them synthetic and the rest from ``inputs``.
        """
        rank = 0 if self.trainer is None else self.trainer.global_rank
        coin = derive_seed(self._seed, MIX_STREAM, rank, self.step)
        count = synthetic_count(self.step, len(labels), self.p_fake, self.mix, coin)
        self._random.manual_seed(derive_seed(self._seed, SYNTHESIS_STREAM, rank, self.step))
        self.step += 1
        synthetic, logits = self._draw(count, rank) if count > 0 else (None, None)
        real = decode(inputs[count:])
        if self.augment is not None and count < len(labels):
            real = self.augment(real, self._random)
        if self._teacher_logits is not None:
            rows = None if index is None else index[count:]
            logits = self._teacher_logits(real, rows, None if synthetic is None else synthetic[0], logits)
        batch = concat_synthetic((real, labels[count:]), synthetic, logits)
        return batch._replace(weights=self._weights_of(count, index))

    def _weights_of(self, count: int, index: Tensor | None) -> Tensor | None:
        """Weights of a batch whose first ``count`` samples are synthetic: these weigh as much as the mean real row."""
        train = self._parts["train"]
        if index is None or not isinstance(train, TensorDataset) or train.weights is None:
            return None
        weights = train.weights[index[count:]]
        return torch.cat([weights.new_ones(count), weights])

    def _draw(self, count: int, rank: int) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
        """Draw synthetic samples and their labels, and the teacher's logits where a pool holds them."""
        if self.synthesizer is None:
            return None, None
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        if epoch != self._epoch:
            self.synthesizer.start_epoch(epoch, derive_seed(self._seed, POOL_STREAM, rank))
            self._epoch = epoch
        if isinstance(self.synthesizer, PooledSynthesizer):
            samples, labels, logits = self.synthesizer.sample_with_logits(count, self._random)
            return (samples, labels), logits
        return self.synthesizer.sample(count, self._random), None

    # -- continuation --------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Number of training batches made and, for rows, the scaler and the names of the columns."""
        return {
            "step": self.step,
            "scaler": self._scaler and self._scaler.state_dict(),
            "schema": self._schema and self._schema.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the same stream, and see rows as the checkpoint's network was trained to see them."""
        self.step = state_dict["step"]
        if state_dict["scaler"] is None or self._scaler is None:
            return
        scaler, own = RowScaler.of_state(state_dict["scaler"]), self._scaler
        if scaler.equals(own):
            return

        def rescale(rows: Tensor) -> Tensor:
            return scaler.transform(own.inverse(rows))

        self._parts = {name: self._on_device(self._with_inputs(part, rescale)) for name, part in self._parts.items()}
        self._scaler = scaler
        self._spec = self.spec._replace(statistics=row_statistics(scaler))
        self._fit_synthesizer()
