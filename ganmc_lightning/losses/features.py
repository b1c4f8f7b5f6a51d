"""What a student is asked to match inside: the hints of FitNets and the flows of FSP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.losses.distillation import DistillationLoss
from ganmc_lightning.losses.precision import at_least_float32

Shape = tuple[int, ...]


def hint_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """``1/2 ||u_h - r(v_g)||^2``, averaged over the batch (Romero et al. 2015, FitNets, equation 3).

    Args:
        student_features: r(v_g), the student's features after the regressor, float (N, ...).
        teacher_features: u_h, float of the same shape.

    Example:
        >>> hint_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]))
        tensor(2.5000)
    """
    differences = at_least_float32(student_features) - at_least_float32(teacher_features)
    return 0.5 * differences.square().flatten(1).sum(dim=1).mean()


def fsp_matrix(first: Tensor, second: Tensor) -> Tensor:
    """How features flow from one layer to a later one (Yim et al. 2017, equation 1).

    The mean over all pixels of the products of each map of ``first`` with each map of ``second``. Where the sides
    differ, the larger maps are max-pooled to the smaller ones, as in the paper.

    Args:
        first: float (N, C, H, W).
        second: float (N, D, h, w).

    Returns:
        float (N, C, D), float32 or wider.

    Example:
        >>> fsp_matrix(torch.ones(1, 2, 4, 4), torch.full((1, 1, 2, 2), 3.0))
        tensor([[[3.],
                 [3.]]])
    """
    height, width = (min(first.shape[k], second.shape[k]) for k in (2, 3))
    pooled = (F.adaptive_max_pool2d(at_least_float32(maps), (height, width)) for maps in (first, second))
    first, second = (maps.flatten(2) for maps in pooled)
    return at_least_float32(first @ second.transpose(1, 2)) / (height * width)


def fsp_loss(student_maps: Sequence[Tensor], teacher_maps: Sequence[Tensor]) -> Tensor:
    """``sum_i ||G_i^T - G_i^S||^2``, averaged over the batch (Yim et al. 2017, equation 2, all weights 1).

    Args:
        student_maps: float (N, C_i, H, W), one for each layer, in their order; G_i goes from layer i to i + 1.
        teacher_maps: the same of the teacher, with as many maps; their sides may differ from the student's.

    Returns:
        Scalar.
    """
    student, teacher = ([fsp_matrix(*pair) for pair in pairwise(maps)] for maps in (student_maps, teacher_maps))
    distances = [(one - other).square().sum(dim=(1, 2)) for one, other in zip(student, teacher, strict=True)]
    return torch.stack(distances).sum(dim=0).mean()


def make_regressor(student_shape: Shape, teacher_shape: Shape) -> nn.Module:
    """A learned layer from the student's features to the size of the teacher's; the identity where they are equal.

    A dense layer between vectors. Between maps a convolution without padding whose kernel takes away what the
    student's maps are larger by, as in FitNets, section 2.2; 1x1 where they are equally large.

    Args:
        student_shape: of one sample's features, ``(F,)`` or ``(C, H, W)``.
        teacher_shape: the same.

    Raises:
        ConfigurationError: vectors are to become maps or the reverse, or small maps large ones.

    Example:
        >>> make_regressor((8, 4, 4), (16, 3, 3))
        Conv2d(8, 16, kernel_size=(2, 2), stride=(1, 1))
    """
    if student_shape == teacher_shape:
        return nn.Identity()
    if len(student_shape) == len(teacher_shape) == 1:
        return nn.Linear(student_shape[0], teacher_shape[0])
    if len(student_shape) == len(teacher_shape) == 3:
        height, width = (student_shape[k] - teacher_shape[k] + 1 for k in (1, 2))
        if height > 0 and width > 0:
            return nn.Conv2d(student_shape[0], teacher_shape[0], (height, width))
    raise ConfigurationError(
        f"the student's features {student_shape} cannot be matched with the teacher's {teacher_shape}: "
        "name layers that both give vectors, or both give maps, the student's not smaller than the teacher's"
    )


def regressor_from_weight(weight: Tensor) -> nn.Module:
    """The layer of :func:`make_regressor` that a stored weight belongs to."""
    if weight.dim() == 2:
        return nn.Linear(weight.shape[1], weight.shape[0])
    return nn.Conv2d(weight.shape[1], weight.shape[0], (weight.shape[2], weight.shape[3]))


class FeatureLoss(DistillationLoss, ABC):
    """A loss on pairs of layers, beside one on the logits or without.

    Args:
        layers: pairs of a layer of the teacher and one of the student, by their names in ``named_modules()``.
        weight: of the loss on the layers.
        logits_loss: what is added to it; nothing when left out.

    Raises:
        ConfigurationError: ``weight`` is not positive, or there are too few pairs.
    """

    fewest_pairs: ClassVar[int] = 1
    teacher_layers: tuple[str, ...]
    student_layers: tuple[str, ...]

    def __init__(
        self, layers: list[tuple[str, str]], weight: float = 1.0, logits_loss: DistillationLoss | None = None
    ) -> None:
        super().__init__()
        if weight <= 0:
            raise ConfigurationError(f"weight must be positive, got {weight}")
        if len(layers) < self.fewest_pairs:
            raise ConfigurationError(f"layers must hold {self.fewest_pairs} pairs or more, got {len(layers)}")
        self.teacher_layers = tuple(teacher for teacher, _ in layers)
        self.student_layers = tuple(student for _, student in layers)
        self.weight = weight
        self.logits_loss = logits_loss

    def forward(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, synthetic: Tensor) -> Tensor:
        """Return the loss on the logits; 0 without one."""
        if self.logits_loss is None:
            return student_logits.new_zeros(())
        loss: Tensor = self.logits_loss(student_logits, teacher_logits, labels, synthetic)
        return loss

    @abstractmethod
    def fit(self, student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape]) -> None:
        """Take note of the shapes of one sample's features, before training.

        Raises:
            ConfigurationError: they cannot be matched.
        """

    @abstractmethod
    def match(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """Return the weighted scalar loss on the features, one tensor (N, ...) of each network for each pair."""

    def _pairs(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> list[tuple[str, Shape, Shape]]:
        """For each pair its names, for messages, and its shapes."""
        names = [f"{t} -> {s}" for t, s in zip(self.teacher_layers, self.student_layers, strict=True)]
        return list(zip(names, student, teacher, strict=True))


class HintLoss(FeatureLoss):
    """The hints of FitNets (Romero et al. 2015): a regressor on the student's layer must tell the teacher's layer.

    The paper trains in two stages, first the student up to its guided layer on :func:`hint_loss` alone, then all of
    it by knowledge distillation. Without ``logits_loss`` this is the first stage, and the second is another run that
    takes its student from the first one's checkpoint. With ``logits_loss`` both are learnt at once, in as many steps
    as other methods take; reports then compare equal budgets.

    The regressor (:func:`make_regressor`) learns with the student and is no part of it.

    Args:
        layers: pairs of a layer of the teacher, the hint, and one of the student, the guided layer.
        weight: of the hints.
        logits_loss: what is added to them, such as ``KnowledgeDistillationLoss``.
    """

    def __init__(
        self, layers: list[tuple[str, str]], weight: float = 1.0, logits_loss: DistillationLoss | None = None
    ) -> None:
        super().__init__(layers, weight, logits_loss)
        self.regressors = nn.ModuleList(nn.Identity() for _ in layers)

    def fit(self, student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape]) -> None:
        """Make a regressor for each pair whose shapes differ."""
        for k, (names, student, teacher) in enumerate(self._pairs(student_shapes, teacher_shapes)):
            if isinstance(self.regressors[k], nn.Identity):
                try:
                    self.regressors[k] = make_regressor(student, teacher)
                except ConfigurationError as error:
                    raise ConfigurationError(f"model.loss.layers, {names}: {error}") from None

    def match(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """Return the weighted sum of :func:`hint_loss` over the pairs."""
        triples = zip(self.regressors, student_features, teacher_features, strict=True)
        losses = [hint_loss(regressor(student), teacher) for regressor, student, teacher in triples]
        return self.weight * torch.stack(losses).sum()

    def rebuild(self, state: dict[str, Tensor]) -> None:
        """Make the regressors that stored weights, named as in this module's state, belong to."""
        for k, regressor in enumerate(self.regressors):
            weight = state.get(f"regressors.{k}.weight")
            if weight is not None and isinstance(regressor, nn.Identity):
                self.regressors[k] = regressor_from_weight(weight)


class FSPLoss(FeatureLoss):
    """The flow of the solution procedure (Yim et al. 2017): what happens *between* two layers, in both networks alike.

    Layers of a pair must have equally many maps; sides may differ. The paper trains in two stages, first on
    :func:`fsp_loss` alone, then on the task. As with :class:`HintLoss`, both are learnt at once with ``logits_loss``.

    Args:
        layers: pairs of a layer of the teacher and one of the student, in the order of the networks, two or more;
            each flow goes from one pair to the next.
        weight: of the flows.
        logits_loss: what is added to them, such as ``KnowledgeDistillationLoss``.
    """

    fewest_pairs: ClassVar[int] = 2

    def fit(self, student_shapes: Sequence[Shape], teacher_shapes: Sequence[Shape]) -> None:
        """Check that the layers of each pair give equally many maps.

        Raises:
            ConfigurationError: they do not, or are no maps.
        """
        for names, student, teacher in self._pairs(student_shapes, teacher_shapes):
            if len(student) != 3 or len(teacher) != 3 or student[0] != teacher[0]:
                raise ConfigurationError(
                    f"model.loss.layers, {names}: FSP needs maps (C, H, W), and equally many of teacher and student, "
                    f"got {teacher} and {student}: name other layers"
                )

    def match(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """Return the weighted :func:`fsp_loss`."""
        return self.weight * fsp_loss(student_features, teacher_features)
