"""SMOTE: points on the lines between neighboring rows of a class."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.synthesizers.base import Synthesizer, draw_indices, not_fitted
from ganmc_lightning.synthesizers.neighbors import Columns, balanced_indices, check_rows, group_columns, nearest_rows


class SmoteSynthesizer(Synthesizer):
    """SMOTE (Chawla et al. 2002, section 4.2) for every class, with the class shares of the real data.

    A sample lies at a random place between a real row and one of its nearest neighbors of the same class, whose
    class it carries. Each whole pass uses every row once.

    Args:
        neighbors: k, among which the other end is chosen; 5 in the paper.
        categorical: columns whose value is that of one of the two rows; a one-hot encoded one as the list of its
            columns, which change together.

    Raises:
        ConfigurationError: ``neighbors`` is not positive.
    """

    def __init__(self, neighbors: int = 5, categorical: Columns = ()) -> None:
        if neighbors < 1:
            raise ConfigurationError(f"SmoteSynthesizer.neighbors must be at least 1, got {neighbors}")
        self.neighbors = neighbors
        self.categorical = categorical
        self._real: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Keep the real rows and find their neighbors in their own class."""
        rows = check_rows("SmoteSynthesizer", inputs)
        group, discrete = group_columns("SmoteSynthesizer", self.categorical, rows.shape[1])
        self._group, self._discrete = group.to(rows.device), discrete.to(rows.device)
        self._nearest = torch.empty(len(rows), self.neighbors, dtype=torch.int64, device=rows.device)
        for label in torch.unique(labels):
            members = (labels == label).nonzero().flatten()
            found = nearest_rows(f"SmoteSynthesizer: class {int(label)}", rows[members], self.neighbors)
            self._nearest[members] = members[found]
        self._real = (rows, labels)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        if self._real is None:
            raise not_fitted(self)
        rows, labels = self._real
        chosen = balanced_indices(len(rows), n, rows.device, generator)
        which = draw_indices(self.neighbors, n, rows.device, generator)
        own, other = rows[chosen], rows[self._nearest[chosen, which]]
        place = torch.rand(n, 1, device=rows.device, generator=generator).expand(own.shape)
        side = torch.rand(n, int(self._group.max()) + 1, device=rows.device, generator=generator).round()
        return torch.lerp(own, other, torch.where(self._discrete, side[:, self._group], place)), labels[chosen]
