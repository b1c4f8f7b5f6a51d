"""A fitted tree or forest as plain C: arrays of nodes and one loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ganmc_lightning.errors import InputError
from ganmc_lightning.files.atomic import replacing
from ganmc_lightning.forests.cost import trees_of
from ganmc_lightning.forests.student import StudentClassifier

FORESTS = (RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor)
TREES = (DecisionTreeClassifier, DecisionTreeRegressor)

HEADER = """\
/* {kind}, {trees} trees, {nodes} nodes. Written by ganmc_lightning. */
#ifndef {guard}
#define {guard}
#include <stddef.h>
#ifdef __cplusplus
extern "C" {{
#endif
extern const int {name}_features; /* {features} values a row */
extern const int {name}_outputs;  /* {outputs} {what} */
/* Answer n rows, one behind the other, into out (n * outputs). Rows must hold no NaN. */
void {name}_predict(const float *rows, size_t n, double *out);
#ifdef __cplusplus
}}
#endif
#endif
"""

SOURCE_HEAD = """\
#include "{name}.h"
#include <stdint.h>

const int {name}_features = {features};
const int {name}_outputs = {outputs};

/* A row goes left where its value is at most the threshold. A leaf has feature -1, and left numbers its values. */
typedef struct {{ float threshold; int32_t feature, left, right; }} node_t;

"""

SOURCE_TAIL = """\
#define BLOCK 4096 /* rows that go down one tree after the other, while both lie in the cache */

static void finish(double *out)
{{
{finish}}}

void {name}_predict(const float *rows, size_t n, double *out)
{{
    for (size_t i = 0; i < n * {outputs}; i++)
        out[i] = 0;
    for (size_t start = 0; start < n; start += BLOCK) {{
        const size_t end = n - start < BLOCK ? n : start + BLOCK;
        for (int tree = 0; tree < {trees}; tree++)
            for (size_t i = start; i < end; i++) {{
                const float *row = rows + i * {features};
                const node_t *node = nodes + roots[tree];
                while (node->feature >= 0)
                    node = nodes + (row[node->feature] <= node->threshold ? node->left : node->right);
                for (int k = 0; k < {values}; k++)
                    out[i * {outputs} + k] += leaves[(size_t)node->left * {values} + k];
            }}
        for (size_t i = start; i < end; i++)
            finish(out + i * {outputs});
    }}
}}
"""

PLAIN = """\
    for (int k = 0; k < {values}; k++)
        out[k] /= {trees};
"""
# What forests.student.to_probabilities does.
TWO_CLASSES = """\
    const double p = out[0] / {trees};
    out[1] = p < 0 ? 0 : p > 1 ? 1 : p;
    out[0] = 1 - out[1];
"""
MORE_CLASSES = """\
    double total = 0;
    for (int k = 0; k < {values}; k++) {{
        const double p = out[k] / {trees};
        out[k] = p < 0 ? 0 : p > 1 ? 1 : p;
        total += out[k];
    }}
    for (int k = 0; k < {values}; k++)
        out[k] = total > 0 ? out[k] / total : 1.0 / {values};
"""


@dataclass(frozen=True)
class Arrays:
    """All trees of a model behind one another.

    Attributes:
        thresholds: float32 (nodes,), rounded down.
        features: int (nodes,), -1 for a leaf.
        left: int (nodes,), the left child, or the number of a leaf's values.
        right: int (nodes,), the right child.
        roots: int (trees,), where each tree begins.
        leaves: float64 (leaves, values).
    """

    thresholds: NDArray[np.float32]
    features: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    roots: NDArray[np.int64]
    leaves: NDArray[np.float64]


def to_c(model: Any, folder: Path, name: str = "model") -> Path:
    """Write a fitted model as ``<name>.c`` and ``<name>.h``: C99 without any library.

    Its answers are scikit-learn's: thresholds are compared as scikit-learn compares them, with rows in float32, and
    sums are made in the same order. A classifier answers with its probabilities, a regressor with its values.

    Args:
        model: a :class:`~ganmc_lightning.forests.StudentClassifier`, or scikit-learn's decision tree, random forest or
            extra trees.
        folder: where to write; made if need be.
        name: of the files, and what the names in them begin with.

    Returns:
        The ``.c`` file.

    Raises:
        InputError: the model is none of these, or ``name`` is no name in C.
    """
    if not (name.isidentifier() and name.isascii()):
        raise InputError(f"name: {name!r} is no name in C: use letters, digits and '_'")
    student = isinstance(model, StudentClassifier)
    inner = model.regressor if student else model
    if not isinstance(inner, FORESTS + TREES):
        raise InputError(
            f"{type(inner).__name__} cannot be written as C: a decision tree, a random forest or extra trees can"
        )
    if is_classifier(inner) and inner.n_outputs_ > 1:
        raise InputError(
            f"{type(inner).__name__} has {inner.n_outputs_} outputs: one classifier an output can be written"
        )
    arrays = flatten(trees_of(inner) or [])
    values = arrays.leaves.shape[1]
    outputs = 2 if student and values == 1 else values
    finish = PLAIN if not student else TWO_CLASSES if values == 1 else MORE_CLASSES
    words = {
        "name": name,
        "guard": f"{name.upper()}_H",
        "kind": type(inner).__name__,
        "what": "probabilities" if is_classifier(model) else "values",
        "features": inner.n_features_in_,
        "trees": len(arrays.roots),
        "nodes": len(arrays.features),
        "values": values,
        "outputs": outputs,
        "finish": finish.format(values=values, trees=len(arrays.roots)),
    }
    with replacing(folder / f"{name}.h") as file:
        file.write(HEADER.format(**words))
    with replacing(folder / f"{name}.c") as file:
        file.write(SOURCE_HEAD.format(**words))
        file.writelines(_tables(arrays))
        file.write(SOURCE_TAIL.format(**words))
    return folder / f"{name}.c"


def flatten(trees: Iterable[Any]) -> Arrays:
    """Put fitted trees into common arrays."""
    parts: list[tuple[NDArray[Any], ...]] = []
    roots, nodes, leaves = [], 0, 0
    for estimator in trees:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        number = leaves + np.cumsum(leaf) - 1
        values = tree.value.transpose(0, 2, 1).reshape(tree.node_count, -1)  # one output of K classes, or K outputs
        parts.append(
            (
                np.where(leaf, np.float32(0), round_down(tree.threshold)),
                np.where(leaf, -1, tree.feature),
                np.where(leaf, number, tree.children_left + nodes),
                np.where(leaf, 0, tree.children_right + nodes),
                values[leaf],
            )
        )
        roots.append(nodes)
        nodes += tree.node_count
        leaves += int(leaf.sum())
    thresholds, features, left, right, held = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Arrays(thresholds, features, left, right, np.asarray(roots), held)


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each threshold.

    scikit-learn compares float32 values with float64 thresholds; ``x <= threshold`` is ``x <= round_down(threshold)``
    for every float32 x. Rounded to the nearest, a threshold may pass a value that lies between the two.

    Example:
        >>> value, threshold = np.float32(0.1), np.array([0.1])
        >>> bool(value > threshold), bool(value > threshold.astype(np.float32)), bool(value > round_down(threshold))
        (True, False, True)
    """
    nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _tables(arrays: Arrays) -> Iterator[str]:
    yield f"static const node_t nodes[{len(arrays.features)}] = {{\n"
    columns = (arrays.thresholds.tolist(), arrays.features.tolist(), arrays.left.tolist(), arrays.right.tolist())
    for threshold, feature, left, right in zip(*columns, strict=True):
        yield f"{{{threshold.hex()}f,{feature},{left},{right}}},\n"  # hexadecimal: exact, and quick to read
    yield f"}};\n\nstatic const double leaves[{arrays.leaves.size}] = {{\n"
    for value in arrays.leaves.ravel().tolist():
        yield f"{value.hex()},\n"
    yield f"}};\n\nstatic const int32_t roots[{len(arrays.roots)}] = {{\n"
    yield ",".join(map(str, arrays.roots.tolist()))
    yield "\n};\n\n"
