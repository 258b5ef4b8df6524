#!/bin/sh
# Maintainer scripts of the package pilotfish-publisher; deb and rpm call the same steps.
set -eu

state=/var/lib/pilotfish-publisher
again=/usr/lib/pilotfish-publisher/installed-again

has_systemd() { [ -d /run/systemd/system ]; }

set_up() {
  getent group pilotfish-publisher >/dev/null || groupadd --system pilotfish-publisher
  getent passwd pilotfish-publisher >/dev/null ||
    useradd --system --gid pilotfish-publisher --home-dir "$state" --no-create-home \
      --shell /usr/sbin/nologin pilotfish-publisher
  install -d -m 0700 -o pilotfish-publisher -g pilotfish-publisher "$state"
}

# client.keys (readiness of managers, proof of agents' reports) is readable for the manager's group;
# the unit keeps everything of the manager read-only. A manager installed later triggers this again.
join_manager_group() {
  for group in wazuh wazuh-manager ossec; do
    getent group "$group" >/dev/null || continue
    id -nG pilotfish-publisher | tr ' ' '\n' | grep -qx "$group" && continue
    if usermod -a -G "$group" pilotfish-publisher; then changed_group=yes; fi
  done
}

# Groups of a process are those of its start.
after_manager() {
  changed_group=no
  join_manager_group
  if [ "$changed_group" = yes ] && has_systemd; then
    systemctl try-restart pilotfish-publisher.service || true
  fi
}

# A service manager that refuses (a masked unit, a bus that is away) has said why; a package that is
# left half installed would stand in the way of the manager's own.
start_services() { # start_services fresh|again
  if command -v systemctl >/dev/null; then
    if has_systemd; then systemctl daemon-reload || true; fi
    [ "$1" = again ] || systemctl --quiet enable pilotfish-publisher.service || true
  fi
  if has_systemd; then
    if [ "$1" = again ]; then
      systemctl try-restart pilotfish-publisher.service || true
    else
      systemctl start --no-block pilotfish-publisher.service || true
    fi
  elif [ ! -e /etc/init.d/pilotfish-publisher ] && [ -d /etc/init.d ]; then
    kind=sysv
    command -v openrc-run >/dev/null && kind=openrc
    install -m 0755 "/usr/lib/pilotfish-publisher/init/$kind" /etc/init.d/pilotfish-publisher
  fi
  if [ ! -e "$state/publisher.yml" ]; then
    echo "pilotfish-publisher: next: pilotfish-publisher init …, then systemctl start pilotfish-publisher"
  fi
}

tear_down() {
  if has_systemd; then systemctl stop pilotfish-publisher.service || true; fi
  if [ -x /etc/init.d/pilotfish-publisher ]; then /etc/init.d/pilotfish-publisher stop || true; fi
  if command -v systemctl >/dev/null; then
    systemctl --quiet disable pilotfish-publisher.service 2>/dev/null || true
  fi
  rm -f /etc/init.d/pilotfish-publisher
}

# Behind a removal dpkg tells `configure` the version of before, as for an upgrade; only here it says
# which it is.
deb_preinst() {
  [ "$1" = install ] && [ -n "${2:-}" ] || return 0
  install -d -m 0755 "${again%/*}"
  : >"$again"
}

deb_postinst() {
  [ "$1" != triggered ] || after_manager
  [ "$1" != abort-remove ] || start_services fresh
  [ "$1" = configure ] || return 0
  set_up
  join_manager_group
  if [ -z "${2:-}" ] || [ -e "$again" ]; then
    start_services fresh
    rm -f "$again"
  else
    start_services again
  fi
}

deb_prerm() {
  [ "$1" = remove ] || return 0
  tear_down
}

# Keys that every agent trusts lie in the state: purging is final.
deb_postrm() {
  if has_systemd; then systemctl daemon-reload || true; fi
  [ "$1" = purge ] || return 0
  rm -rf "$state"
  if getent passwd pilotfish-publisher >/dev/null; then userdel pilotfish-publisher || true; fi
  if getent group pilotfish-publisher >/dev/null; then groupdel pilotfish-publisher || true; fi
}

rpm_post() {
  set_up
  join_manager_group
  if [ "$1" = 1 ]; then start_services fresh; else start_services again; fi
}

rpm_preun() {
  [ "$1" = 0 ] || return 0
  tear_down
}

rpm_postun() {
  if has_systemd; then systemctl daemon-reload || true; fi
}

rpm_triggerin() { after_manager; }
