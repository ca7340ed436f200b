#!/bin/sh
# The documentation site: sh deploy/docs/build.sh OUT [--notebooks run|skip]. Sets up .venv with all that the notebooks
# need, runs those that have changed, and writes HTML into OUT, which needs no network when it is read.
set -eu
case "${1:-}" in
"" | -*) echo "usage: sh deploy/docs/build.sh OUT [--notebooks run|skip]" >&2; exit 2 ;;
esac
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/../.."
sh deploy/local/environment.sh all,docs
exec .venv/bin/python deploy/docs/build.py "$out" "$@"
