#!/bin/sh
# Puts the agent's server entries back as they were before us and removes pilotfish; run as root.
#   sudo ./uninstall.sh [--purge]     --purge: configuration and state too
# PREFIX: another root than /, for tests.
set -eu
root=${PREFIX:-}
label=org.pilotfish.sidecar
data="$root/Library/Application Support/Pilotfish"
program=$root/usr/local/libexec/pilotfish/pilotfish

[ -n "$root" ] || [ "$(id -u)" = 0 ] || { echo "run as root: sudo $0" >&2; exit 1; }
# A configuration that cannot be read (exit 2) is no reason to leave our entries in ossec.conf: then the
# defaults do, unless it names another home of the agent.
put_back() {
  "$program" restore --original && return
  [ $? = 2 ] && ! sed 's/#.*//' "$data/pilotfish.yml" | grep -Eq '(home|config).?[[:space:]]*:' || return 1
  "$program" restore --original --config /dev/null
}

launchctl bootout "system/$label" 2>/dev/null || true
restored=yes
if [ -e "$data/state/applier/backups/original.conf" ]; then
  # First: a hold without it would outlast the next installation.
  touch "$data/torn-down" || true
  put_back || restored=no
fi
rm -f "$root/Library/LaunchDaemons/$label.plist" "$root/usr/local/bin/pilotfish"
rm -rf "$root/usr/local/libexec/pilotfish"
[ -n "$root" ] || pkgutil --forget "$label" >/dev/null 2>&1 || true
if [ "${1:-}" = --purge ] && [ "$restored" = yes ]; then rm -rf "$data"; fi
if [ "$restored" = no ]; then
  echo "ossec.conf was not restored; the copy: $data/state/applier/backups/original.conf" >&2
  exit 1
fi
