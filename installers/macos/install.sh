#!/bin/sh
# Installs or upgrades pilotfish on this Mac from the directory of this script; run as root.
#   sudo ./install.sh [JOIN_TOKEN]
# PREFIX: another root than /, for tests; then nothing is started.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=${PREFIX:-}
label=org.pilotfish.sidecar
plist=$root/Library/LaunchDaemons/$label.plist
data="$root/Library/Application Support/Pilotfish"
program=$root/usr/local/libexec/pilotfish/pilotfish

[ -n "$root" ] || [ "$(id -u)" = 0 ] || { echo "run as root: sudo $0" >&2; exit 1; }
case ${1:-} in
*[!A-Za-z0-9._-]*) echo "this is no join token" >&2; exit 2 ;;
esac

own() { [ -n "$root" ] || chown root:wheel "$@"; }
# Whole or not at all: a running sidecar keeps the file it started from.
put() { # put FROM TO MODE
  cp "$1" "$2.new"
  chmod "$3" "$2.new"
  own "$2.new"
  mv -f "$2.new" "$2"
}

umask 022
mkdir -p "$root/usr/local/libexec/pilotfish" "$root/usr/local/bin" "$root/Library/LaunchDaemons" "$data"
chmod 0700 "$data"
own "$root/usr/local/libexec/pilotfish" "$data"
put "$here/pilotfish" "$program" 0755
put "$here/uninstall.sh" "$root/usr/local/libexec/pilotfish/uninstall.sh" 0755
ln -sf /usr/local/libexec/pilotfish/pilotfish "$root/usr/local/bin/pilotfish"
put "$here/$label.plist" "$plist" 0644
if [ ! -e "$data/pilotfish.yml" ]; then
  umask 077
  {
    echo "# Configuration of pilotfish. Every key: pilotfish --help"
    [ -z "${1:-}" ] || echo "joinToken: $1"
  } >"$data/pilotfish.yml.new"
  mv "$data/pilotfish.yml.new" "$data/pilotfish.yml"
fi
[ -z "$root" ] || exit 0
launchctl bootout "system/$label" 2>/dev/null || true
if [ -e "$data/state/token" ] || grep -q '^joinToken:' "$data/pilotfish.yml"; then
  launchctl bootstrap system "$plist"
else
  echo "next: sudo pilotfish join TOKEN, then sudo launchctl bootstrap system $plist"
fi
