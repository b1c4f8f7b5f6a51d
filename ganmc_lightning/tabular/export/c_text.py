"""What the C files of a model say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ganmc_lightning.tabular.export.arrays import Arrays

HEADER = """\
/* {kind}, {trees} trees, {nodes} nodes. Written by ganmc_lightning.
 *
{tables} *
 * {missing}
 * Compile it without -ffast-math, which leaves out NaN and infinities.
 */
#ifndef {guard}
#define {guard}
#include <stddef.h>
#ifdef __cplusplus
extern "C" {{
#endif
extern const int {name}_features; /* {features} values a row */
extern const int {name}_outputs;  /* {outputs} {what} a row */
/* Predict n rows, one behind the other, into out (n * outputs). */
void {name}_predict(const float *rows, size_t n, double *out);
{labels}#ifdef __cplusplus
}}
#endif
#endif
"""

LABELS_HEADER = """\
/* The classes, as numbers from 0, of n rows of probabilities: the first of the largest, as in scikit-learn. */
void {name}_labels(const double *out, size_t n, int *labels);
"""

MISSING = "NaN is a missing value and goes the way it goes in scikit-learn."
NO_MISSING = "Rows must hold no NaN, which this model refuses in scikit-learn."

SOURCE_HEAD = """\
#include "{name}.h"
#include <math.h>
#include <stdint.h>

const int {name}_features = {features};
const int {name}_outputs = {outputs};

/* A row goes left where its value is at most the threshold, or is NaN and missing_left is 1. A leaf has feature -1,
   and left numbers its values. */
typedef struct {{ float threshold; int32_t feature; unsigned left : 31, missing_left : 1; int32_t right; }} node_t;

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
# What tabular.student.to_probabilities does.
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
class Described:
    """What the files say of a model besides its nodes.

    Attributes:
        kind: name of its type.
        features: values a row.
        outputs: probabilities or values a row.
        columns: names of the columns, or None.
        classes: the classes, or None for a regressor.
        student: whether a regressor's values become probabilities.
        missing: whether it accepts NaN.
    """

    kind: str
    features: int
    outputs: int
    columns: list[object] | None
    classes: list[object] | None
    student: bool
    missing: bool


def header_and_source(name: str, described: Described, arrays: Arrays) -> tuple[str, str]:
    """The texts of ``<name>.h`` and ``<name>.c``."""
    values, trees = arrays.leaves.shape[1], len(arrays.roots)
    finish = PLAIN if not described.student else TWO_CLASSES if values == 1 else MORE_CLASSES
    classifies = described.classes is not None
    words = {
        "name": name,
        "guard": f"{name.upper()}_H",
        "kind": described.kind,
        "what": "probabilities" if classifies else "values",
        "features": described.features,
        "trees": trees,
        "nodes": len(arrays.features),
        "values": values,
        "outputs": described.outputs,
        "finish": finish.format(values=values, trees=trees),
        "missing": MISSING if described.missing else NO_MISSING,
        "tables": "".join(f" * {line}\n" for line in _described(described)),
        "labels": LABELS_HEADER.format(name=name) if classifies else "",
    }
    source = [SOURCE_HEAD.format(**words), *_tables(arrays), SOURCE_TAIL.format(**words)]
    if classifies:
        source.append(LABELS_SOURCE.format(**words))
    return HEADER.format(**words), "".join(source)


def _described(described: Described) -> Iterator[str]:
    """Lines of a comment that name columns and classes."""
    if described.columns is None:
        yield f"Columns of a row: 0 to {described.features - 1}; they had no names where the model was fitted."
    else:
        yield "Columns of a row:"
        yield from _numbered(described.columns)
    if described.classes is not None:
        yield "Classes, in the order of the probabilities:"
        yield from _numbered(described.classes)


def _numbered(names: Iterable[object]) -> Iterator[str]:
    for number, name in enumerate(names):
        # ascii: no line ends; and nothing that begins or ends a comment.
        yield f"  {number}  {ascii(name).replace('*/', '* /').replace('/*', '/ *')}"


def _tables(arrays: Arrays) -> Iterator[str]:
    yield f"static const node_t nodes[{len(arrays.features)}] = {{\n"
    columns = (arrays.thresholds, arrays.features, arrays.left, arrays.missing_left.astype(int), arrays.right)
    for threshold, feature, left, missing, right in zip(*(column.tolist() for column in columns), strict=True):
        yield f"{{{_float(threshold)},{feature},{left},{missing},{right}}},\n"
    yield f"}};\n\nstatic const double leaves[{arrays.leaves.size}] = {{\n"
    for value in arrays.leaves.ravel().tolist():
        yield f"{value.hex()},\n"
    yield f"}};\n\nstatic const int32_t roots[{len(arrays.roots)}] = {{\n"
    yield ",".join(map(str, arrays.roots.tolist()))
    yield "\n};\n\n"


def _float(value: float) -> str:
    """A float32 as C spells it: hexadecimal is exact, and quick to read."""
    if value in (float("inf"), float("-inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value.hex()}f"
