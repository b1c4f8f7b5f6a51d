#!/usr/bin/env bash
# Run the numeric tests under several settings. A setting limits the instruction sets of PyTorch, oneDNN, OpenBLAS and MKL
# and sets the number of threads. Settings that this processor does not support are skipped with a message.
#
#   scripts/test_isa.sh                        all settings
#   scripts/test_isa.sh sse4 avx2 -- -k kid    two settings; arguments after -- are passed to pytest
#
# PYTHON is the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ALL="sse4 avx2 avx2-threads avx512 avx512-threads amx"
NUMERIC="tests/test_batch.py tests/callbacks tests/data tests/tabular tests/losses tests/metrics tests/modules
    tests/networks tests/evaluation tests/synthesizers"

# flag in /proc/cpuinfo, ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA, OPENBLAS_CORETYPE, MKL_ENABLE_INSTRUCTIONS, threads
setting() {
    case $1 in
        sse4) echo sse4_1 default SSE41 Nehalem SSE4_2 1 ;;
        avx2) echo avx2 avx2 AVX2 Haswell AVX2 1 ;;
        avx2-threads) echo avx2 avx2 AVX2 Haswell AVX2 2 ;;
        avx512) echo avx512f avx512 AVX512_CORE SkylakeX AVX512 1 ;;
        avx512-threads) echo avx512f avx512 AVX512_CORE SkylakeX AVX512 2 ;;
        amx) echo amx_tile avx512 AVX512_CORE_AMX SapphireRapids AVX512_E4 1 ;;
        *) echo "test_isa.sh: unknown setting '$1', expected one of: $ALL" >&2 && return 2 ;;
    esac
}

chosen=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    setting "$1" >/dev/null
    chosen+=("$1")
    shift
done
[ $# -eq 0 ] || shift
[ ${#chosen[@]} -gt 0 ] || read -ra chosen <<<"$ALL"

failed=() tested=0
for name in "${chosen[@]}"; do
    read -r flag aten onednn openblas mkl threads <<<"$(setting "$name")"
    if ! grep -qw "$flag" /proc/cpuinfo; then
        echo "== $name: skipped, this processor has no $flag"
        continue
    fi
    tested=$((tested + 1))
    echo "== $name: ATen $aten, oneDNN $onednn, OpenBLAS $openblas, MKL $mkl, threads $threads"
    # Waiting threads must not spin, because there are more threads than cores.
    # shellcheck disable=SC2086 # NUMERIC is a list
    env ATEN_CPU_CAPABILITY="$aten" ONEDNN_MAX_CPU_ISA="$onednn" OPENBLAS_CORETYPE="$openblas" \
        MKL_ENABLE_INSTRUCTIONS="$mkl" OMP_NUM_THREADS="$threads" OMP_WAIT_POLICY=passive \
        "${PYTHON:-python3}" -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $NUMERIC "$@" \
        || failed+=("$name")
done
[ "$tested" -gt 0 ] || echo "test_isa.sh: nothing was tested, because this processor has none of these instruction sets" >&2
[ ${#failed[@]} -eq 0 ] || { echo "test_isa.sh: tests failed under: ${failed[*]}" >&2 && exit 1; }
