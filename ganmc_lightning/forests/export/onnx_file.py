"""Models as ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from ganmc_lightning.errors import InputError
from ganmc_lightning.files.atomic import replacing
from ganmc_lightning.forests.student import StudentClassifier

INPUT, LABEL, PROBABILITIES = "X", "label", "probabilities"
_ANSWER = "variable"
"""What skl2onnx calls the output of a regressor."""


def to_onnx(model: Any, path: Path) -> Path:
    """Write a fitted model as an ONNX file; needs skl2onnx.

    The input ``X`` is float32 (N, D). A classifier has the outputs ``label`` (N,) and ``probabilities`` (N, K) float32,
    a regressor ``variable``. Thresholds are rounded so that a row takes scikit-learn's way through each tree.

    Args:
        model: a :class:`~ganmc_lightning.forests.StudentClassifier`, or what skl2onnx knows of scikit-learn.
        path: the file to write.

    Returns:
        The file.

    Raises:
        InputError: skl2onnx is not installed, or does not know the model.
    """
    try:
        import skl2onnx
    except ImportError as error:
        raise InputError('ONNX needs skl2onnx: pip install "ganmc-lightning[export]"') from error
    student = isinstance(model, StudentClassifier)
    inner = model.regressor if student else model
    options = {id(inner): {"zipmap": False}} if is_classifier(inner) else None
    try:
        rows = np.zeros((1, inner.n_features_in_), dtype=np.float32)
        made = skl2onnx.to_onnx(inner, rows, options=options)
    except Exception as error:  # skl2onnx has exceptions of many kinds for models it does not know
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{type(inner).__name__} cannot be written as ONNX: {reason}") from error
    if student:
        _answer_as_classifier(made.graph, model.classes_)
    with replacing(path, "wb") as file:
        file.write(made.SerializeToString())
    return path


def _answer_as_classifier(graph: Any, classes: NDArray[Any]) -> None:
    """Put :func:`~ganmc_lightning.forests.student.to_probabilities` and the choice of a class behind a regressor."""
    from onnx import TensorProto, helper, numpy_helper

    count = len(classes)
    constants: dict[str, Any] = {
        "zero": np.float32(0),
        "one": np.float32(1),
        "classes": _class_constant(classes),
    }
    nodes: list[tuple[str, list[str], str, dict[str, Any]]] = [("Clip", [_ANSWER, "zero", "one"], "clipped", {})]
    if count == 2:
        nodes += [
            ("Sub", ["one", "clipped"], "other", {}),
            ("Concat", ["other", "clipped"], PROBABILITIES, {"axis": 1}),
        ]
    else:
        constants["columns"] = np.array([1], dtype=np.int64)
        constants["share"] = np.full((1, count), 1 / count, dtype=np.float32)
        nodes += [
            ("ReduceSum", ["clipped", "columns"], "total", {"keepdims": 1}),
            ("Greater", ["total", "zero"], "any", {}),
            ("Div", ["clipped", "total"], "shares", {}),
            ("Where", ["any", "shares", "share"], PROBABILITIES, {}),
        ]
    nodes += [
        ("ArgMax", [PROBABILITIES], "likeliest", {"axis": 1, "keepdims": 0}),
        ("Gather", ["classes", "likeliest"], LABEL, {}),
    ]
    graph.node.extend(helper.make_node(kind, inputs, [output], **extra) for kind, inputs, output, extra in nodes)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    label = helper.np_dtype_to_tensor_dtype(constants["classes"].dtype)
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info(LABEL, label, [None]),
            helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, [None, count]),
        ]
    )


def _class_constant(classes: NDArray[Any]) -> NDArray[Any]:
    """The classes in one of the types ONNX has labels in: whole numbers, floats or strings."""
    if classes.dtype.kind in "iub":
        return classes.astype(np.int64)
    return classes.astype(np.float32) if classes.dtype.kind == "f" else classes.astype(str).astype(object)
