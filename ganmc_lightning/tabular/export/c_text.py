"""Templates of the C files of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ganmc_lightning.tabular.export.arrays import FlatTrees
from ganmc_lightning.tabular.export.ensemble import is_text

HEADER = """\
/* {kind}, {trees} trees, {nodes} nodes. Written by ganmc_lightning.
 *
{tables} *
 * {missing}
 * Compile it without -ffast-math, which ignores NaN and infinities.
 */
#ifndef {guard}
#define {guard}
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {{
#endif
extern const int {name}_features; /* number of features: {features} */
extern const int {name}_outputs;  /* {outputs} {what} per sample */
extern const int {name}_feature_bytes; /* bytes of a value in rows: {real} */
/* Predict n samples, contiguous in rows, into out (n * outputs). */
void {name}_predict(const {real} *rows, size_t n, double *out);
{extra}{labels}#ifdef __cplusplus
}}
#endif
#endif
"""

LABELS_HEADER = """\
/* Class indices from 0 of n samples of probabilities: the first of the largest, as in scikit-learn. */
void {name}_labels(const double *out, size_t n, int *labels);
"""

MISSING = "NaN is a missing value and takes the branch it takes in scikit-learn."
NO_MISSING = "Samples must not contain NaN, which this model rejects in scikit-learn."

SOURCE_HEAD = """\
#include "{name}.h"
#include <math.h>
#include <stdint.h>

const int {name}_features = {features};
const int {name}_outputs = {outputs};
const int {name}_feature_bytes = sizeof(float);

/* A sample takes the left child where its value is at most the threshold, or is NaN and missing_left is 1. A leaf
   has feature -1, and left is its index in leaves. */
typedef struct {{ float threshold; int32_t feature; unsigned left : 31, missing_left : 1; int32_t right; }} node_t;

"""

SOURCE_TAIL = """\
#define BLOCK 4096 /* samples per tree, so that both stay in the cache */

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
                while (node->feature >= 0) {{
                    const float x = row[node->feature];
                    const int left = x <= node->threshold || (x != x && node->missing_left);
                    node = nodes + (left ? (int32_t)node->left : node->right);
                }}
                for (int k = 0; k < {values}; k++)
                    out[i * {outputs} + k] += leaves[(size_t)node->left * {values} + k];
            }}
        for (size_t i = start; i < end; i++)
            finish(out + i * {outputs});
    }}
}}
"""

LABELS_SOURCE = """\

void {name}_labels(const double *out, size_t n, int *labels)
{{
    for (size_t i = 0; i < n; i++) {{
        labels[i] = 0;
        for (int k = 1; k < {outputs}; k++)
            if (out[i * {outputs} + k] > out[i * {outputs} + labels[i]])
                labels[i] = k;
    }}
}}
"""

PLAIN = """\
    for (int k = 0; k < {values}; k++)
        out[k] /= {trees};
"""
# These two equal tabular.student.to_probabilities.
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
class ModelDescription:
    """Properties of a model that the C files state, without its nodes.

    Attributes:
        kind: name of the model's type.
        features: number of features.
        outputs: number of probabilities or values per sample.
        columns: names of the features, or None.
        classes: class labels, or None for a regressor.
        student: whether the values of a regressor are converted to probabilities.
        missing: whether the model accepts NaN.
        categories: category values of categorical features, in the order of their codes.
    """

    kind: str
    features: int
    outputs: int
    columns: list[object] | None
    classes: list[object] | None
    student: bool
    missing: bool
    categories: dict[int, NDArray[Any]]


def header_and_source(name: str, described: ModelDescription, trees: FlatTrees) -> tuple[str, str]:
    """Return the contents of ``<name>.h`` and ``<name>.c``."""
    values, n_trees = trees.leaves.shape[1], len(trees.roots)
    finish = PLAIN if not described.student else TWO_CLASSES if values == 1 else MORE_CLASSES
    fields = format_fields(name, described, n_trees, len(trees.features)) | {
        "values": values,
        "real": "float",
        "finish": finish.format(values=values, trees=n_trees),
    }
    source = [SOURCE_HEAD.format(**fields), *_tables(trees), SOURCE_TAIL.format(**fields)]
    if described.classes is not None:
        source.append(LABELS_SOURCE.format(**fields))
    return header_text(fields), "".join(source)


def format_fields(name: str, described: ModelDescription, trees: int, nodes: int) -> dict[str, object]:
    """Return the fields of the templates that depend on the description."""
    classifies = described.classes is not None
    return {
        "name": name,
        "guard": f"{name.upper()}_H",
        "kind": described.kind,
        "what": "probabilities" if classifies else "values",
        "features": described.features,
        "trees": trees,
        "nodes": nodes,
        "outputs": described.outputs,
        "missing": MISSING if described.missing else NO_MISSING,
        "tables": "".join(f" * {line}\n" for line in _comment_lines(described)),
        "labels": LABELS_HEADER.format(name=name) if classifies else "",
    }


def header_text(fields: dict[str, object], extra: str = "") -> str:
    """Return the content of ``<name>.h``.

    Args:
        fields: values of the template's fields.
        extra: declarations of more functions (default: none).
    """
    return HEADER.format(extra=extra, **fields)


def _comment_lines(described: ModelDescription) -> Iterator[str]:
    """Yield the lines of a comment that lists features and classes."""
    if described.columns is None:
        yield f"Features: 0 to {described.features - 1}, without names."
    else:
        yield "Features:"
        yield from _numbered(described.columns)
    for column, values in described.categories.items():
        form = "the number of its category" if is_text(values) else "its category"
        yield f"Feature {column} is {form}; other values are missing:"
        yield from _numbered(values.tolist())
    if described.classes is not None:
        yield "Classes, in the order of the probabilities:"
        yield from _numbered(described.classes)


def _numbered(names: Iterable[object]) -> Iterator[str]:
    for number, name in enumerate(names):
        # ascii escapes line ends; the replacements prevent the start or end of a comment
        yield f"  {number}  {ascii(name).replace('*/', '* /').replace('/*', '/ *')}"


def _tables(trees: FlatTrees) -> Iterator[str]:
    yield f"static const node_t nodes[{len(trees.features)}] = {{\n"
    arrays = (trees.thresholds, trees.features, trees.left, trees.missing_left.astype(int), trees.right)
    for threshold, feature, left, missing, right in zip(*(array.tolist() for array in arrays), strict=True):
        yield f"{{{_float(threshold)},{feature},{left},{missing},{right}}},\n"
    yield f"}};\n\nstatic const double leaves[{trees.leaves.size}] = {{\n"
    for value in trees.leaves.ravel().tolist():
        yield f"{value.hex()},\n"
    yield f"}};\n\nstatic const int32_t roots[{len(trees.roots)}] = {{\n"
    yield ",".join(map(str, trees.roots.tolist()))
    yield "\n};\n\n"


def _float(value: float) -> str:
    """Format a float32 as an exact hexadecimal C literal."""
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value.hex()}f"
