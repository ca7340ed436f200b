#!/bin/sh
# The tests: sets everything up, then style, types, doctests and tests. Arguments go to pytest. As root on Debian this
# also installs a SLURM and a browser; elsewhere the tests that need them are skipped, and pytest says so in the end.
set -eu
cd "$(dirname "$0")/../.."
sh deploy/local/system.sh
sh deploy/local/environment.sh all,dev,docs,peers
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# one thread for each process: dask brings the parallelism, and small matrices only get slower with more
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# two at a time, because many tests wait for what they have started; a module's together, because they share that, and
# in their order, in which the last are short. With --cov --cov-report=term:skip-covered it takes longer, and tells what
# no test runs
exec .venv/bin/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder "$@"
