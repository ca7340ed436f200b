#!/bin/sh
# Makes .venv in the project's folder and installs glassdask with the extras that are named, in the versions of
# constraints.txt. Called by run.sh and test.sh; a second call finds everything installed.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "glassdask needs Python 3.11 or newer; found $("$python" --version). Set PYTHON to a newer one." >&2
    exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint deploy/local/constraints.txt --editable ".${1:+[$1]}"
