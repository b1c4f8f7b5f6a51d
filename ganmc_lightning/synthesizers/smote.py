"""SMOTE: points on the lines between neighbouring rows of a class."""

from __future__ import annotations

import torch
from torch import Tensor

from ganmc_lightning.batch import DataSpec
from ganmc_lightning.errors import InputError
from ganmc_lightning.synthesizers.base import Synthesizer, draw_indices, not_fitted
from ganmc_lightning.synthesizers.neighbours import Columns, check_rows, draw_passes, group_columns, nearest_rows


class SmoteSynthesizer(Synthesizer):
    """SMOTE (Chawla et al. 2002, section 4.2) for every class, with the class shares of the real data.

    A sample lies at a random place between a real row and one of its nearest neighbours of the same class, whose
    class it carries. Each whole pass uses every row once.

    Args:
        neighbours: k, among which the other end is chosen; 5 in the paper.
        categorical: columns whose value is that of one of the two rows; a one-hot encoded one as the list of its
            columns, which change together.

    Raises:
        InputError: ``neighbours`` is not positive.
    """

    def __init__(self, neighbours: int = 5, categorical: Columns = ()) -> None:
        if neighbours < 1:
            raise InputError(f"SmoteSynthesizer.neighbours must be at least 1, got {neighbours}")
        self.neighbours = neighbours
        self.categorical = categorical
        self._real: tuple[Tensor, Tensor] | None = None

    def fit(self, inputs: Tensor | None, labels: Tensor, spec: DataSpec) -> None:
        """Keep the real rows and find their neighbours in their own class."""
        rows = check_rows("SmoteSynthesizer", inputs)
        group, discrete = group_columns("SmoteSynthesizer", self.categorical, rows.shape[1])
        self._group, self._discrete = group.to(rows.device), discrete.to(rows.device)
        self._nearest = torch.empty(len(rows), self.neighbours, dtype=torch.int64, device=rows.device)
        for label in torch.unique(labels):
            members = (labels == label).nonzero().flatten()
            found = nearest_rows(f"SmoteSynthesizer: class {int(label)}", rows[members], self.neighbours)
            self._nearest[members] = members[found]
        self._real = (rows, labels)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw ``n`` samples; see :class:`Synthesizer`."""
        if self._real is None:
            raise not_fitted(self)
        rows, labels = self._real
        chosen = draw_passes(len(rows), n, rows.device, generator)
        which = draw_indices(self.neighbours, n, rows.device, generator)
        own, other = rows[chosen], rows[self._nearest[chosen, which]]
        place = torch.rand(n, 1, device=rows.device, generator=generator).expand(own.shape)
        side = torch.rand(n, int(self._group.max()) + 1, device=rows.device, generator=generator).round()
        return torch.lerp(own, other, torch.where(self._discrete, side[:, self._group], place)), labels[chosen]
