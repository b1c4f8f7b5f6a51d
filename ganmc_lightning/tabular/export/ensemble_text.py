"""Templates of the C files of boosted trees."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ganmc_lightning.tabular.export.c_text import (
    LABELS_SOURCE,
    MORE_CLASSES,
    PLAIN,
    TWO_CLASSES,
    ModelDescription,
    format_fields,
    header_text,
)
from ganmc_lightning.tabular.export.ensemble import FlatEnsemble, is_text

DECISION_HEADER = """\
/* Sums of n samples before the link function, into out (n * {values}): scikit-learn's decision_function. */
void {name}_decision_function(const double *rows, size_t n, double *out);
"""

HEAD = """\
#include "{name}.h"
#include <math.h>
#include <stdint.h>

const int {name}_features = {features};
const int {name}_outputs = {outputs};
const int {name}_feature_bytes = sizeof(double);

/* A sample takes the left child where its value is at most the threshold, or is NaN and missing_left is 1. Children
   from 0 are nodes, a negative child is ~leaf. The threshold of a categorical node is its row in subsets. */
typedef struct {{
    double threshold;
    {child} left, right;
    {feature} feature;
    uint8_t missing_left, categorical;
}} node_t;

"""

GOES_LEFT = """\
static int goes_left(const node_t *node, double x)
{{
{categorical}    return x != x ? node->missing_left : x <= node->threshold;
}}

"""
CATEGORICAL = """\
    if (node->categorical) {{
        const int code = code_of(node->feature, x);
        const uint32_t *subset = subsets + (size_t)node->threshold * {words};
        return code < 0 ? node->missing_left : (int)(subset[code / 32] >> code % 32 & 1);
    }}
"""

TAIL = """\
#define BLOCK 4096 /* samples per tree, so that both stay in the cache */

static void add_trees(const double *rows, size_t n, double *out, size_t stride)
{{
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < {values}; k++)
            out[i * stride + k] = baseline[k];
    for (size_t start = 0; start < n; start += BLOCK) {{
        const size_t end = n - start < BLOCK ? n : start + BLOCK;
        for (int tree = 0; tree < {trees}; tree++)
            for (size_t i = start; i < end; i++) {{
                const double *row = rows + i * {features};
                long node = roots[tree];
                while (node >= 0) {{
                    const node_t *at = nodes + node;
                    node = goes_left(at, row[at->feature]) ? at->left : at->right;
                }}
                out[i * stride + {output}] += leaves[~node];
            }}
    }}
}}

void {name}_predict(const double *rows, size_t n, double *out)
{{
    add_trees(rows, n, out, {outputs});
{link}}}
"""
LINK = """\
    for (size_t i = 0; i < n; i++, out += {outputs}) {{
{finish}    }}
"""
DECISION = """
void {name}_decision_function(const double *rows, size_t n, double *out)
{{
    add_trees(rows, n, out, {values});
}}
"""

SIGMOID = """\
    const double sum = out[0];
    out[1] = 1 / (1 + exp(-sum));
    if (sum > 0 && out[1] <= 0.5) /* rounded: the label depends on the sum in scikit-learn */
        out[1] = nextafter(0.5, 1);
    out[0] = 1 - out[1];
"""
SOFTMAX = """\
    int best = 0;
    for (int k = 1; k < {values}; k++)
        if (out[k] > out[best])
            best = k;
    const double largest = out[best];
    double total = 0;
    for (int k = 0; k < {values}; k++)
        total += out[k] = exp(out[k] - largest);
    for (int k = 0; k < {values}; k++)
        out[k] /= total;
    for (int k = 0; k < best; k++)
        if (out[k] >= out[best]) /* rounded: the label depends on the sums in scikit-learn */
            out[best] = nextafter(out[k], 2);
"""


def ensemble_texts(name: str, described: ModelDescription, ensemble: FlatEnsemble) -> tuple[str, str]:
    """Return the contents of ``<name>.h`` and ``<name>.c``."""
    values, decides = len(ensemble.baseline), ensemble.link != "identity"
    finish = finish_text(described, ensemble)
    fields = format_fields(name, described, len(ensemble.roots), len(ensemble.features) + len(ensemble.leaves)) | {
        "values": values,
        "real": "double",
        "child": child_type(ensemble),
        "feature": "uint16_t" if ensemble.n_features < 2**16 else "uint32_t",
        "words": words(ensemble),
        "output": "outputs[tree]" if values > 1 else "0",
    }
    fields["link"] = LINK.format(finish=indent(finish), **fields) if finish else ""
    fields["categorical"] = CATEGORICAL.format(**fields) if ensemble.goes_left.size else ""
    source = [HEAD.format(**fields), *_tables(ensemble), GOES_LEFT.format(**fields), TAIL.format(**fields)]
    if decides:
        source.append(DECISION.format(**fields))
    if described.classes is not None:
        source.append(LABELS_SOURCE.format(**fields))
    return header_text(fields, DECISION_HEADER.format(**fields) if decides else ""), "".join(source)


def finish_text(described: ModelDescription, ensemble: FlatEnsemble) -> str:
    """Return the statements that convert the sums in ``out`` to predictions; empty where they are equal."""
    values = len(ensemble.baseline)
    if described.student:
        return (TWO_CLASSES if values == 1 else MORE_CLASSES).format(values=values, trees=ensemble.divisor)
    if ensemble.divisor > 1:
        return PLAIN.format(values=values, trees=ensemble.divisor)
    return {"sigmoid": SIGMOID, "softmax": SOFTMAX.format(values=values)}.get(ensemble.link, "")


def indent(text: str) -> str:
    """Indent the lines of C statements by one level."""
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


def child_type(ensemble: FlatEnsemble) -> str:
    """Return the smallest C type of an index of a node or leaf."""
    return "int16_t" if max(len(ensemble.features), len(ensemble.leaves)) < 2**15 else "int32_t"


def words(ensemble: FlatEnsemble) -> int:
    """Return the number of 32-bit words of a subset of categories."""
    return (int(ensemble.goes_left.shape[1]) + 31) // 32


def category_tables(ensemble: FlatEnsemble, real: str = "double") -> Iterator[str]:
    """Yield the subsets of categories and the C function that returns the code of a category, or -1.

    Args:
        ensemble: trees.
        real: C type of values, double (default) or float.
    """
    if not ensemble.goes_left.size:
        return
    padded = np.zeros((len(ensemble.goes_left), words(ensemble) * 32), dtype=bool)
    padded[:, : ensemble.goes_left.shape[1]] = ensemble.goes_left
    bits = np.packbits(padded, axis=1, bitorder="little").view("<u4")
    yield array_text("uint32_t", "subsets", (f"0x{word:x}u" for word in bits.ravel().tolist()), bits.size)
    used = sorted(set(ensemble.features[ensemble.subsets >= 0].tolist()))
    cases = []
    for column in used:
        values = ensemble.categories[column]
        count = len(values)
        if is_text(values) or np.array_equal(values, np.arange(count)):
            cases.append(f"    case {column}:\n        return x >= 0 && x < {count} && x == (int)x ? (int)x : -1;\n")
            continue
        suffix = "f" if real == "float" else ""
        numbers = (f"{float(np.dtype(real if suffix else 'f8').type(value)).hex()}{suffix}" for value in values)
        yield array_text(real, f"categories_{column}", numbers, count)
        search = f"for (int code = 0; code < {count}; code++)\n            if (x == categories_{column}[code])\n"
        cases.append(f"    case {column}:\n        {search}                return code;\n        return -1;\n")
    yield "/* The code of a category; -1 for NaN and unknown categories. */\n"
    yield f"static int code_of(int feature, {real} x)\n{{\n    switch (feature) {{\n{''.join(cases)}    }}\n"
    yield "    return -1;\n}\n\n"


def array_text(kind: str, name: str, values: Iterator[str], count: int) -> str:
    """Return a constant C array."""
    return f"static const {kind} {name}[{count}] = {{\n" + ",\n".join(values) + "\n};\n\n"


def hex_text(value: float) -> str:
    """Format a number as an exact hexadecimal C literal."""
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return float(value).hex()


def _tables(ensemble: FlatEnsemble) -> Iterator[str]:
    categorical = ensemble.subsets >= 0
    thresholds = np.where(categorical, ensemble.subsets, ensemble.thresholds)
    if len(thresholds) == 0:  # an array in C has at least one item
        yield "static const node_t nodes[1] = {{0, 0, 0, 0, 0, 0}};\n\n"
    else:
        columns = (ensemble.left, ensemble.right, ensemble.features, ensemble.missing_left * 1, categorical * 1)
        rows = zip(thresholds, *(column.tolist() for column in columns), strict=True)
        texts = (f"{{{hex_text(first)},{','.join(map(str, others))}}}" for first, *others in rows)
        yield array_text("node_t", "nodes", texts, len(thresholds))
    leaves, baseline = ensemble.leaves[:, 0], ensemble.baseline
    yield array_text("double", "leaves", map(hex_text, leaves.tolist()), len(leaves))
    yield array_text("double", "baseline", map(hex_text, baseline.tolist()), len(baseline))
    yield array_text(child_type(ensemble), "roots", map(str, ensemble.roots.tolist()), len(ensemble.roots))
    if len(baseline) > 1:
        kind = "uint8_t" if len(baseline) <= 2**8 else "uint16_t"
        yield array_text(kind, "outputs", map(str, ensemble.outputs.tolist()), len(ensemble.outputs))
    yield from category_tables(ensemble)
