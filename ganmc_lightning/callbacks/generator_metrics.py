"""Log FID, Inception Score and other metrics of a generator during training."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch import LightningModule, Trainer

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.callbacks.generator_monitor import SAMPLE_SEED, GeneratorMonitor
from ganmc_lightning.evaluation.evaluator import BATCH_SIZE, METRICS, GeneratorEvaluator
from ganmc_lightning.evaluation.samples import samples_of_generator
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import FeatureExtractor
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.training_data import check_statistics

CALLBACK_METRICS = tuple(name for name in METRICS if name != "compression_score")


class GeneratorMetricsMonitor(GeneratorMonitor):
    """Log ``val/fid``, ``val/inception_score``, ``val/precision`` and other metrics of the generator's samples.

    The metrics are computed at every validation (``trainer.check_val_every_n_epoch``) against the validation split by
    :class:`~ganmc_lightning.evaluation.GeneratorEvaluator`; near duplicates are searched in the training split. Select
    checkpoints by one of them with ``checkpoint: {monitor: val/fid, mode: min}``.

    Args:
        extractor: feature extractor; in a config, ``ganmc_lightning.metrics.make_extractor`` with its ``spec``.
        metrics: one or more of ``inception_score``, ``fid``, ``kid``, ``prdc``, ``near_duplicates`` and
            ``laplacian_variance``.
        num_samples: number of generated samples, at least 2. If ``trainer.limit_val_batches`` is a number of batches,
            as with ``trainer.fast_dev_run``, at most that number of batches of 500 samples.
        submodule: name of the generator in the LightningModule.

    Raises:
        ConfigurationError: ``metrics`` is empty or contains an unknown name, or ``num_samples`` is below 2.

    Example:
        >>> import torch
        >>> from ganmc_lightning.metrics import ClassifierExtractor
        >>> monitor = GeneratorMetricsMonitor(ClassifierExtractor(torch.nn.Linear(4, 2)), num_samples=500)
        >>> monitor.metrics
        ('inception_score', 'fid', 'prdc')
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        metrics: Sequence[str] = ("inception_score", "fid", "prdc"),
        num_samples: int = 10_000,
        submodule: str = "generator",
    ) -> None:
        super().__init__(submodule)
        unknown = [name for name in metrics if name not in CALLBACK_METRICS]
        if unknown or not metrics:
            raise ConfigurationError(
                f"GeneratorMetricsMonitor.metrics: got {', '.join(map(repr, unknown)) or 'none'}, expected names from "
                f"{', '.join(CALLBACK_METRICS)}"
            )
        if num_samples < 2:
            raise ConfigurationError(f"GeneratorMetricsMonitor.num_samples: got {num_samples}, expected at least 2")
        self.extractor = extractor
        self.metrics = tuple(metrics)
        self.num_samples = num_samples
        self._max_samples = num_samples
        self._evaluator: GeneratorEvaluator | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Validate the callback against the data; see :meth:`GeneratorMonitor.setup`."""
        limit = trainer.limit_val_batches
        self._max_samples = max(2, limit * BATCH_SIZE) if isinstance(limit, int) else self.num_samples
        super().setup(trainer, pl_module, stage)

    def validate(self, data: SupportsDataSpec) -> None:
        """Validate the extractor and the metrics on two samples."""
        check_statistics("GeneratorMetricsMonitor.extractor", self.extractor, data.spec)
        samples = data.samples("val")[0]
        self.extractor(samples[:2])
        self._evaluator = GeneratorEvaluator(
            data,
            metrics=self.metrics,
            extractor=self.extractor,
            num_samples=min(self.num_samples, self._max_samples),
            seed=SAMPLE_SEED,
            real_split="val",
            device=samples.device,
        )

    def compute(self, generator: Generator, data: SupportsDataSpec) -> dict[str, float]:
        """Compute all metrics with one pass of the extractor."""
        assert self._evaluator is not None
        return self._evaluator.evaluate(samples_of_generator(generator, data, origin=self.submodule)).values
