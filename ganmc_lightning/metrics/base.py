"""Base classes of the metrics: settings, sample counts, warnings, and synchronization across ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torchmetrics import Metric

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.precision import at_least_float32
from ganmc_lightning.metrics.extractors.base import FeatureExtractor, Features
from ganmc_lightning.metrics.reference import ReferenceStatistics

MetricSettings = dict[str, str | int | float | bool]


class GenerativeMetric(Metric):
    """Base class of metrics that report their settings, sample counts and warnings with each value.

    Args:
        lists: list states by name, each with an empty tensor (0, ...) that defines shape and dtype of its rows.

    Attributes:
        counts: number of samples in the last ``compute()`` by kind, over all ranks.
        warnings: reasons to doubt the value of the last ``compute()``; empty if there are none.
    """

    def __init__(self, lists: Mapping[str, Tensor], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._empty = dict(lists)
        for name in lists:
            # torchmetrics' reduction None deadlocks if ranks have different numbers of batches; "cat" does not.
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.counts: dict[str, int] = {}
        self.warnings: tuple[str, ...] = ()

    def settings(self) -> MetricSettings:
        """Return the settings to report with the value, and ``n_<kind>``, the counts of the last ``compute()``."""
        return {f"n_{kind}": count for kind, count in self.counts.items()}

    def compute_columns(self, name: str) -> dict[str, float]:
        """Compute the metric and return its values by table column; the column of a single value is ``name``."""
        computed: Tensor | dict[str, Tensor] = self.compute()
        values = computed if isinstance(computed, dict) else {name: computed}
        return {key: value.item() for key, value in values.items()}

    def reset(self) -> None:
        """Reset the states, counts and warnings."""
        super().reset()
        self.counts, self.warnings = {}, ()

    def set_dtype(self, dst_type: str | torch.dtype) -> Self:
        """Do nothing: sums stay float64 and samples keep their dtype in runs of any precision."""
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Self:
        """Apply device changes to the states, but no dtype changes such as ``module.to(torch.bfloat16)``."""

        def moved(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            return result if result.dtype == tensor.dtype else tensor.to(result.device)

        super()._apply(moved, exclude_state)
        return self

    def sync(
        self,
        dist_sync_fn: Callable[..., Any] | None = None,
        process_group: Any | None = None,
        should_sync: bool = True,
        distributed_available: Callable[..., Any] | None = None,
    ) -> None:
        """Gather the states of all ranks, including ranks without samples."""
        for name, empty in self._empty.items():
            if isinstance(getattr(self, name), list) and not getattr(self, name):
                setattr(self, name, [empty.to(self.device)])
        super().sync(dist_sync_fn, process_group, should_sync, distributed_available)

    def cat_state(self, name: str) -> Tensor:
        """Concatenate a list state, which may be empty, or a tensor after a sync."""
        state: list[Tensor] | Tensor = getattr(self, name)
        return state if isinstance(state, Tensor) else torch.cat(state or [self._empty[name].to(self.device)])

    def check_num_samples(self, minimum: int, advice: str = "add more") -> None:
        """Raise :class:`ConfigurationError` if an item of ``counts`` is below ``minimum``."""
        for kind, count in self.counts.items():
            if count < minimum:
                raise ConfigurationError(
                    f"{type(self).__name__}: got {count} {kind} samples, expected at least {minimum}: {advice}"
                )


class SampleMetric(GenerativeMetric):
    """Base class of metrics that compare samples without an extractor, and can be reused for several sets."""

    real_states: ClassVar[tuple[str, ...]]
    """Names of the states of the real samples, and of attributes computed from them alone."""

    def num_generated(self, default: int) -> int:
        """Return the number of generated samples to evaluate: ``default``, unless the metric requires another."""
        return default

    def reset_generated(self) -> None:
        """Remove the generated samples and keep the real ones, to evaluate another set."""
        states = {name: getattr(self, name) for name in self.real_states}
        kept = {name: list(state) if isinstance(state, list) else state for name, state in states.items()}
        self.reset()  # clears lists in place
        for name, state in kept.items():
            setattr(self, name, state)


class FeatureMetric(GenerativeMetric):
    """Base class of metrics that compare features of real and generated samples.

    Several metrics can share one pass of the extractor, because ``update`` also takes :class:`Features`. The extractor
    is not part of the metric's parameters and ``state_dict``.

    Args:
        extractor: feature extractor.
        lists: list states by name, with the length of one row of each.
        reference: precomputed statistics of the real samples.
    """

    real_state: ClassVar[str] = "real_features"
    """Name of the list state of real features."""
    generated_state: ClassVar[str] = "fake_features"
    """Name of the list state of generated features; KID and PRDC share both states in a ``MetricCollection``."""

    def __init__(
        self,
        extractor: FeatureExtractor,
        lists: Mapping[str, int],
        reference: ReferenceStatistics | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__({name: torch.zeros(0, width) for name, width in lists.items()}, **kwargs)
        self._networks = (extractor,)  # a tuple, so that the extractor is not registered as a submodule
        self.reference = reference
        # torchmetrics merges metrics with equal states, and states of two extractors are equal while they are empty.
        self.add_state("extractor_key", default=torch.tensor(int(extractor.digest, 16) >> 2), dist_reduce_fx="max")

    @property
    def extractor(self) -> FeatureExtractor:
        """The feature extractor."""
        return self._networks[0]

    def settings(self) -> MetricSettings:
        """Return the settings of the extractor and the counts of the last ``compute()``."""
        return {**self.extractor.settings(), **super().settings()}

    def update(self, images: Tensor | Features, real: bool) -> None:
        """Add samples.

        Args:
            images: uint8 or float images in [-1, 1] (N, C, H, W), rows (N, D), or their features.
            real: whether the samples are real (for near duplicates: training samples) or generated.

        Raises:
            ConfigurationError: the extractor rejects the samples, its features are not finite or of another extractor,
                or real samples are added in addition to a ``reference``.
        """
        if real and self.reference is not None:
            raise ConfigurationError(
                f"{type(self).__name__}: got real samples and a reference, expected only one of them"
            )
        self._store(self._to_features(images), real)

    def _store(self, features: Features, real: bool) -> None:
        getattr(self, self.real_state if real else self.generated_state).append(features.features)

    def _to_features(self, samples: Tensor | Features) -> Features:
        """Return checked features in float32 or float64 on the device of the metric."""
        output = samples if isinstance(samples, Features) else self.extractor(samples)
        sizes = self.extractor.num_features, self.extractor.num_classes
        for name, values, size in zip(Features._fields, output, sizes, strict=True):
            if values.ndim != 2 or values.shape[1] != size:
                raise ConfigurationError(
                    f"{name}: got shape {tuple(values.shape)}, expected (N, {size}) from {self.extractor.name}"
                )
        if not bool(output.features.isfinite().all() and output.logits.isfinite().all()):
            raise ConfigurationError(
                f"{self.extractor.name}: got NaN or infinite features: check its weights and the samples"
            )
        return Features(*(at_least_float32(values).to(self.device) for values in output))

    def real_rows(self) -> Tensor:
        """Return the features of the real samples, from the state or the reference."""
        if self.reference is None:
            return self.cat_state(self.real_state)
        return self.reference.features.to(self.device)


def sort_rows(rows: Tensor) -> Tensor:
    """Sort rows (N, D) by a fixed linear combination of their columns.

    Random splits and subsets of sorted rows do not depend on the order of the samples or their distribution over ranks.
    """
    weights = torch.arange(1, rows.shape[1] + 1, device=rows.device, dtype=torch.float64).cos()
    return rows[(rows.double() @ weights).argsort(stable=True)]


def constant_feature_warnings(**kinds: Tensor) -> tuple[str, ...]:
    """Return a warning for each kind of samples whose features (N, D) are constant up to rounding."""
    return tuple(f"all {kind} samples have equal features" for kind, rows in kinds.items() if _is_constant(rows))


def _is_constant(rows: Tensor) -> bool:
    if len(rows) == 0:
        return False
    spread = rows.amax(dim=0) - rows.amin(dim=0)
    return bool((spread <= 1e-5 * rows.abs().amax()).all())
