#!/bin/sh
# Maintainer scripts of the package pilotfish; deb and rpm call the same steps. Settings of a first
# installation may come in the environment, as with the agent's own package:
#   PILOTFISH_JOIN_TOKEN, PILOTFISH_ZONE, PILOTFISH_APPLY_MODE, PILOTFISH_MAINTENANCE_WINDOW
set -eu

state=/var/lib/pilotfish
applier=/var/lib/pilotfish-apply
config=/etc/pilotfish/pilotfish.yml
again=/usr/lib/pilotfish/installed-again

has_systemd() { [ -d /run/systemd/system ]; }

make_user() {
  getent group pilotfish >/dev/null || groupadd --system pilotfish
  getent passwd pilotfish >/dev/null ||
    useradd --system --gid pilotfish --home-dir "$state" --no-create-home \
      --shell /usr/sbin/nologin pilotfish
}

# The agent's files are readable for its group; an agent installed later triggers this again.
join_agent_group() {
  for group in wazuh ossec; do
    getent group "$group" >/dev/null || continue
    id -nG pilotfish | tr ' ' '\n' | grep -qx "$group" && continue
    if usermod -a -G "$group" pilotfish; then changed_group=yes; fi
  done
}

# Nothing below $state is root's to make or to give away: its user may have put a link there.
make_folders() {
  install -d -m 0700 -o pilotfish -g pilotfish "$state"
  install -d -m 0755 -o root -g root "$applier" "$applier/results"
  install -d -m 0750 -o root -g pilotfish /etc/pilotfish
}

# value NAME: what the environment says, if it may stand between quotes in YAML.
value() {
  eval "text=\${$1:-}"
  case $text in
  *[!A-Za-z0-9._:,\ -]*)
    echo "pilotfish: $1 is not used: unexpected characters" >&2
    ;;
  *) printf %s "$text" ;;
  esac
}

write_config() {
  [ -e "$config" ] && return
  token=$(value PILOTFISH_JOIN_TOKEN) zone=$(value PILOTFISH_ZONE)
  mode=$(value PILOTFISH_APPLY_MODE) window=$(value PILOTFISH_MAINTENANCE_WINDOW)
  umask 027
  {
    echo "# Configuration of pilotfish. Every key: pilotfish --help"
    [ -z "$token" ] || echo "joinToken: '$token'"
    [ -z "$zone" ] || echo "zone: '$zone'"
    if [ -n "$mode$window" ]; then
      echo "apply:"
      [ -z "$mode" ] || echo "  mode: '$mode'"
      [ -z "$window" ] || echo "  windows: ['$window']"
    fi
  } >"$config.new"
  chgrp pilotfish "$config.new"
  mv "$config.new" "$config"
}

may_start() { [ -e "$state/token" ] || grep -q '^joinToken:' "$config"; }

# A resident sidecar unless somebody chose the timer.
timer_chosen() { systemctl --quiet is-enabled pilotfish-once.timer 2>/dev/null; }

# A service manager that refuses (a masked unit, a bus that is away) has said why; a package that is
# left half installed would stand in the way of the agent's own.
start_services() { # start_services fresh|again
  if command -v systemctl >/dev/null; then
    if has_systemd; then systemctl daemon-reload || true; fi
    if [ "$1" = fresh ] && ! timer_chosen; then
      systemctl --quiet enable pilotfish-apply.path pilotfish.service || true
    fi
  fi
  if has_systemd; then
    if [ "$1" = again ]; then
      systemctl try-restart pilotfish-apply.path pilotfish.service || true
    elif may_start && ! timer_chosen; then
      systemctl start pilotfish-apply.path || true
      systemctl start --no-block pilotfish.service || true
    fi
  elif [ ! -e /etc/init.d/pilotfish ] && [ -d /etc/init.d ]; then
    kind=sysv
    command -v openrc-run >/dev/null && kind=openrc
    install -m 0755 "/usr/lib/pilotfish/init/$kind" /etc/init.d/pilotfish
  fi
  if [ "$1" = fresh ] && ! may_start; then
    echo "pilotfish: next: pilotfish join TOKEN, then systemctl start pilotfish"
  fi
}

# After `restore` this host holds still; a new installation takes the list again.
end_hold() { [ ! -e "$state/token" ] || /usr/bin/pilotfish resume >/dev/null || true; }

stop_services() {
  if has_systemd; then
    systemctl stop pilotfish-once.timer pilotfish.service pilotfish-once.service \
      pilotfish-relay.socket pilotfish-relay-guard.socket pilotfish-apply.path \
      pilotfish-apply.service || true
  elif [ -x /etc/init.d/pilotfish ]; then
    /etc/init.d/pilotfish stop || true
  fi
}

put_back() { timeout 300 /usr/bin/pilotfish restore --original --package-removal "$@"; }

# A configuration that cannot be read (exit 2) is no reason to leave a dead relay in ossec.conf: then the
# defaults do, unless it names another home of the agent.
put_back_somehow() {
  put_back && return
  [ $? = 2 ] && ! sed 's/#.*//' "$config" | grep -Eq '(home|config).?[[:space:]]*:' || return 1
  put_back --config /dev/null
}

# The server entries as they were before us; the agent goes back to them. Nothing written: no work.
restore_agent() {
  [ -e "$applier/backups/original.conf" ] || return 0
  if put_back_somehow; then
    rm -f "$applier/unrestored"
  else
    : >"$applier/unrestored"
    echo "pilotfish: ossec.conf was not restored; the copy: $applier/backups/original.conf" >&2
  fi
}

disable_services() {
  if command -v systemctl >/dev/null; then
    systemctl --quiet disable pilotfish-once.timer pilotfish.service pilotfish-relay.socket \
      pilotfish-relay-guard.socket pilotfish-apply.path 2>/dev/null || true
  fi
  rm -f /etc/init.d/pilotfish
}

forget() {
  # A backup whose restore failed is the only copy: it stays.
  if [ -e "$applier/unrestored" ]; then
    echo "pilotfish: kept $applier/backups" >&2
    rm -rf "$state" /etc/pilotfish
  else
    rm -rf "$state" "$applier" /etc/pilotfish
  fi
  if getent passwd pilotfish >/dev/null; then userdel pilotfish || true; fi
  if getent group pilotfish >/dev/null; then groupdel pilotfish || true; fi
}

# Behind a removal dpkg tells `configure` the version of before, as for an upgrade; only here it says
# which it is.
deb_preinst() {
  [ "$1" = install ] && [ -n "${2:-}" ] || return 0
  install -d -m 0755 "${again%/*}"
  : >"$again"
}

deb_postinst() {
  case $1 in
  configure)
    make_user
    join_agent_group
    make_folders
    write_config
    if [ -z "${2:-}" ] || [ -e "$again" ]; then
      end_hold
      start_services fresh
      rm -f "$again"
    else
      start_services again
    fi
    ;;
  # What prerm stopped and put back: the package stays, so does its work.
  abort-remove)
    end_hold
    start_services fresh
    ;;
  triggered)
    changed_group=no
    join_agent_group
    if [ "$changed_group" = yes ] && has_systemd; then
      systemctl try-restart pilotfish.service || true
    fi
    ;;
  esac
}

deb_prerm() {
  [ "$1" = remove ] || return 0
  stop_services
  restore_agent
  disable_services
}

deb_postrm() {
  if has_systemd; then systemctl daemon-reload || true; fi
  [ "$1" = purge ] || return 0
  forget
}

rpm_post() { # 1: first installation; 2: upgrade
  make_user
  join_agent_group
  make_folders
  write_config
  if [ "$1" = 1 ]; then
    end_hold
    start_services fresh
  else
    start_services again
  fi
}

rpm_preun() { # 0: the last one goes
  [ "$1" = 0 ] || return 0
  stop_services
  restore_agent
  disable_services
}

# rpm knows no purge: what the host was asked to keep stays; installers/linux/README.md has the line.
rpm_postun() {
  if has_systemd; then systemctl daemon-reload || true; fi
}

rpm_triggerin() {
  changed_group=no
  join_agent_group
  if [ "$changed_group" = yes ] && has_systemd; then
    systemctl try-restart pilotfish.service || true
  fi
}
