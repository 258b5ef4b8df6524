#!/bin/sh
# Installs or upgrades pilotfish on this Mac from the directory of this script; run as root.
#   sudo ./install.sh [JOIN_TOKEN]
#   PREFIX=DIR ./install.sh --lay-out     only the files, below DIR: what the pkg holds; whoever packs
#                                         them names the owner
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=${PREFIX:-}
libexec=$root/usr/local/libexec/pilotfish

owner=root:wheel
[ "$(id -u)" = 0 ] && [ "${1:-}" != --lay-out ] || owner=
[ -n "$root" ] || [ "$(id -u)" = 0 ] || { echo "run as root: sudo $0" >&2; exit 1; }
case ${1:-} in
--lay-out) ;;
*[!A-Za-z0-9._-]*) echo "this is no join token" >&2; exit 2 ;;
esac

# Whole or not at all: a running sidecar keeps the file it started from.
put() { # put NAME TO MODE
  cp "$here/$1" "$2.new"
  chmod "$3" "$2.new"
  [ -z "$owner" ] || chown "$owner" "$2.new"
  mv -f "$2.new" "$2"
}

umask 022
mkdir -p "$libexec" "$root/usr/local/bin" "$root/Library/LaunchDaemons"
[ -z "$owner" ] || chown "$owner" "$libexec"
put pilotfish "$libexec/pilotfish" 0755
put uninstall.sh "$libexec/uninstall.sh" 0755
ln -sf /usr/local/libexec/pilotfish/pilotfish "$root/usr/local/bin/pilotfish"
put org.pilotfish.sidecar.plist "$root/Library/LaunchDaemons/org.pilotfish.sidecar.plist" 0644
[ "${1:-}" != --lay-out ] || exit 0
TOKEN=${1:-} PREFIX=$root exec "$here/postinstall"
