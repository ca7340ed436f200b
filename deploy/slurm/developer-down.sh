#!/bin/sh
# Stops what developer-up.sh started in SLURM_FOLDER, and nothing else: each process is checked by its pid file, its
# name and its command line. KEEP=1 leaves the state and the logs.
set -eu
folder=${SLURM_FOLDER:-/run/glassdask-slurm}
export SLURM_CONF="$folder/slurm.conf"
[ -e "$SLURM_CONF" ] || {
    echo "developer-down.sh: nothing in $folder"
    exit 0
}
# prints the pid of a pid file if that process lives, has that name, and was started with a file of this folder
ours() {
    pid=$(cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] &&
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$folder/" && echo "$pid"
}
# a zombie waits for its parent, but it is over
over() {
    [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}
# name pidfile...: signals all, then waits for all
stop() {
    name=$1
    shift
    pids=
    for file in "$@"; do
        pid=$(ours "$file" "$name") && kill "$pid" && pids="$pids $pid"
    done
    for pid in $pids; do
        for _ in $(seq 40); do
            over "$pid" && continue 2
            sleep 0.25
        done
        echo "developer-down.sh: $name $pid did not stop, killing it" >&2
        kill -9 "$pid" || true
    done
}

# the jobs first, because the processes that watch them outlive slurmd
if ours "$folder/run/slurmctld.pid" slurmctld >/dev/null; then
    jobs=$(timeout 5 squeue -h -o %A 2>/dev/null | sort -u || true)
    for job in $jobs; do timeout 5 scancel "$job" || true; done
    for _ in $(seq 60); do
        [ -z "$(timeout 5 squeue -h 2>/dev/null || true)" ] && break
        sleep 0.25
    done
fi
stop slurmd "$folder"/run/slurmd.*.pid
stop slurmctld "$folder/run/slurmctld.pid"
stop munged "$folder/munge/munged.pid"
[ "${KEEP:-0}" = 1 ] || rm -rf "$folder"
echo "stopped"
