"""FID, Inception Score and their like of a generator while it trains."""

from __future__ import annotations

from collections.abc import Sequence

from ganmc_lightning.batch import SupportsDataSpec
from ganmc_lightning.callbacks.generator_monitor import GeneratorMonitor, samples_of
from ganmc_lightning.evaluation.feature_metrics import (
    COMPARE_WITH_REAL,
    FEATURE_METRICS,
    KEPT,
    feature_metrics,
    shuffle_then_truncate,
    values_of,
)
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.metrics import (
    FeatureExtractor,
    Features,
    LaplacianVariance,
    ReferenceStatistics,
    features_of,
    reference_statistics,
)
from ganmc_lightning.networks.base import Generator
from ganmc_lightning.networks.training_data import check_statistics

BATCH_SIZE = 500


class GeneratorMetricsMonitor(GeneratorMonitor):
    """Logs ``val/fid``, ``val/inception_score``, ``val/precision`` and so on of the generator's samples.

    Any of them may be what the best checkpoint is chosen by: ``checkpoint: {monitor: val/fid, mode: min}``. They are
    computed at every validation (``trainer.check_val_every_n_epoch``) against the validation submodule; near copies
    are looked for in the training submodule. With :class:`~ganmc_lightning.callbacks.GeneratorEMA` the averaged
    generator is scored, whichever of the two is listed first.

    Args:
        extractor: turns samples into features; in a configuration ``ganmc_lightning.metrics.make_extractor`` with its
            ``spec``, or the class of one.
        metrics: some of ``is``, ``fid``, ``kid``, ``prdc``, ``near_duplicates`` and ``vol``.
        n: samples drawn each time.
        submodule: name of the generator in the module.

    Raises:
        ConfigurationError: a metric is unknown, none is named, or ``n`` is below 2.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        metrics: Sequence[str] = ("is", "fid", "prdc"),
        n: int = 10_000,
        submodule: str = "generator",
    ) -> None:
        super().__init__(submodule)
        known = (*FEATURE_METRICS, "vol")
        unknown = [name for name in metrics if name not in known]
        if unknown or not metrics:
            found = ", ".join(map(repr, unknown)) or "none"
            raise ConfigurationError(
                f"GeneratorMetricsMonitor.metrics must be some of {', '.join(known)}; found {found}"
            )
        if n < 2:
            raise ConfigurationError(f"GeneratorMetricsMonitor.n must be at least 2, got {n}")
        self.extractor = extractor
        self.metrics = tuple(metrics)
        self.n = n
        self._real: ReferenceStatistics | None = None
        self._training: ReferenceStatistics | None = None
        self._held_out: Features | None = None

    def check(self, data: SupportsDataSpec) -> None:
        """Try the extractor, and the measure of sharpness, on two samples."""
        check_statistics("GeneratorMetricsMonitor.extractor", self.extractor, data.spec)
        samples = data.samples("val")[0][:2]
        self.extractor(samples)
        if "vol" in self.metrics:
            LaplacianVariance().update(samples)
        self._real = self._training = self._held_out = None

    def scores(self, generator: Generator, data: SupportsDataSpec) -> dict[str, float]:
        """Compute all metrics, from one pass of the extractor."""
        if self._real is None:
            self._look_at_real(data)
        samples = samples_of(generator, data, self.n)
        names = [name for name in FEATURE_METRICS if name in self.metrics]
        features = features_of(samples, self.extractor, BATCH_SIZE)
        metrics = feature_metrics(names, self.extractor, self.n, self._real, self._training, self._held_out)
        found: dict[str, float] = {}
        for name, metric in metrics.items():
            metric.to(samples.device)
            metric.update(features, real=False)
            found |= values_of(metric, name)
        if "vol" in self.metrics:
            sharpness = LaplacianVariance(sync_on_compute=False)
            sharpness.update(data.samples("val")[0], real=True)
            for batch in samples.split(BATCH_SIZE):
                sharpness.update(batch)
            found |= {key: value.item() for key, value in sharpness.compute().items()}
        return found

    def _look_at_real(self, data: SupportsDataSpec) -> None:
        """Take the statistics of the real samples, once a run."""
        held_out, training = data.samples("val")[0], data.samples("train")[0]
        if set(self.metrics) & set(COMPARE_WITH_REAL):
            self._real = reference_statistics(
                shuffle_then_truncate(held_out, KEPT), self.extractor, "data", "val", keep=KEPT
            )
        if "near_duplicates" in self.metrics:
            self._training = reference_statistics(training, self.extractor, "data", "train", keep=len(training))
            self._held_out = features_of(held_out, self.extractor, BATCH_SIZE)
