#!/bin/sh
# Sets the project up: uv in .uv/, then .venv from the lock files. `make` calls it before every target that needs it.
#   setup.sh runtime   what `make demo` and `make up` need
#   setup.sh dev       and what tests and linters need
#   setup.sh lock      compile requirements*.in into the lock files
# What is in place already costs some milliseconds; what an interruption left half done is made anew.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

# The first Python that runs; a version manager's shim may be on PATH and refuse to.
any_python() {
    for name in python3 python3.13 python3.12 python3.11 python3.10 python3.9 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    say 'No Python 3.9 or newer is on PATH; it is needed to install uv. (Or install uv itself.)'
    exit 1
}

# uv: the one in .uv/, or the machine's, or installed into .uv/ from the package registry.
find_uv() {
    if [ -x .uv/bin/uv ] && .uv/bin/uv --version >/dev/null 2>&1; then
        uv=.uv/bin/uv
    elif command -v uv >/dev/null 2>&1; then
        uv=uv
    else
        say 'Installing uv into .uv/ ...'
        python=$(any_python)
        rm -rf .uv
        # Without ensurepip (Debian without python3-venv) there is no venv with pip, but perhaps a pip to do it by hand.
        { "$python" -m venv .uv && .uv/bin/python -m pip install --quiet uv; } >.uv.log 2>&1 ||
            { rm -rf .uv && "$python" -m pip install --quiet --target .uv uv; } >>.uv.log 2>&1 ||
            { cat .uv.log >&2; rm -rf .uv .uv.log; say "Could not install uv with $python. Install uv or python3-venv."; exit 1; }
        rm -f .uv.log
        uv=.uv/bin/uv
    fi
    # A machine whose registry is known to pip alone: uv does not read pip's configuration.
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        index=${PIP_INDEX_URL:-$("$(any_python)" -m pip config get global.index-url 2>/dev/null || true)}
        [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    fi
}

# Python 3.12, or 3.13: on PATH, then pyenv's (which uv does not find unless active), else uv fetches one.
find_python() {
    for version in 3.12 3.13; do
        for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
            if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
                "$candidate" -c 'import sys; print(sys.executable)'
                return
            fi
        done
    done
    printf '3.12'
}

# What an environment is made of: the same fingerprint means nothing is to be done.
fingerprint() {
    cat tools/setup.sh pyproject.toml requirements.in requirements.txt
    [ "$1" = runtime ] || cat requirements-dev.txt
}

is_current() {
    [ ! -e .venv/.installing ] && [ "$(cat .venv/.folder 2>/dev/null)" = "$PWD" ] &&
        [ "$(cat ".venv/.$1" 2>/dev/null)" = "$(fingerprint "$1" | cksum)" ]
}

install() {
    find_uv
    # Whoever was interrupted may have left a package half written, and scripts name the folder they were made in.
    if [ -e .venv/.installing ] || [ "$(cat .venv/.folder 2>/dev/null)" != "$PWD" ] || ! .venv/bin/python -c '' 2>/dev/null; then
        "$uv" venv --quiet --clear --python "$(find_python)" .venv
    fi
    # A developer's environment stays one when the lock changes.
    extent=$1
    [ ! -e .venv/.dev ] || extent=dev
    touch .venv/.installing
    printf '%s' "$PWD" >.venv/.folder
    rm -f .venv/.runtime .venv/.dev
    say "Setting up .venv ($extent); the first time takes a minute or two ..."
    locks=requirements.txt
    [ "$extent" = runtime ] || locks="$locks requirements-dev.txt"
    # shellcheck disable=SC2086 # two file names
    echo '-e .' | UV_COMPILE_BYTECODE=1 "$uv" pip sync --quiet --python .venv/bin/python $locks -
    # Kept beside the source: otherwise the first processes that need it each compile it.
    for kernel in greeks.kernel indicator_kernels; do
        .venv/bin/python -c "from bellwether.consolidate.$kernel import machine_code; machine_code()"
    done
    fingerprint runtime | cksum >.venv/.runtime
    [ "$extent" = runtime ] || fingerprint dev | cksum >.venv/.dev
    rm -f .venv/.installing
}

compile() {
    "$uv" pip compile --quiet --python-version 3.12 --custom-compile-command 'make lock' "$@"
}

case "$1" in
runtime | dev)
    is_current "$1" || install "$1"
    ;;
lock)
    find_uv
    compile requirements.in -o requirements.txt
    compile requirements-dev.in -o requirements-dev.txt
    ;;
*)
    say "setup.sh: unknown command $1"
    exit 2
    ;;
esac
