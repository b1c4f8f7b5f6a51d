"""Models as ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier

from ganmc_lightning.exceptions import ConfigurationError
from ganmc_lightning.io.atomic import atomic_write
from ganmc_lightning.tabular.export.arrays import FORESTS, TREES, round_down
from ganmc_lightning.tabular.export.target import writing
from ganmc_lightning.tabular.export.verification import Answers, answers_of, check_fitted, labels_differ, verify
from ganmc_lightning.tabular.profiling import trees_of
from ganmc_lightning.tabular.student import StudentClassifier

INPUT, LABEL, PROBABILITIES = "X", "label", "probabilities"
_ANSWER = "variable"
"""What skl2onnx calls the output of a regressor."""
PACKAGES = ("skl2onnx", "onnxruntime")
"""What writes an ONNX file, and what runs it to compare its answers."""
ROUNDINGS = 8
"""Roundings to float32 besides those of a sum over trees: of leaves, shares and the answer."""
OTHER_TOLERANCE = 1e-4
"""How far values of models that are no trees may differ, whose sums in float32 are not known here."""


def to_onnx(model: Any, path: Path | str, X: ArrayLike | None = None) -> Path:
    """Write a fitted model as an ONNX file; needs skl2onnx and onnxruntime.

    The input ``X`` is float32 (N, D). A classifier has the outputs ``label`` (N,) and ``probabilities`` (N, K) float32,
    a regressor ``variable``. Thresholds are rounded so that a row takes scikit-learn's way through each tree, and NaN
    goes the way it goes there.

    Before it is written, the file is run and compared with the model on rows on and beside its thresholds, with NaN
    and infinities where the model accepts them. ONNX sums in float32: values may differ by the rounding, and where two
    classes tie, or all but tie, the label may be the other one. Such labels are counted on X.

    Args:
        model: a :class:`~ganmc_lightning.tabular.StudentClassifier`, or a classifier or regressor of scikit-learn that
            skl2onnx knows.
        path: the file to write.
        X: rows (N, D) to count labels on that differ from scikit-learn's, the training rows for instance; a warning
            says how many do.

    Returns:
        The file.

    Raises:
        ConfigurationError: a package is not installed, skl2onnx does not know the model, it is not fitted, or the
            file would answer otherwise than the model or cannot be written.
    """
    path = Path(path)
    check_packages()
    check_fitted(model)
    if X is not None:
        _checked(X, model)
    made = _convert(model)
    trees = trees_of(model) or []
    if trees:
        _take_same_ways(made.graph, trees)
    content = made.SerializeToString()
    tolerance = float(np.finfo(np.float32).eps) * (len(trees) + ROUNDINGS) if _is_mean(model) else OTHER_TOLERANCE
    verify(path, model, _runner(content, path), tolerance, ties=True)
    with writing(path), atomic_write(path, "wb") as file:
        file.write(content)
    if X is not None and (flips := label_flips(model, path, X)):
        warnings.warn(
            f"{path}: the label differs from scikit-learn's in {flips} of {len(_checked(X, model))} rows of X: ONNX "
            "computes in float32, where classes that tie may no longer tie",
            stacklevel=2,
        )
    return path


def label_flips(model: Any, path: Path | str, X: ArrayLike) -> int:
    """Count the rows whose label from an ONNX file differs from the model's.

    Args:
        model: a fitted classifier; for a regressor the count is 0.
        path: the file that :func:`to_onnx` wrote of it.
        X: rows (N, D).

    Raises:
        ConfigurationError: onnxruntime is not installed, or the file or the rows cannot be used.
    """
    path = Path(path)
    check_packages()
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file: check the name and the folder")
    rows = _checked(X, model)
    expected = answers_of(model, X).labels
    made = _runner(path.read_bytes(), path)(rows).labels
    return 0 if expected is None or made is None else int(labels_differ(expected, made).sum())


def check_packages() -> None:
    """Make sure that ONNX files can be written and run.

    Raises:
        ConfigurationError: a package is missing.
    """
    for package in PACKAGES:
        if find_spec(package) is None:
            raise ConfigurationError(f'ONNX needs {package}: pip install "ganmc-lightning[export]"')


def _checked(X: ArrayLike, model: Any) -> NDArray[np.float32]:
    rows = np.asarray(X, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != model.n_features_in_:
        raise ConfigurationError(f"X has shape {rows.shape}: rows must be (N, {model.n_features_in_})")
    return rows


def _convert(model: Any) -> Any:
    import skl2onnx

    student = isinstance(model, StudentClassifier)
    inner = model.regressor if student else model
    options = {id(inner): {"zipmap": False}} if is_classifier(inner) else None
    try:
        rows = np.zeros((1, inner.n_features_in_), dtype=np.float32)
        made = skl2onnx.to_onnx(inner, rows, options=options)
    except Exception as error:  # skl2onnx has exceptions of many kinds for models it does not know
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"{type(inner).__name__} cannot be written as ONNX: {reason}") from error
    if student:
        _answer_as_classifier(made.graph, model.classes_)
    elif not is_classifier(model):  # skl2onnx declares one column, whatever the number of outputs
        columns = np.asarray(answers_of(model, rows).values).shape[1]
        made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = columns
    return made


def _is_mean(model: Any) -> bool:
    """Whether the answer is a mean over trees, whose sum in float32 errs by so many roundings at most."""
    inner = model.regressor if isinstance(model, StudentClassifier) else model
    return isinstance(inner, FORESTS + TREES)


def _take_same_ways(graph: Any, trees: Sequence[Any]) -> None:
    """Round thresholds down, and send NaN where scikit-learn sends it, which skl2onnx does for some models alone.

    Its ensembles hold the trees in their order; where they hold others, they are left as they are.
    """
    start = 0
    for node in graph.node:
        held = {attribute.name: attribute for attribute in node.attribute}
        if "nodes_missing_value_tracks_true" not in held:
            continue
        numbers, nodes, features = (
            np.array(held[f"nodes_{name}"].ints, dtype=np.int64) for name in ("treeids", "nodeids", "featureids")
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
        held["nodes_missing_value_tracks_true"].ints[:] = np.where(inner, missing_left, 0).tolist()
        held["nodes_values"].floats[:] = np.where(inner, thresholds, np.float32(0)).tolist()


def _runner(content: bytes, path: Path) -> Callable[[NDArray[np.float32]], Answers]:
    """What runs an ONNX file that :func:`to_onnx` made."""
    import onnxruntime  # type: ignore[import-untyped]

    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a type of its own for each kind of failure
        raise ConfigurationError(f"{path} cannot be run as ONNX: {' '.join(str(error).split())[:200]}") from error
    names = [output.name for output in session.get_outputs()]

    def predict(rows: NDArray[np.float32]) -> Answers:
        try:
            made = dict(zip(names, session.run(None, {INPUT: rows}), strict=True))
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigurationError(f"{path} cannot be run on rows of shape {rows.shape}: {reason}") from error
        if LABEL not in made:
            return Answers(None, made[_ANSWER].astype(np.float64).reshape(len(rows), -1))
        values = made[PROBABILITIES].astype(np.float64)
        return Answers(made[LABEL], np.concatenate(values, axis=1) if values.ndim == 3 else values)

    return predict


def _answer_as_classifier(graph: Any, classes: NDArray[Any]) -> None:
    """Put :func:`~ganmc_lightning.tabular.student.to_probabilities` and the choice of a class behind a regressor."""
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
