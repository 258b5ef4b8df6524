#!/bin/sh
# Installs pilotfish-sh into /opt/pilotfish, joins, and lets cron run it; or removes it again.
#   install.sh TOKENFILE          install or upgrade, join, every 5 minutes by cron
#   install.sh --no-cron TOKENFILE
#   install.sh --remove           put the agent's own entries back, then take everything away
# DESTDIR stages the files under another root (packages); then nothing is joined and no cron touched.
set -u
umask 022
here=$(cd "$(dirname "$0")" && pwd) || exit 1
base=${DESTDIR:-}/opt/pilotfish
state=/var/lib/pilotfish-sh
mark='# pilotfish-sh'

say() { printf 'install.sh: %s\n' "$*" >&2; }

cron_lines() { crontab -l 2>/dev/null | grep -v "$mark\$"; }

set_cron() {
  command -v crontab >/dev/null 2>&1 || { say 'no crontab here: have something run /opt/pilotfish/pilotfish-sh run every 5 minutes'; return 0; }
  lines=$(cron_lines)
  {
    [ -z "$lines" ] || printf '%s\n' "$lines"
    [ "$1" = no ] || echo "0,5,10,15,20,25,30,35,40,45,50,55 * * * * /opt/pilotfish/pilotfish-sh run >/dev/null 2>&1 $mark"
  } | crontab
}

copy_files() {
  mkdir -p "$base/lib" || return 1
  for file in pilotfish-sh lib/base.sh lib/trust.sh lib/fetch.sh lib/apply.sh lib/cycle.sh \
    lib/json.awk lib/list.awk lib/address.awk lib/order.awk lib/config.awk; do
    cp "$here/$file" "$base/$file.new" && chmod 644 "$base/$file.new" && mv -f "$base/$file.new" "$base/$file" || return 1
  done
  chmod 755 "$base/pilotfish-sh"
}

remove() {
  set_cron no
  if [ -x "$base/pilotfish-sh" ] && [ -d "$state" ]; then
    "$base/pilotfish-sh" restore || {
      say "the agent's entries could not be put back; nothing was removed. See the line above"
      exit 1
    }
  fi
  rm -rf "$base" "$state"
  say 'removed; /etc/pilotfish was left alone'
}

cron=yes
[ "${1:-}" != --no-cron ] || { cron=no; shift; }
case ${1:-} in
  --remove) remove; exit 0 ;;
  '') [ -n "${DESTDIR:-}" ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; } ;;
esac
copy_files || { say "cannot write $base"; exit 1; }
[ -z "${DESTDIR:-}" ] || exit 0
"$base/pilotfish-sh" join "$1" || exit
[ "$cron" = no ] || set_cron yes
say "installed; /opt/pilotfish/pilotfish-sh plan shows what the next run would change"
