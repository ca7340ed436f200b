#!/bin/sh
# The tests: sets everything up, then style, types, doctests and tests. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/../.."
sh deploy/local/environment.sh all,dev,peers
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
exec .venv/bin/python -m pytest --cov --cov-report=term:skip-covered "$@"
