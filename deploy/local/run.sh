#!/bin/sh
# The main job: sets everything up, then paper A for the Wahnström and Kob-Andersen mixtures on the configurations that
# are shipped. Results (stores, tables, figures) are in results/. Arguments go to the pipeline: sh deploy/local/run.sh
# --help. The other profiles (--profile small) need more packages, which are then installed too.
set -eu
cd "$(dirname "$0")/../.."
case " $* " in
*" --profile"*) extras=learning,simulation ;;
*) extras= ;;
esac
sh deploy/local/environment.sh "$extras"
exec .venv/bin/python pipelines/local_structure.py "$@"
