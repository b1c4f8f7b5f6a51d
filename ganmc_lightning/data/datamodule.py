"""Data module of real and synthetic training samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from ganmc_lightning.batch import Batch, DataSpec, to_float_images
from ganmc_lightning.data.augment import Augment
from ganmc_lightning.data.datasets.base import DatasetSource, TensorDataset
from ganmc_lightning.data.loaders import Loader, ResumableDistributedSampler, check_split_size, make_loader
from ganmc_lightning.data.loading import LoadedData, load_data
from ganmc_lightning.data.mixing import MixMode, check_mixing, concat_synthetic, synthetic_count
from ganmc_lightning.data.precision import autocast, convert_inputs
from ganmc_lightning.data.reuse import real_uses, warn_of_reuse
from ganmc_lightning.data.scaling import RowScaler
from ganmc_lightning.data.seeds import derive_seed
from ganmc_lightning.data.splits import Split, check_validation_fraction
from ganmc_lightning.data.teacher_logits import TeacherLogits, samples_to_label
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.data_root import data_root
from ganmc_lightning.synthesizers.base import Synthesizer
from ganmc_lightning.synthesizers.pooled import PooledSynthesizer

# Distinct stream ids, so that shuffling, synthesis, mixing and the pool use independent random numbers.
SHUFFLE_STREAM, SYNTHESIS_STREAM, MIX_STREAM, POOL_STREAM = range(4)


class GANAugmentedDataModule(LightningDataModule):
    """Load a data set and replace a share of its training samples by synthetic samples (GAN-MC, section 2.3).

    Validation samples, which select models, are those of the data set, or are split off its training samples, equally
    in every run. Images in memory are stored on the training device as uint8. Batches are converted to floats there
    and, in training, augmented and mixed. They contain sample weights of mean 1; synthetic samples have weight 1.

    The samples of a step depend only on the seed of the run, the process and the step. Runs are therefore reproducible,
    and a resumed run has the batches of an uninterrupted run.

    Args:
        dataset: the real data.
        synthesizer: synthesizer of the synthetic samples; required if ``p_fake > 0``.
        p_fake: probability that a training sample is synthetic, in [0, 1] (default: 0).
        mix_mode: ``"per_sample"``: ``p_fake * batch_size`` synthetic samples in every batch (default);
            ``"per_batch"``: all samples of a batch are synthetic with probability ``p_fake``, as in the authors' code.
        batch_size: number of samples in a batch, per process.
        augment: augmentation of the real training samples.
        validation_fraction: share of the training samples used for validation, unless the data set has a validation
            split. With 0, test samples are evaluated instead, logged as ``test/...``, and select nothing.
        train_size: number of training samples to keep after the validation split, stratified by class (default: all).
        quantile_transform: whether to transform each column of rows to a normal distribution, which removes skew and
            heavy tails (default: False). All stages of an experiment require equal values.
        cache_logits: whether to compute the teacher's logits only once for samples that are returned unchanged: where
            this is exact and saves time (None, default), always or with an error (True), or never (False). Cached
            logits equal those of every step up to rounding errors, which depend on the batch size.
        num_workers: number of worker processes for data sets read from files.
        root: folder of the cached data sets (default: ``$GANMC_DATA`` or ``./data``).

    Raises:
        ConfigurationError: a value is out of range, or ``p_fake > 0`` without a synthesizer.

    Example:
        >>> import tempfile
        >>> from ganmc_lightning.data.datasets import Digits
        >>> from ganmc_lightning.synthesizers import JitterSynthesizer
        >>> root = tempfile.mkdtemp()
        >>> data = GANAugmentedDataModule(Digits(), JitterSynthesizer(), p_fake=0.25, batch_size=8, root=root)
        >>> data.prepare_data()
        >>> data.setup("fit")
        >>> batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
        >>> batch.inputs.shape, batch.synthetic.sum()
        (torch.Size([8, 1, 8, 8]), tensor(2))
    """

    def __init__(
        self,
        dataset: DatasetSource,
        synthesizer: Synthesizer | None = None,
        p_fake: float = 0.0,
        mix_mode: MixMode = "per_sample",
        batch_size: int = 128,
        augment: Augment | None = None,
        validation_fraction: float = 0.1,
        train_size: int | None = None,
        quantile_transform: bool = False,
        cache_logits: bool | None = None,
        num_workers: int = 0,
        root: str | None = None,
    ) -> None:
        super().__init__()
        check_mixing(p_fake, synthesizer is not None, batch_size, mix_mode)
        check_validation_fraction(validation_fraction, allow_zero=True)
        self.dataset = dataset
        self.synthesizer = synthesizer
        self.p_fake = p_fake
        self.mix_mode: MixMode = mix_mode
        self.batch_size = batch_size
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.train_size = train_size
        self.quantile_transform = quantile_transform
        self.cache_logits = cache_logits
        self.num_workers = num_workers
        self.root = data_root(root)
        self.step = self._seed = 0
        self._data: LoadedData | None = None
        self._generator = torch.Generator()
        self._epoch: int | None = None  # of the last call of synthesizer.start_epoch
        self._teacher_logits: TeacherLogits | None = None

    @property
    def spec(self) -> DataSpec:
        """Shape of one sample, classes and statistics; available after :meth:`setup`."""
        return self._loaded.spec

    @property
    def validation_split(self) -> str:
        """``"val"``, or ``"test"`` without validation samples."""
        return self._loaded.validation_split

    def samples(self, split: str) -> tuple[Tensor, Tensor]:
        """Return all stored inputs and labels of a split, as passed to a synthesizer's ``fit``.

        Args:
            split: ``"train"``, ``"val"`` or ``"test"``.

        Raises:
            ConfigurationError: the data are read from files and not in memory, or have no validation samples.
        """
        data = self.split(split)
        if not isinstance(data, TensorDataset):
            raise ConfigurationError(f"data.dataset: {self.dataset.name} is read from files, expected data in memory")
        return data.inputs, data.labels

    def split(self, name: str) -> Split:
        """Return the split ``train``, ``val`` or ``test``, in memory or read from files when it is indexed."""
        return self._loaded.split(name)

    @property
    def _loaded(self) -> LoadedData:
        if self._data is None:
            raise RuntimeError("the data are not loaded: call prepare_data() and setup() first")
        return self._data

    def prepare_data(self) -> None:
        """Download the data on one process, unless they are cached."""
        self.dataset.prepare(self.root)

    def setup(self, stage: str | None = None) -> None:
        """Load, split and scale the data, move them to the device, and fit the synthesizer for training."""
        if self._data is None:
            self._data = load_data(
                self.dataset,
                self.root,
                validation_fraction=self.validation_fraction,
                train_size=self.train_size,
                quantile_transform=self.quantile_transform,
            )
        self._seed = int(os.environ.get("PL_GLOBAL_SEED", 0))  # set by Lightning's seed_everything
        if self._generator.device != self.device:  # also if a second trainer uses another device
            self._data = self._data.to(self.device)
            self._generator = torch.Generator(self.device)
        if stage in (None, "fit"):
            self.step = 0  # Lightning restores the step of a resumed run after this hook
            self._epoch = None
            self._teacher_logits = None
            self._fit_synthesizer()

    def _fit_synthesizer(self) -> None:
        if self.synthesizer is not None and self.p_fake > 0:
            train = self._loaded.split("train")
            inputs = train.inputs if isinstance(train, TensorDataset) else None
            with torch.no_grad(), autocast(self.trainer):  # as in training: a filter's thresholds depend on rounding
                self.synthesizer.fit(inputs, train.labels.to(self.device), self.spec)
            if isinstance(self.synthesizer, PooledSynthesizer):
                self.synthesizer.set_process(*self._process)

    @property
    def _process(self) -> tuple[int, int]:
        """Index of this process, and number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    @property
    def device(self) -> torch.device:
        """The training device; the CPU without a trainer."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

    def train_dataloader(self) -> Loader:
        """Return shuffled training batches of equal size."""
        return self._loader("train", derive_seed(self._seed, SHUFFLE_STREAM))

    def val_dataloader(self) -> Loader:
        """Return batches of the validation samples, or of the test samples if there are none."""
        return self._loader(self.validation_split, None)

    def test_dataloader(self) -> Loader:
        """Return batches of the test samples."""
        return self._loader("test", None)

    def predict_dataloader(self) -> Loader:
        """Return batches of the test samples, in their order."""
        return self.test_dataloader()

    def _loader(self, name: str, seed: int | None) -> Loader:
        data = self._loaded.split(name)
        rank, world_size = self._process
        check_split_size(len(data), world_size, f"{name} samples of {self.dataset.name}")
        sampler = ResumableDistributedSampler(len(data), rank, world_size, seed)
        pin_memory = self.device.type == "cuda"
        return make_loader(
            data,
            sampler,
            self.batch_size,
            drop_last=seed is not None,
            num_workers=self.num_workers,
            pin_memory=pin_memory,
        )

    def supply_logits_of(self, teacher: Callable[[Tensor], Tensor], obstacle: str = "") -> None:
        """Add a teacher's logits to the training batches; see :class:`~ganmc_lightning.batch.SupportsTeacherLogits`.

        Raises:
            ConfigurationError: ``cache_logits`` is True, and logits cannot be cached.
        """
        trainer = self.trainer
        if trainer is None or self.cache_logits is False:
            return
        train = self._loaded.split("train")
        uses = real_uses(trainer, len(train), self.batch_size, self.p_fake)
        reason = obstacle or ("" if self.augment is None else "data.augment changes the samples")
        stored = samples_to_label(train, uses, required=self.cache_logits is True, obstacle=reason)
        synthesizer = self.synthesizer if self.p_fake > 0 and not obstacle else None
        pool = synthesizer if isinstance(synthesizer, PooledSynthesizer) else None
        with torch.no_grad(), autocast(trainer):
            self._teacher_logits = TeacherLogits(
                lambda samples: teacher(convert_inputs(samples, trainer)), stored, pool, (teacher, trainer.precision)
            )

    def on_after_batch_transfer(self, batch: Sequence[Tensor], dataloader_idx: int) -> Batch:
        """Convert a batch to floats; in training, also augment it and add synthetic samples."""
        if self.trainer is not None and not self.trainer.training:
            mixed = concat_synthetic((to_float_images(batch[0]), batch[1]), None)
        else:
            with torch.no_grad(), autocast(self.trainer):
                mixed = self.augment_and_mix(*batch)
        # Lightning converts inputs to the network's precision before this hook.
        return mixed._replace(inputs=convert_inputs(mixed.inputs, self.trainer))

    def augment_and_mix(self, inputs: Tensor, labels: Tensor, index: Tensor | None = None) -> Batch:
        """Return the next training batch: replace the first samples by synthetic ones and augment the others.

        Args:
            inputs: stored samples (N, ...) on the device.
            labels: int64 (N,).
            index: indices of the samples in the training set, int64 (N,); None for data read from files.
        """
        rank, _ = self._process
        seed = derive_seed(self._seed, MIX_STREAM, rank, self.step)
        count = synthetic_count(self.step, len(labels), self.p_fake, self.mix_mode, seed)
        self._generator.manual_seed(derive_seed(self._seed, SYNTHESIS_STREAM, rank, self.step))
        self.step += 1
        synthetic, logits = self._sample(count, rank) if count > 0 else (None, None)
        real = to_float_images(inputs[count:])
        if self.augment is not None and count < len(labels):
            real = self.augment(real, self._generator)
        if self._teacher_logits is not None:
            real_index = None if index is None else index[count:]
            logits = self._teacher_logits(real, real_index, None if synthetic is None else synthetic[0], logits)
        train = self._loaded.split("train")
        weights = None
        if index is not None and isinstance(train, TensorDataset) and train.weights is not None:
            weights = train.weights[index[count:]]
        return concat_synthetic((real, labels[count:]), synthetic, logits, weights)

    def _sample(self, count: int, rank: int) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """Sample synthetic inputs and labels, and the teacher's logits if a pool caches them."""
        assert self.synthesizer is not None  # count is 0 without a synthesizer
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        if epoch != self._epoch:
            self.synthesizer.start_epoch(epoch, derive_seed(self._seed, POOL_STREAM, rank))
            if self._epoch is None and self.trainer is not None:
                warn_of_reuse(self.trainer, self.synthesizer, self.batch_size, self.p_fake)
            self._epoch = epoch
        samples, labels, logits = self.synthesizer.sample_with_logits(count, self._generator)
        return (samples, labels), logits

    def state_dict(self) -> dict[str, Any]:
        """Return the number of training batches and, for rows, the scaler and the schema."""
        scaler, schema = (None, None) if self._data is None else (self._data.scaler, self._data.schema)
        return {"step": self.step, "scaler": scaler and scaler.state_dict(), "schema": schema and schema.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the step of a checkpoint, and scale rows as in the training of its network."""
        self.step = state_dict["step"]
        if state_dict["scaler"] is None or self._data is None:
            return
        rescaled = self._data.rescale(RowScaler.from_state_dict(state_dict["scaler"]))
        if rescaled is not self._data:
            self._data = rescaled
            self._fit_synthesizer()
