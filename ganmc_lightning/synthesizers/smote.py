"""SMOTE: interpolate between neighboring rows of a class."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, not_fitted_error
from ganmc_lightning.synthesizers.neighbors import (
    CategoricalFeatures,
    balanced_indices,
    check_real_rows,
    group_features,
    nearest_rows,
)


class SmoteSynthesizer(Synthesizer):
    """SMOTE (Chawla et al. 2002, section 4.2) for all classes, with the class shares of the real data.

    A sample is a random point on the line between a real row and one of its nearest neighbors in the class. Every
    complete pass uses each row once. Of a class of more than 50,000 rows, neighbors are searched in random parts of
    at most 50,000 rows.

    Args:
        k_neighbors: number of nearest neighbors to choose from (default: 5, as in the paper).
        categorical_features: columns with values copied from one of the two rows, not interpolated. A one-hot block is
            the list of its columns, which are copied together.

    Raises:
        ConfigurationError: ``k_neighbors`` is not positive.

    Example:
        >>> synthesizer = SmoteSynthesizer(k_neighbors=1)
        >>> rows = torch.tensor([[0.0], [1.0], [8.0], [9.0]])
        >>> synthesizer.fit(rows, torch.tensor([0, 0, 1, 1]), DataSpec((1,), 2))
        >>> samples, labels = synthesizer.sample(4)
        >>> labels, (samples >= torch.tensor([[0.0], [0.0], [8.0], [8.0]])).all()
        (tensor([0, 0, 1, 1]), tensor(True))
    """

    def __init__(self, k_neighbors: int = 5, categorical_features: CategoricalFeatures = ()) -> None:
        if k_neighbors < 1:
            raise ConfigurationError(f"SmoteSynthesizer.k_neighbors: got {k_neighbors}, expected at least 1")
        self.k_neighbors = k_neighbors
        self.categorical_features = categorical_features
        self._real: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Store the real rows and find their nearest neighbors within their class."""
        rows = check_real_rows("SmoteSynthesizer", inputs)
        self._group, self._discrete = group_features("SmoteSynthesizer", self.categorical_features, rows)
        self._groups = int(self._group.max()) + 1  # here, because sampling does not read values on the host
        self._nearest = torch.empty(len(rows), self.k_neighbors, dtype=torch.int64, device=rows.device)
        for label in torch.unique(labels):
            members = (labels == label).nonzero().flatten()
            nearest = nearest_rows(f"SmoteSynthesizer: class {int(label)}", rows[members], self.k_neighbors)
            self._nearest[members] = members[nearest]
        self._real = (rows, labels)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Sample ``n`` rows; see :meth:`Synthesizer.sample`."""
        if self._real is None:
            raise not_fitted_error(self)
        rows, labels = self._real
        chosen = balanced_indices(len(rows), n, rows.device, generator)
        which = torch.randint(self.k_neighbors, (n,), device=rows.device, generator=generator)
        own, other = rows[chosen], rows[self._nearest[chosen, which]]
        weight = torch.rand(n, 1, device=rows.device, generator=generator).expand(own.shape)
        side = torch.rand(n, self._groups, device=rows.device, generator=generator).round()
        return torch.lerp(own, other, torch.where(self._discrete, side[:, self._group], weight)), labels[chosen]
