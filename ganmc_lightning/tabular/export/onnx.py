"""Export of models as ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier

from ganmc_lightning.exceptions import ConfigurationError, one_line
from ganmc_lightning.io.dependencies import check_packages
from ganmc_lightning.tabular.export.arrays import FORESTS, TREES, round_down
from ganmc_lightning.tabular.export.boosting import (
    check_link,
    clips_values,
    encode_samples,
    flatten_boosting,
    inner_model,
    is_boosting,
)
from ganmc_lightning.tabular.export.dependencies import ONNX_PACKAGES
from ganmc_lightning.tabular.export.onnx_boosting import add_link, boosting_graph
from ganmc_lightning.tabular.export.target import to_samples, write_bytes
from ganmc_lightning.tabular.export.verification import (
    Predictions,
    check_fitted,
    labels_differ,
    predict_with,
    verify,
)
from ganmc_lightning.tabular.profiling import trees_of

INPUT, LABEL, PROBABILITIES = "X", "label", "probabilities"
_VALUES = "variable"
"""Name that skl2onnx gives to the output of a regressor."""
_CLASS_INDEX = "likeliest"
ROUNDINGS = 8
"""float32 roundings in addition to those of the sum over trees: of leaves, shares and the result."""
OTHER_TOLERANCE = 1e-4
"""Largest difference of values for models other than trees, whose float32 rounding error has no simple bound."""


def to_onnx(model: Any, path: Path | str, X: ArrayLike | None = None) -> Path:
    """Write a fitted model as an ONNX file; requires skl2onnx and onnxruntime.

    The input ``X`` is float32 (N, D). A classifier has the outputs ``label`` (N,) and ``probabilities`` (N, K) float32,
    a regressor ``variable``. Thresholds are rounded so that every sample and NaN take the branches of scikit-learn.

    Before writing, the file is run and compared with the model on samples on and next to its thresholds, with NaN and
    infinities where the model accepts them. ONNX sums in float32: values may differ by rounding, and labels of
    (nearly) tied classes may differ. A float64 feature at a threshold of boosting may take the other branch. Labels
    that differ are counted on X. Text categories of boosting are given as codes, as
    :func:`~ganmc_lightning.tabular.export.encode_samples` returns them.

    Args:
        model: a :class:`~ganmc_lightning.tabular.StudentClassifier`, histogram gradient boosting, or another
            scikit-learn classifier or regressor that skl2onnx supports.
        path: output file.
        X: samples (N, D), such as the training samples, to count differing labels on; a warning reports the count
            (default: None).

    Returns:
        Path of the file.

    Raises:
        ConfigurationError: a package is not installed, skl2onnx does not support the model, the predictions of the
            file differ from the model's, or the file cannot be written.
        NotFittedError: the model is not fitted.
    """
    path = Path(path)
    check_packages(ONNX_PACKAGES)
    check_fitted(model)
    if X is not None:
        to_samples(encode_samples(model, X), model.n_features_in_)
    proto, tolerance = _convert_boosting(model) if is_boosting(model) else _convert(model)
    content = proto.SerializeToString()
    verify(path, model, _predictor(content, path), tolerance, ties=True, dtype=np.float32)
    write_bytes(path, content)
    if X is not None and (count := count_label_differences(model, path, X)):
        warnings.warn(
            f"{path}: the label differs from scikit-learn's for {count} of {len(np.asarray(X))} samples, because "
            "ONNX computes in float32",
            stacklevel=2,
        )
    return path


def count_label_differences(model: Any, path: Path | str, X: ArrayLike) -> int:
    """Count the samples whose label from an ONNX file differs from the model's.

    Args:
        model: fitted classifier; for a regressor the count is 0.
        path: output of :func:`to_onnx` for the model.
        X: samples (N, D).

    Raises:
        ConfigurationError: onnxruntime is not installed, or the file or the samples cannot be used.
    """
    path = Path(path)
    check_packages(ONNX_PACKAGES)
    if not path.is_file():
        raise ConfigurationError(f"{path}: file not found")
    samples = to_samples(encode_samples(model, X), model.n_features_in_)
    expected = predict_with(model, X).labels
    actual = _predictor(path.read_bytes(), path)(samples).labels
    return 0 if expected is None or actual is None else int(labels_differ(expected, actual).sum())


def _convert_boosting(model: Any) -> tuple[Any, float]:
    """Return the ONNX model of histogram gradient boosting and the largest relative difference of its values."""
    check_link(model)
    ensemble = flatten_boosting(model)
    proto = boosting_graph(ensemble, INPUT, _VALUES)
    # a class is predicted from values of any size, and a partial sum may exceed the sum
    size = 4.0
    if is_classifier(model):
        size = max(1.0, float(np.abs(ensemble.baseline).max() + len(ensemble.roots) * np.abs(ensemble.leaves).max()))
    if clips_values(model):
        _add_classifier_head(proto.graph, model.classes_)
    elif is_classifier(model):
        add_link(proto.graph, ensemble.link, _VALUES, PROBABILITIES, _CLASS_INDEX)
        _add_labels(proto.graph, _class_constant(model.classes_))
    return proto, float(np.finfo(np.float32).eps) * (len(ensemble.roots) + ROUNDINGS) * size


def _convert(model: Any) -> tuple[Any, float]:
    """Return the ONNX model of skl2onnx and the largest relative difference of its values."""
    import skl2onnx

    inner = inner_model(model)
    options = {id(inner): {"zipmap": False}} if is_classifier(inner) else None
    try:
        sample = np.zeros((1, inner.n_features_in_), dtype=np.float32)
        proto = skl2onnx.to_onnx(inner, sample, options=options)
    except Exception as error:  # skl2onnx raises exceptions of many types for models it does not support
        kind = type(inner).__name__
        raise ConfigurationError(
            f"model: {kind} cannot be converted to ONNX by skl2onnx, which supports models of scikit-learn "
            f"({one_line(error)[:200]})"
        ) from error
    if clips_values(model):
        _add_classifier_head(proto.graph, model.classes_)
    elif model is not inner:
        _replace_labels(proto.graph, model.classes_)
    elif not is_classifier(model):  # skl2onnx declares one column for any number of outputs
        columns = np.asarray(predict_with(model, sample).values).shape[1]
        proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = columns
    trees = trees_of(model) or []
    if trees:
        _match_branches(proto.graph, trees)
    return proto, float(np.finfo(np.float32).eps) * (len(trees) + ROUNDINGS) if _is_mean(model) else OTHER_TOLERANCE


def _is_mean(model: Any) -> bool:
    """Return whether the model predicts a mean over trees, which bounds the float32 rounding error of its sum."""
    return isinstance(inner_model(model), FORESTS + TREES)


def _match_branches(graph: Any, trees: Sequence[Any]) -> None:
    """Round thresholds down and set the branch of NaN as in scikit-learn; skl2onnx does so only for some models.

    The ensembles in the graph contain the trees in order; ensembles of other trees are not changed.
    """
    start = 0
    for node in graph.node:
        fields = {attribute.name: attribute for attribute in node.attribute}
        if "nodes_missing_value_tracks_true" not in fields:
            continue
        numbers, nodes, features = (
            np.array(fields[f"nodes_{name}"].ints, dtype=np.int64) for name in ("treeids", "nodeids", "featureids")
        )
        own = [tree.tree_ for tree in trees[start : start + int(numbers.max()) + 1]]
        start += len(own)
        offsets = np.cumsum([0, *(tree.node_count for tree in own)])
        if len(own) <= numbers.max() or offsets[-1] != len(nodes):
            continue
        at = offsets[numbers] + nodes
        inner = np.concatenate([tree.children_left >= 0 for tree in own])[at]
        if (np.concatenate([tree.feature for tree in own])[at] != features)[inner].any():
            continue
        missing_left = np.concatenate([tree.missing_go_to_left for tree in own])[at].astype(int)
        thresholds = np.concatenate([round_down(tree.threshold) for tree in own])[at]
        fields["nodes_missing_value_tracks_true"].ints[:] = np.where(inner, missing_left, 0).tolist()
        fields["nodes_values"].floats[:] = np.where(inner, thresholds, np.float32(0)).tolist()


def _predictor(content: bytes, path: Path) -> Callable[[NDArray[np.float32]], Predictions]:
    """Return a function that predicts with an ONNX file of :func:`to_onnx`."""
    import onnxruntime  # type: ignore[import-untyped]

    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a type for each kind of failure
        raise ConfigurationError(f"{path}: cannot be run as ONNX: {one_line(error)}") from error
    names = [output.name for output in session.get_outputs()]

    def predict(X: NDArray[np.float32]) -> Predictions:
        try:
            outputs = dict(zip(names, session.run(None, {INPUT: X}), strict=True))
        except Exception as error:
            reason = one_line(error)
            raise ConfigurationError(f"{path}: cannot be run on samples of shape {X.shape}: {reason}") from error
        if LABEL not in outputs:
            return Predictions(None, outputs[_VALUES].astype(np.float64).reshape(len(X), -1))
        values = outputs[PROBABILITIES].astype(np.float64)
        return Predictions(outputs[LABEL], np.concatenate(values, axis=1) if values.ndim == 3 else values)

    return predict


def _add_classifier_head(graph: Any, classes: NDArray[Any]) -> None:
    """Append :func:`~ganmc_lightning.tabular.student.to_probabilities` and the argmax to the graph of a regressor."""
    from onnx import helper, numpy_helper

    count = len(classes)
    constants: dict[str, Any] = {"zero": np.float32(0), "one": np.float32(1)}
    nodes: list[tuple[str, list[str], str, dict[str, Any]]] = [("Clip", [_VALUES, "zero", "one"], "clipped", {})]
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
    nodes.append(("ArgMax", [PROBABILITIES], _CLASS_INDEX, {"axis": 1, "keepdims": 0}))
    graph.node.extend(helper.make_node(kind, inputs, [output], **extra) for kind, inputs, output, extra in nodes)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items())
    _add_labels(graph, _class_constant(classes))


def _replace_labels(graph: Any, classes: NDArray[Any]) -> None:
    """Replace the labels of a classifier inside a student, which are integers, by the student's classes."""
    from onnx import helper

    for node in graph.node:
        node.output[:] = ["code" if name == LABEL else name for name in node.output]
        node.input[:] = ["code" if name == LABEL else name for name in node.input]
    graph.node.append(helper.make_node("ArgMax", [PROBABILITIES], [_CLASS_INDEX], axis=1, keepdims=0))
    _add_labels(graph, _class_constant(classes))


def _add_labels(graph: Any, classes: NDArray[Any]) -> None:
    """Append the label of the class index, and declare labels and probabilities as the outputs of the graph."""
    from onnx import TensorProto, helper, numpy_helper

    graph.initializer.append(numpy_helper.from_array(classes, "classes"))
    graph.node.append(helper.make_node("Gather", ["classes", _CLASS_INDEX], [LABEL]))
    label = helper.np_dtype_to_tensor_dtype(classes.dtype)
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info(LABEL, label, [None]),
            helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, [None, len(classes)]),
        ]
    )


def _class_constant(classes: NDArray[Any]) -> NDArray[Any]:
    """Convert the classes to a label type of ONNX: int64, float32 or strings."""
    if classes.dtype.kind in "iub":
        return classes.astype(np.int64)
    return classes.astype(np.float32) if classes.dtype.kind == "f" else classes.astype(str).astype(object)
