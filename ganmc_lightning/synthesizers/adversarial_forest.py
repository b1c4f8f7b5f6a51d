"""Adversarial random forest: a density of rows from the leaves of a forest, without a neural network."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error
from ganmc_lightning.synthesizers.neighbors import CategoricalFeatures, check_real_rows, group_features


class AdversarialForestSynthesizer(Synthesizer):
    """Adversarial random forest (Watson et al. 2023, algorithms 1 and 3) on CPU.

    A forest learns to tell real rows from synthetic ones, first from rows whose columns are permuted independently,
    then from rows drawn from its own leaves, until its out-of-bag accuracy is at most 1/2. Columns are then about
    independent within a leaf. A sample takes the leaf of a random real row in a random tree, and each value from a
    random real row of this leaf. Simplification: values are those of real rows, the paper fits a density per leaf.
    The class is one of the columns.

    Args:
        n_trees: number of trees (default: 30).
        min_samples_leaf: minimum number of rows, real or synthetic, of a leaf (default: 5).
        max_rounds: maximum number of forests (default: 10).
        categorical_features: one-hot blocks, each the list of its columns, whose values come from one real row. Other
            columns need no entry.
        seed: random seed of the forests (default: 0).

    Raises:
        ConfigurationError: an argument is not positive.

    Example:
        >>> rows = torch.randn(200, 1, generator=torch.Generator().manual_seed(0)).repeat(1, 2)
        >>> synthesizer = AdversarialForestSynthesizer()
        >>> synthesizer.fit(rows, torch.zeros(200, dtype=torch.int64), DataSpec((2,), 1))
        >>> samples, _ = synthesizer.sample(500, torch.Generator().manual_seed(0))
        >>> torch.corrcoef(samples.T)[0, 1].item() > 0.9
        True
    """

    def __init__(
        self,
        n_trees: int = 30,
        min_samples_leaf: int = 5,
        max_rounds: int = 10,
        categorical_features: CategoricalFeatures = (),
        seed: int = 0,
    ) -> None:
        for name, value in (("n_trees", n_trees), ("min_samples_leaf", min_samples_leaf), ("max_rounds", max_rounds)):
            if value < 1:
                raise ConfigurationError(f"AdversarialForestSynthesizer.{name}: got {value}, expected at least 1")
        self.n_trees = n_trees
        self.min_samples_leaf = min_samples_leaf
        self.max_rounds = max_rounds
        self.categorical_features = categorical_features
        self.seed = seed
        self._leaves: _Leaves | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Fit forests until the last one cannot tell samples of its predecessor from real rows."""
        from sklearn.ensemble import RandomForestClassifier  # imported here: takes 0.9 s

        rows = check_real_rows("AdversarialForestSynthesizer", inputs)
        group, _ = group_features("AdversarialForestSynthesizer", self.categorical_features, rows)
        self._device = labels.device
        groups = np.append(group.cpu().numpy(), int(group.max()) + 1)
        real = np.column_stack([rows.cpu().numpy(), labels.cpu().numpy()]).astype(np.float32)
        random = np.random.default_rng(self.seed)
        single_leaf = _Leaves(real, groups, np.zeros((len(real), 1), dtype=np.int64))  # all columns independent
        leaves = single_leaf
        for _ in range(self.max_rounds):
            forest = RandomForestClassifier(
                self.n_trees,
                min_samples_leaf=self.min_samples_leaf,
                oob_score=True,
                random_state=int(random.integers(2**31)),
            )
            is_real = np.repeat([1, 0], len(real))
            with warnings.catch_warnings():  # with few trees, some rows are in the bag of every tree
                warnings.filterwarnings("ignore", "Some inputs do not have OOB scores")
                forest.fit(np.concatenate([real, leaves.sample(len(real), random)]), is_real)
            if forest.oob_score_ <= 0.5 and leaves is not single_leaf:
                break
            leaves = _Leaves(real, groups, forest.apply(real))
        self._leaves = leaves

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` rows; see :meth:`Synthesizer.sample`."""
        if self._leaves is None:
            raise not_fitted_error(self)
        seed = torch.randint(2**63 - 1, (1,), generator=generator, device=self._device).item()
        drawn = torch.from_numpy(self._leaves.sample(n, np.random.default_rng(int(seed)))).to(self._device)
        return drawn[:, :-1], drawn[:, -1].to(torch.int64)


class _Leaves:
    """Real rows by leaf, to draw values from.

    Attributes:
        rows: real rows (N, D).
        groups: group of each column (D,); values of a group come from one row.
        order: per tree, the row indices sorted by leaf, (N, T).
        first: per tree, the position in ``order`` of the first row in the leaf of each row, (N, T).
        counts: number of real rows in the leaf of each row, (N, T).
    """

    def __init__(self, rows: NDArray[np.float32], groups: NDArray[np.int64], leaves: NDArray[np.int64]) -> None:
        self.rows = rows
        self.groups = groups
        self.order = np.argsort(leaves, axis=0, kind="stable")
        self.first, self.counts = np.empty_like(self.order), np.empty_like(self.order)
        for tree in range(leaves.shape[1]):
            _, inverse, counts = np.unique(leaves[:, tree], return_inverse=True, return_counts=True)
            self.first[:, tree] = (np.cumsum(counts) - counts)[inverse]
            self.counts[:, tree] = counts[inverse]

    def sample(self, n: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Draw ``n`` rows (n, D): a leaf by its number of real rows, then the values of each group from its rows."""
        row, tree = random.integers(len(self.rows), size=n), random.integers(self.order.shape[1], size=n)
        drawn = np.empty((n, self.rows.shape[1]), dtype=np.float32)
        for group in np.unique(self.groups):
            columns = np.flatnonzero(self.groups == group)
            position = self.first[row, tree] + (random.random(n) * self.counts[row, tree]).astype(np.int64)
            drawn[:, columns] = self.rows[self.order[position, tree][:, None], columns]
        return drawn
