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

# Leaves the table of root in $table. One that is there and cannot be read is never written over.
read_cron() {
  if table=$(crontab -l 2>/dev/null); then return 0; fi
  table=
  for file in /var/spool/cron/crontabs/root /var/spool/cron/root /var/spool/cron/tabs/root /var/cron/tabs/root; do
    [ ! -s "$file" ] || { say "crontab -l fails, but $file is there: the table was left as it is"; return 1; }
  done
}

has_cron() { printf '%s\n' "$table" | grep "$mark\$" >/dev/null; }

# From a file: not every crontab reads its standard input.
set_cron() {
  lines=$(printf '%s\n' "$table" | grep -v "$mark\$")
  {
    [ -z "$lines" ] || printf '%s\n' "$lines"
    [ "$1" = no ] || echo "0,5,10,15,20,25,30,35,40,45,50,55 * * * * /opt/pilotfish/pilotfish-sh run >/dev/null 2>&1 $mark"
  } >"$base/crontab.new" && crontab "$base/crontab.new"
}

start_cron() {
  command -v crontab >/dev/null 2>&1 || { say 'no crontab here: have something run /opt/pilotfish/pilotfish-sh run every 5 minutes'; return 0; }
  if read_cron && set_cron yes; then return 0; fi
  say 'crontab took no line: have something run /opt/pilotfish/pilotfish-sh run every 5 minutes'
  return 1
}

copy_files() {
  mkdir -p "$base/lib" || return 1
  for file in pilotfish-sh lib/base.sh lib/trust.sh lib/fetch.sh lib/apply.sh lib/cycle.sh \
    lib/json.awk lib/list.awk lib/address.awk lib/order.awk lib/config.awk; do
    cp "$here/$file" "$base/$file.new" && chmod 644 "$base/$file.new" && mv -f "$base/$file.new" "$base/$file" || return 1
  done
  chmod 755 "$base/pilotfish-sh"
}

# Where the applier keeps its state; a folder that holds none of it is not ours to remove.
find_state() {
  conf=${PILOTFISH_CONF:-/etc/pilotfish/pilotfish-sh.conf}
  named=$(sed -n 's/^state_dir=//p' "$conf" 2>/dev/null | tail -n 1)
  [ -z "$named" ] || [ ! -s "$named/token" ] || state=$named
}

# The line of cron goes first: a run in between would write the list again.
remove() {
  find_state
  had=no
  if command -v crontab >/dev/null 2>&1 && read_cron && has_cron; then
    had=yes
    set_cron no || { say 'the line in the table of cron could not be removed; nothing was'; exit 1; }
  fi
  if [ -x "$base/pilotfish-sh" ] && [ -d "$state" ]; then
    "$base/pilotfish-sh" restore || {
      [ "$had" = no ] || set_cron yes
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
[ "$cron" = no ] || start_cron || exit 1
say "installed; /opt/pilotfish/pilotfish-sh plan shows what the next run would change"
