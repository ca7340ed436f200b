#!/bin/sh
# Installs the Debian packages that some of the tests want: a SLURM for one machine and a browser. Where that cannot be
# done (no root, no apt, no network) it says so and succeeds: those tests are then skipped with the reason.
# Arguments: other packages instead.
set -eu
[ $# -gt 0 ] || set -- slurmctld slurmd slurm-client munge chromium chromium-driver

missing=
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

skipped() {
    echo "system.sh: $1, so these are not installed:$missing (tests that need them are skipped)" >&2
    exit 0
}
command -v apt-get >/dev/null || skipped "no apt-get here"
[ "$(id -u)" = 0 ] || skipped "not run as root"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
patience="-o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o Acquire::Retries=1 -o DPkg::Lock::Timeout=120"
# --no-install-recommends leaves out a mail server, Python and Perl tools
# shellcheck disable=SC2086
{ apt-get $patience update && apt-get $patience install --yes --no-install-recommends $missing; } >"$log" 2>&1 || {
    tail -n 3 "$log" >&2
    skipped "apt-get failed"
}
echo "system.sh: installed$missing"
