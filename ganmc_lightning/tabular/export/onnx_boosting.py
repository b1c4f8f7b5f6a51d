"""ONNX graphs of boosted trees.

skl2onnx 1.20 converts thresholds of categorical splits as numbers, and fails with the node arrays of scikit-learn 1.9.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmc_lightning.tabular.export.arrays import round_down
from ganmc_lightning.tabular.export.ensemble import FlatEnsemble, is_text

OPSET, TREES_OPSET, IR_VERSION = 17, 1, 8
"""Versions that onnxruntime 1.20 reads."""


def boosting_graph(ensemble: FlatEnsemble, source: str, sums: str) -> Any:
    """Return an ONNX model that computes the sums before the link function in float32.

    A split by categories compares a column with 0.5 that is 1 where the category takes the right child.

    Args:
        ensemble: trees.
        source: name of the input, float32 (N, D).
        sums: name of the output, float32 (N, K).
    """
    from onnx import TensorProto, helper

    builder = _Builder(source)
    features = builder.add_category_columns(ensemble)
    builder.add("TreeEnsembleRegressor", [builder.rows], sums, domain="ai.onnx.ml", **_trees(ensemble, features))
    graph = helper.make_graph(
        builder.nodes,
        "boosting",
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, [None, ensemble.n_features])],
        [helper.make_tensor_value_info(sums, TensorProto.FLOAT, [None, len(ensemble.baseline)])],
        builder.constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def add_link(graph: Any, link: str, sums: str, probabilities: str, class_index: str) -> None:
    """Append the probabilities and the class index to a graph of :func:`boosting_graph`.

    Args:
        graph: graph of the sums.
        link: ``"sigmoid"`` or ``"softmax"``.
        sums: name of the sums.
        probabilities: name of the probabilities (N, classes).
        class_index: name of the class index (N,): of the largest sum.
    """
    from onnx import helper, numpy_helper

    def add(kind: str, inputs: list[str], output: str, **fields: Any) -> None:
        graph.node.append(helper.make_node(kind, inputs, [output], **fields))

    if link == "softmax":
        add("Softmax", [sums], probabilities, axis=1)
        add("ArgMax", [sums], class_index, axis=1, keepdims=0)
        return
    for name, value in (("nothing", np.float32(0)), ("whole", np.float32(1)), ("one_column", np.array([1]))):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    add("Sigmoid", [sums], "second")
    add("Sub", ["whole", "second"], "first")
    add("Concat", ["first", "second"], probabilities, axis=1)
    add("Greater", [sums, "nothing"], "positive")
    add("Squeeze", ["positive", "one_column"], "positive_row")
    add("Cast", ["positive_row"], class_index, to=_int64())


class _Builder:
    def __init__(self, rows: str) -> None:
        self.rows = rows
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: list[str], output: str, **fields: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **fields))
        return output

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def add_category_columns(self, ensemble: FlatEnsemble) -> NDArray[np.int64]:
        """Append a column per split by categories to the rows, and return the column of each node."""
        features = ensemble.features.copy()
        blocks, count = [self.rows], ensemble.n_features
        for column in sorted(set(ensemble.features[ensemble.subsets >= 0].tolist())):
            nodes = np.flatnonzero((ensemble.features == column) & (ensemble.subsets >= 0))
            features[nodes] = count + np.arange(len(nodes))
            count += len(nodes)
            blocks.append(self._right_of(ensemble, column, nodes))
        if len(blocks) > 1:
            self.rows = self.add("Concat", blocks, "rows_and_categories", axis=1)
        return features

    def _right_of(self, ensemble: FlatEnsemble, column: int, nodes: NDArray[np.int64]) -> str:
        """Compute (N, nodes): 1 where the category of a column takes the right child, else 0."""
        values = ensemble.categories[column]
        numbers = np.arange(len(values)) if is_text(values) else values
        right = ~ensemble.goes_left[ensemble.subsets[nodes], : len(values)].T
        unknown = ~ensemble.missing_left[nodes][None]
        at = self.constant(f"column_{column}", np.array([column]))
        known = self.constant(f"categories_{column}", numbers.astype(np.float32)[None])
        change = self.constant(f"change_{column}", right.astype(np.float32) - unknown.astype(np.float32))
        otherwise = self.constant(f"unknown_{column}", unknown.astype(np.float32))
        value = self.add("Gather", [self.rows, at], f"value_{column}", axis=1)
        equal = self.add("Equal", [value, known], f"equal_{column}")  # NaN and unknown categories equal none
        one_hot = self.add("Cast", [equal], f"one_hot_{column}", to=_float32())
        changed = self.add("MatMul", [one_hot, change], f"changed_{column}")
        return self.add("Add", [changed, otherwise], f"right_{column}")


def _trees(ensemble: FlatEnsemble, features: NDArray[np.int64]) -> dict[str, Any]:
    """Return the attributes of the ONNX operator, which numbers nodes within each tree."""
    thresholds = np.where(ensemble.subsets >= 0, np.float32(0.5), round_down(ensemble.thresholds))
    fields: dict[str, list[Any]] = {name: [] for name in _NODE_FIELDS}
    targets: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for tree, root in enumerate(ensemble.roots.tolist()):
        order = _order(ensemble, root)
        number = {node: at for at, node in enumerate(order)}
        for at, node in enumerate(order):
            inner = node >= 0
            row = (
                tree,
                at,
                int(features[node]) if inner else 0,
                float(thresholds[node]) if inner else 0.0,
                "BRANCH_LEQ" if inner else "LEAF",
                number[int(ensemble.left[node])] if inner else 0,
                number[int(ensemble.right[node])] if inner else 0,
                int(ensemble.missing_left[node]) if inner else 0,
            )
            for name, value in zip(_NODE_FIELDS, row, strict=True):
                fields[name].append(value)
            if not inner:
                weight = float(ensemble.leaves[~node, 0])
                leaf = (tree, at, int(ensemble.outputs[tree]), weight)
                for name, value in zip(targets, leaf, strict=True):
                    targets[name].append(value)
    return (
        {f"nodes_{name}": values for name, values in fields.items()}
        | {f"target_{name}": values for name, values in targets.items()}
        | {"n_targets": len(ensemble.baseline), "base_values": ensemble.baseline.tolist()}
    )


_NODE_FIELDS = (
    "treeids",
    "nodeids",
    "featureids",
    "values",
    "modes",
    "truenodeids",
    "falsenodeids",
    "missing_value_tracks_true",
)


def _order(ensemble: FlatEnsemble, root: int) -> list[int]:
    """Return the nodes of a tree, the root first; leaves are negative."""
    found, pending = [], [root]
    while pending:
        node = pending.pop()
        found.append(node)
        if node >= 0:
            pending += [int(ensemble.right[node]), int(ensemble.left[node])]
    return found


def _float32() -> int:
    from onnx import TensorProto

    return int(TensorProto.FLOAT)


def _int64() -> int:
    from onnx import TensorProto

    return int(TensorProto.INT64)
