#!/bin/sh
# Make or bring up to date a virtual environment with this package in it, installed so that edits count at once.
#
#   scripts/environment.sh FOLDER [EXTRA]      EXTRA: one of pyproject.toml's, such as test or dev
#
# With uv where it is there, with venv and pip where it is not. PYTHON names the interpreter of a new environment.
# The versions of constraints.txt are installed; where they cannot be (no wheels for this machine, say), the newest
# ones that pyproject.toml allows.
set -eu

folder=$1
package=".${2:+[$2]}"
cd "$(dirname "$0")/.."

# Asked by running it: a pyenv shim can be on PATH without an interpreter behind it.
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
    echo "environment: Python 3.11 or newer is needed; tried $candidates." >&2
    echo "environment: install it, or name it: make test PYTHON=/path/to/python3" >&2
    return 1
}

is_usable() {
    is_new_enough "$folder/bin/python" && { has_uv || "$folder/bin/python" -m pip --version >/dev/null 2>&1; }
}

make_environment() {
    if [ -f "$folder/pyvenv.cfg" ]; then # a broken environment, and nothing else, is removed
        rm -rf "$folder"
    fi
    if has_uv; then # it finds an interpreter, or fetches one
        uv venv --python "${PYTHON:->=3.11}" "$folder"
        return
    fi
    python=$(find_python)
    if ! "$python" -m venv "$folder"; then
        echo "environment: $python cannot make virtual environments; on Debian and Ubuntu install python3-venv" >&2
        return 1
    fi
}

install() {
    if has_uv; then
        uv pip install --python "$folder/bin/python" "$@"
    else
        "$folder/bin/python" -m pip install --disable-pip-version-check "$@"
    fi
}

is_usable || make_environment
echo "environment: installing $package into $folder (PyTorch is large: the first time takes minutes)"
if ! install --constraint constraints.txt --editable "$package"; then
    echo "environment: the versions of constraints.txt cannot be installed here; trying the newest ones" >&2
    install --editable "$package"
fi
