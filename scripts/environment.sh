#!/bin/sh
# Create or update a virtual environment with this package in editable mode.
#
#   scripts/environment.sh FOLDER [EXTRA]      FOLDER: relative to the root of the repository
#                                              EXTRA: an extra of pyproject.toml, such as test or dev
#
# Uses uv if it is installed, otherwise venv and pip. PYTHON is the interpreter of a new environment.
# Installs the versions of constraints.txt; if that fails (for instance without wheels for this machine), the newest
# versions that pyproject.toml allows.
set -eu

folder=${1:?expected a folder: scripts/environment.sh FOLDER [EXTRA]}
package=".${2:+[$2]}"
cd "$(dirname "$0")/.."

# Runs the interpreter, because a pyenv shim on PATH may have no interpreter.
is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

has_uv() {
    uv --version >/dev/null 2>&1
}

find_python() {
    candidates=${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}
    for candidate in $candidates; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "environment: no Python >= 3.11 found; tried $candidates" >&2
    echo "environment: install one or set its path: make test PYTHON=/path/to/python3" >&2
    return 1
}

is_usable() {
    is_new_enough "$folder/bin/python" && { has_uv || "$folder/bin/python" -m pip --version >/dev/null 2>&1; }
}

make_environment() {
    if [ -f "$folder/pyvenv.cfg" ]; then # remove a broken environment, but no other folder
        rm -rf "$folder"
    fi
    if has_uv; then # uv finds or downloads an interpreter
        uv venv --python "${PYTHON:->=3.11}" "$folder"
        return
    fi
    python=$(find_python)
    if ! "$python" -m venv "$folder"; then
        echo "environment: $python cannot create virtual environments; on Debian and Ubuntu install python3-venv" >&2
        return 1
    fi
}

install() {
    if has_uv; then
        # Unlike pip, uv compiles no bytecode by default; the first command would take twice as long to start.
        uv pip install --compile-bytecode --python "$folder/bin/python" "$@"
    else
        "$folder/bin/python" -m pip install --disable-pip-version-check "$@"
    fi
}

is_usable || make_environment
echo "environment: installing $package into $folder (takes minutes the first time, because PyTorch is large)"
if ! install --constraint constraints.txt --editable "$package"; then
    echo "environment: cannot install the versions of constraints.txt; trying the newest versions" >&2
    install --editable "$package"
fi
