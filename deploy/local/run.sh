#!/bin/sh
# The main job: sets everything up, then paper A for the Wahnström mixture on the configurations that are shipped.
# Results (store, table, figures) are in results/. Arguments go to the pipeline: sh deploy/local/run.sh --help
set -eu
cd "$(dirname "$0")/../.."
sh deploy/local/environment.sh voronoi
exec .venv/bin/python pipelines/local_structure.py "$@"
