"""Templates of the C files of trees in 16-bit integers."""

from __future__ import annotations

from collections.abc import Iterator

from ganmc_lightning.tabular.export.c_text import LABELS_SOURCE, ModelDescription, format_fields, header_text
from ganmc_lightning.tabular.export.ensemble_text import (
    array_text,
    category_tables,
    child_type,
    finish_text,
    indent,
    words,
)
from ganmc_lightning.tabular.export.fixed_point import LARGEST_SUM, FixedPointEnsemble

EXTRA_HEADER = """\
/* Compile with -D{upper}_NO_DOUBLE on a microcontroller: without {name}_predict{and_labels}. */
/* Round the features of one sample to 16-bit integers. */
void {name}_quantize(const float *row, int16_t *quantized);
/* Sum the leaves of one sample of rounded features: {values} numbers with {bits} fractional bits{of}.
   Rounding changes a prediction{before} by at most {bound:.3g}, where the sample reaches the same leaves. */
void {name}_sums(const int16_t *quantized, int32_t *sums);
"""
CLASSIFY_HEADER = """\
/* Return the class index from 0 of one sample of rounded features, by integer arithmetic only. */
int {name}_classify(const int16_t *quantized);
"""

HEAD = """\
#include "{name}.h"

const int {name}_features = {features};
const int {name}_outputs = {outputs};
const int {name}_feature_bytes = sizeof(float);

/* A sample takes the left child where its value is at most the threshold. Children from 0 are nodes, a negative child
   is ~leaf. Bit 0 of feature: missing values take the left child. Bit 1: the threshold is a row in subsets. */
typedef struct {{ int16_t threshold; {child} left, right; {feature} feature; }} node_t;

"""

QUANTIZE = """\
void {name}_quantize(const float *row, int16_t *quantized)
{{
    for (int k = 0; k < {features}; k++) {{
        const float shifted = row[k] - offsets[k];
        const float steps = shifted * scales[k];
        quantized[k] = steps != steps ? INT16_MIN
                       : steps <= 0 ? -32767 : steps >= 65534 ? 32767 : (int16_t)((int32_t)steps - 32767);
    }}
{codes}}}

void {name}_sums(const int16_t *quantized, int32_t *sums)
{{
    for (int k = 0; k < {values}; k++)
        sums[k] = baseline[k];
    for (int tree = 0; tree < {trees}; tree++) {{
        int32_t node = roots[tree];
        while (node >= 0) {{
            const node_t *at = nodes + node;
            const int16_t x = quantized[at->feature >> 2];
            int left = x <= at->threshold;
            if (x == INT16_MIN)
                left = at->feature & 1;
{subset}            node = left ? at->left : at->right;
        }}
{add}    }}
}}
"""
CODES = """\
    static const uint16_t categorical[] = {{{columns}}};
    for (int k = 0; k < {count}; k++) {{
        const int code = code_of(categorical[k], row[categorical[k]]);
        quantized[categorical[k]] = code < 0 ? INT16_MIN : (int16_t)code;
    }}
"""
SUBSET = """\
            else if (at->feature & 2)
                left = (int)(subsets[at->threshold * {words} + x / 32] >> x % 32 & 1);
"""
ADD_ONE = "        sums[{output}] += leaves[~node];\n"
ADD_MORE = """\
        for (int k = 0; k < {values}; k++)
            sums[k] += leaves[~node * {values} + k];
"""

CLASSIFY_TWO = """
int {name}_classify(const int16_t *quantized)
{{
    int32_t sum;
    {name}_sums(quantized, &sum);
    return sum > {limit};
}}
"""
CLASSIFY_MORE = """
int {name}_classify(const int16_t *quantized)
{{
    int32_t sums[{values}];
    int best = 0;
    {name}_sums(quantized, sums);
    for (int k = 0; k < {values}; k++) {{
{clip}        if (sums[k] > sums[best])
            best = k;
    }}
    return best;
}}
"""
CLIP = "        sums[k] = sums[k] < 0 ? 0 : sums[k] > {one} ? {one} : sums[k];\n"

PREDICT = """
#ifndef {upper}_NO_DOUBLE
#include <math.h>

void {name}_predict(const float *rows, size_t n, double *out)
{{
    for (size_t i = 0; i < n; i++, out += {outputs}) {{
        int16_t quantized[{features}];
        int32_t sums[{values}];
        {name}_quantize(rows + i * {features}, quantized);
        {name}_sums(quantized, sums);
        for (int k = 0; k < {values}; k++)
            out[k] = sums[k] * {unit};
{finish}    }}
}}
"""


def fixed_point_texts(name: str, described: ModelDescription, fixed: FixedPointEnsemble) -> tuple[str, str]:
    """Return the contents of ``<name>.h`` and ``<name>.c``."""
    ensemble, values = fixed.ensemble, len(fixed.baseline)
    classifies = described.classes is not None
    fields = format_fields(name, described, len(ensemble.roots), len(ensemble.features) + len(ensemble.leaves)) | {
        "upper": name.upper(),
        "real": "float",
        "values": values,
        "child": child_type(ensemble),
        "feature": "uint16_t" if ensemble.n_features < 2**14 else "uint32_t",
        "words": words(ensemble),
        "output": "outputs[tree]" if values > 1 else "0",
        "bits": fixed.bits,
        "unit": f"{(2.0**-fixed.bits).hex()}",
        "bound": fixed.bound(),
        "of": f", to divide by {ensemble.divisor}" if ensemble.divisor > 1 else "",
        "before": _before(described, fixed),
        "and_labels": f" and {name}_labels" if classifies else "",
        "finish": indent(finish_text(described, ensemble)),
    }
    fields["codes"] = _codes(fixed)
    fields["subset"] = SUBSET.format(**fields) if ensemble.goes_left.size else ""
    fields["add"] = (ADD_ONE if ensemble.leaves.shape[1] == 1 else ADD_MORE).format(**fields)
    extra = EXTRA_HEADER.format(**fields) + (CLASSIFY_HEADER.format(**fields) if classifies else "")
    source = [HEAD.format(**fields), *_tables(fixed), QUANTIZE.format(**fields)]
    if classifies:
        source.append(_classify(described, fixed, fields))
    source.append(PREDICT.format(**fields))
    if classifies:
        source.append(LABELS_SOURCE.format(**fields))
    return header_text(fields, extra), "".join([*source, "#endif\n"])


def _before(described: ModelDescription, fixed: FixedPointEnsemble) -> str:
    """Return which step of a prediction the error bound precedes; division by the total of the classes increases it."""
    if fixed.ensemble.link != "identity":
        return " before the link function"
    return " before normalization" if described.student and len(fixed.baseline) > 1 else ""


def _classify(described: ModelDescription, fixed: FixedPointEnsemble, fields: dict[str, object]) -> str:
    """Return the function that compares integer sums as predictions are compared."""
    one = int(fixed.ensemble.divisor * 2.0**fixed.bits)  # a student's probability 1 in units of the sums
    if len(fixed.baseline) == 1 and fields["outputs"] == 2:
        return CLASSIFY_TWO.format(limit=min(one // 2, LARGEST_SUM) if described.student else 0, **fields)
    # no sum exceeds the largest one
    return CLASSIFY_MORE.format(clip=CLIP.format(one=min(one, LARGEST_SUM)) if described.student else "", **fields)


def _codes(fixed: FixedPointEnsemble) -> str:
    used = sorted(set(fixed.ensemble.features[fixed.ensemble.subsets >= 0].tolist()))
    return CODES.format(columns=", ".join(map(str, used)), count=len(used)) if used else ""


def _tables(fixed: FixedPointEnsemble) -> Iterator[str]:
    ensemble = fixed.ensemble
    if len(ensemble.features) == 0:  # an array in C has at least one item
        yield "static const node_t nodes[1] = {{0, 0, 0, 0}};\n\n"
    else:
        flags = ensemble.features * 4 + (ensemble.subsets >= 0) * 2 + ensemble.missing_left
        columns = (fixed.thresholds, ensemble.left, ensemble.right, flags)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        texts = (f"{{{','.join(map(str, row))}}}" for row in rows)
        yield array_text("node_t", "nodes", texts, len(ensemble.features))
    yield array_text("int16_t", "leaves", map(str, fixed.leaves.ravel().tolist()), fixed.leaves.size)
    yield array_text("int32_t", "baseline", map(str, fixed.baseline.tolist()), len(fixed.baseline))
    yield array_text(child_type(ensemble), "roots", map(str, ensemble.roots.tolist()), len(ensemble.roots))
    if ensemble.leaves.shape[1] == 1 and len(fixed.baseline) > 1:
        kind = "uint8_t" if len(fixed.baseline) <= 2**8 else "uint16_t"
        yield array_text(kind, "outputs", map(str, ensemble.outputs.tolist()), len(ensemble.outputs))
    for name, numbers in (("offsets", fixed.offsets), ("scales", fixed.scales)):
        yield array_text("float", name, (f"{value.hex()}f" for value in numbers.tolist()), len(numbers))
    yield from category_tables(ensemble, "float")
