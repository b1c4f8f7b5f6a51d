"""What a card is made from: outputs and costs of each classifier, and exported files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from torch import Tensor

Role = Literal["teacher", "student", "baseline"]


class ClassifierResult(NamedTuple):
    """Outputs and costs of a classifier.

    Attributes:
        name: unique name on the page.
        role: ``"teacher"``, ``"student"``, or ``"baseline"`` for a classifier that the student should beat, such as
            the student's network trained on labels only.
        logits: logits of the test samples, float (N, K).
        parameters: number of parameters.
        flops: floating-point operations of one forward pass on one sample; None if unknown.
        bytes: size of the weights in a file; None if unknown.
        latency: batch size -> seconds per call; empty if not measured.
        val_logits: logits of validation samples, float (M, K), to which the temperature is fitted; None without
            temperature scaling (default).
        val_labels: int64 (M,), labels of the validation samples; required with ``val_logits``.
    """

    name: str
    role: Role
    logits: Tensor
    parameters: int
    flops: int | None = None
    bytes: int | None = None
    latency: Mapping[int, float] = {}
    val_logits: Tensor | None = None
    val_labels: Tensor | None = None


class CardFile(NamedTuple):
    """An exported file of the student.

    Attributes:
        name: file name.
        format: format, such as ``"onnx"``.
        bytes: size.
        max_difference: largest absolute difference of its outputs from those of the network; None if not compared.
        latency: batch size -> seconds per call; empty if not measured.
    """

    name: str
    format: str
    bytes: int
    max_difference: float | None = None
    latency: Mapping[int, float] = {}
