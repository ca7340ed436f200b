#!/bin/sh
# A SLURM on this machine, for developers and tests: Debian's packages, no systemd, no cgroups, loopback only. As root:
#
#   sh deploy/slurm/developer-up.sh        then: export SLURM_CONF=/run/glassdask-slurm/slurm.conf
#   sh deploy/slurm/developer-down.sh
#
# Environment: SLURM_FOLDER (state, logs, slurm.conf), SLURM_NODES, SLURM_CPUS and SLURM_MEMORY (MiB) of each node,
# SLURM_AUTH (none or munge), SLURM_PORT (the first of SLURM_NODES + 1).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${SLURM_FOLDER:-/run/glassdask-slurm}
nodes=${SLURM_NODES:-4}
cpus=${SLURM_CPUS:-2}
memory=${SLURM_MEMORY:-5000}
auth=${SLURM_AUTH:-none}
port=${SLURM_PORT:-16817}
export SLURM_CONF="$folder/slurm.conf"

fail() {
    echo "developer-up.sh: $1" >&2
    exit 1
}
# whether the process of a pid file lives, has that name, and was started with a file of this folder
ours() {
    pid=$(cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] &&
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$folder/"
}

[ "$(id -u)" = 0 ] || fail "run it as root"
case $auth in
none) packages="slurmctld slurmd slurm-client" ;;
munge) packages="slurmctld slurmd slurm-client munge" ;;
*) fail "SLURM_AUTH is $auth, expected none or munge" ;;
esac
# shellcheck disable=SC2086
sh "$here/../local/system.sh" $packages
command -v slurmctld >/dev/null && command -v slurmd >/dev/null || fail "needs Debian's $packages"

for part in state spool log run munge; do mkdir -p "$folder/$part"; done
chmod 755 "$folder" "$folder/munge"
if [ "$auth" = munge ]; then
    key=$folder/munge/munge.key
    [ -s "$key" ] || (umask 077 && head -c 1024 /dev/urandom >"$key")
    credentials="AuthType=auth/munge
AuthInfo=socket=$folder/munge/munge.sock
CredType=cred/munge"
else
    credentials="AuthType=auth/none
CredType=cred/none"
fi
first=$((port + 1))
last=$((port + nodes))
if [ "$nodes" = 1 ]; then names=n1 ports=$first; else names="n[1-$nodes]" ports="[$first-$last]"; fi

# NoInAddrAny: listen on the address of the nodes only. %n in the pid file: without it several slurmd overwrite it, and
# no job starts. config_overrides: believe the cores that are written here. OverMemoryKill: a job over its memory is
# killed, as on a real cluster.
cat >"$SLURM_CONF.new" <<CONF
ClusterName=developer
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmctldPort=$port
$credentials
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=5
ReturnToService=2
KillWait=5
MailProg=/bin/true
NodeName=$names NodeAddr=127.0.0.1 Port=$ports CPUs=$cpus RealMemory=$memory
PartitionName=debug Nodes=ALL Default=YES DefMemPerCPU=500
CONF
if ours "$folder/run/slurmctld.pid" slurmctld && ! cmp -s "$SLURM_CONF" "$SLURM_CONF.new"; then
    rm "$SLURM_CONF.new"
    fail "a SLURM with other settings runs in $folder: run developer-down.sh first"
fi
mv "$SLURM_CONF.new" "$SLURM_CONF"

if [ "$auth" = munge ] && ! ours "$folder/munge/munged.pid" munged; then
    munged --key-file="$key" --socket="$folder/munge/munge.sock" --pid-file="$folder/munge/munged.pid" \
        --log-file="$folder/munge/munged.log" --seed-file="$folder/munge/munged.seed"
fi
# with the whole path of the file, because the daemons change their directory
ours "$folder/run/slurmctld.pid" slurmctld || slurmctld -f "$SLURM_CONF"
for number in $(seq "$nodes"); do
    ours "$folder/run/slurmd.n$number.pid" slurmd || slurmd -f "$SLURM_CONF" -N "n$number"
done

for _ in $(seq 240); do
    ready=$(timeout 2 sinfo -h -N -t idle,alloc,mix -o %N 2>/dev/null | sort -u | wc -l)
    if [ "$ready" = "$nodes" ]; then
        echo "ready: export SLURM_CONF=$SLURM_CONF"
        exit 0
    fi
    sleep 0.25
done
tail -n 15 "$folder/log/slurmctld.log" "$folder/log/slurmd.n1.log" >&2
fail "not ready after a minute"
