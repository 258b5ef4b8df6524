# shellcheck shell=sh disable=SC2015,SC2016,SC2034,SC2154,SC2094,SC2012,SC2046
# The part of pilotfish-sh that touches the agent: edit, prove, swap, restart, confirm, restore.

# servers FILE: its entries, one "address port protocol" a line. Refuses what has no plain reading.
edit() {
  edit_mode=$1 edit_file=$2
  shift 2
  "$awk" -f "$lib/config.awk" -v "mode=$edit_mode" -v "final=$(has_final_break "$edit_file")" "$@" "$edit_file"
}

# 1 when the last byte is no line feed.
has_final_break() { [ "$(tail -c 1 "$1" | od -An -tx1 | tr -d ' ')" = 0a ] && echo 0 || echo 1; }

# A private copy of ossec.conf in $work/before, or a refusal. A regular file with one name only.
read_config() {
  [ -f "$config" ] && [ ! -L "$config" ] || fail 1 "E503 $config is no regular file"
  look=$(ls -ln "$config") || fail 1 "E503 $config cannot be read"
  # shellcheck disable=SC2086
  set -- $look
  perms=$1 owner=$3:$4
  [ "$2" = 1 ] || fail 1 "E503 $config has more than one name"
  case $perms in
    -[r-][w-]-[r-][w-]-[r-][w-]- | -[r-][w-]-[r-][w-]-[r-][w-]-.) ;;
    *) fail 1 "E503 $config has permissions $perms (access lists or special bits), which this program cannot keep" ;;
  esac
  mode=$(printf '%s\n' "$perms" | "$awk" '{ for (k = 0; k < 3; k++)
    printf "%d", (substr($1, 2 + 3 * k, 1) == "r") * 4 + (substr($1, 3 + 3 * k, 1) == "w") * 2 }')
  [ "$(size_of "$config")" -le 1048576 ] || fail 1 "E510 $config is larger than 1 MiB"
  cp "$config" "$work/before"
  tr -d '\000' <"$work/before" | cmp -s - "$work/before" || fail 1 "E504 $config holds NUL bytes"
  edit list "$work/before" >"$work/present" || fail 1 "E510 $config: $(sed 's/^REFUSED //' "$work/present")"
}

# draft MODE VARIABLE: $work/after, proven to differ from $work/before in the entries alone.
draft() {
  edit "$1" "$work/before" -v "$2" >"$work/after" || fail 1 "E510 $config: $(tail -n 1 "$work/after")"
  edit list "$work/after" >"$work/seen" || fail 1 'E504 the new file would not be readable; nothing written'
  edit region "$work/before" >"$work/region.before" && edit region "$work/after" >"$work/region.after"
  outside "$work/before" "$work/region.before" >"$work/outside.before"
  outside "$work/after" "$work/region.after" >"$work/outside.after"
  cmp -s "$work/outside.before" "$work/outside.after" || fail 1 'E504 a byte outside the entries would change; nothing written'
}

# The bytes of FILE before and behind the bytes of REGION, which it contains.
outside() {
  start=$("$awk" -f "$lib/config.awk" -v mode=start -v final=0 "$1")
  [ "$start" -eq 0 ] || dd if="$1" bs="$start" count=1 2>/dev/null
  tail -c "+$((start + $(size_of "$2") + 1))" "$1"
}

# Puts $work/after in place: whole or not at all, mode and owner kept, never through a link.
swap() {
  stage=$agent_home/.pilotfish
  mkdir -m 700 "$stage" 2>/dev/null
  [ -d "$stage" ] && [ ! -L "$stage" ] && owned_well "$stage" && owned_well "$agent_home" ||
    fail 1 "E503 $stage must be a directory of root in a directory that only root may write"
  [ "$(filesystem "$stage")" = "$(filesystem "$config")" ] || fail 1 "E503 $stage and $config lie on two file systems"
  rm -f "$stage/ossec.conf"
  (umask 077 && cat "$work/after" >"$stage/ossec.conf") && cmp -s "$work/after" "$stage/ossec.conf" ||
    fail 1 "E506 $stage cannot be written; the old file is untouched"
  chown "$owner" "$stage/ossec.conf" && chmod "$mode" "$stage/ossec.conf" || fail 1 'E506 owner or mode cannot be kept; nothing written'
  case $perms in *.) chcon --reference="$config" "$stage/ossec.conf" || fail 1 'E506 the security label cannot be kept' ;; esac
  agent_accepts "$stage/ossec.conf"
  sync
  cmp -s "$config" "$work/before" || fail 1 'E502 somebody edited ossec.conf meanwhile; it is tried again'
  rename_over "$stage/ossec.conf" "$config" || fail 1 'E506 ossec.conf cannot be replaced; the old file is untouched'
  sync
}

filesystem() { df -P "$1" | "$awk" 'NR == 2 { print $6 }'; }

# rename(2): mv would move into a directory that somebody put there.
rename_over() {
  if mv -T -f "$1" "$2" 2>/dev/null; then return 0; fi
  if command -v perl >/dev/null 2>&1; then
    perl -e 'exit(rename($ARGV[0], $ARGV[1]) ? 0 : 1)' "$1" "$2"
    return
  fi
  owned_well "${2%/*}" || fail 1 "E503 neither mv -T nor perl here, and others may write ${2%/*}"
  [ ! -d "$2" ] && mv -f "$1" "$2"
}

# The agent's own test of the candidate. Where it refuses the present file too, we are not to blame.
agent_accepts() {
  tester=
  for name in wazuh-agentd ossec-agentd; do [ -x "$agent_home/bin/$name" ] && tester=$agent_home/bin/$name; done
  [ -n "$tester" ] || return 0
  if limited 60 "$tester" -t -c "$1" >/dev/null 2>"$work/tested"; then return 0; fi
  cp "$work/before" "$stage/before" && chmod 600 "$stage/before"
  limited 60 "$tester" -t -c "$stage/before" >/dev/null 2>&1 || fail 1 'E504 the agent could not load its present file either; mend that first'
  fail 1 "E507 the agent would refuse the new file: $(tail -n 1 "$work/tested")"
}

restart_agent() {
  : >"$work/restarted"
  sleep 1
  if [ -n "$restart" ]; then
    limited 180 sh -c "$restart"
  elif [ -d /run/systemd/system ]; then
    limited 180 systemctl restart wazuh-agent.service
  else
    for name in wazuh-control ossec-control; do
      [ -x "$agent_home/bin/$name" ] && { limited 180 "$agent_home/bin/$name" restart; return; }
    done
    return 1
  fi
}

# The status the agent wrote about itself, after the restart when there was one; empty without any.
agent_status() {
  for name in wazuh-agentd ossec-agentd; do
    file=$agent_home/var/run/$name.state
    [ -f "$file" ] || continue
    [ ! -e "$work/restarted" ] || [ -n "$(find "$file" -newer "$work/restarted" 2>/dev/null)" ] || continue
    sed -n "s/^status='\\([a-z]*\\)'.*/\\1/p" "$file" | tail -n 1
    return
  done
}

# Waits until the agent says that it is connected.
confirm_agent() {
  waited=0
  while [ "$waited" -lt "$confirm" ]; do
    [ "$(agent_status)" = connected ] && return 0
    sleep 2
    waited=$((waited + 2))
  done
  return 1
}

# change MODE VARIABLE: edit, swap, restart, confirm; on failure the bytes that stood there before.
change() {
  draft "$1" "$2"
  if cmp -s "$work/before" "$work/after"; then return 0; fi
  keep_backups
  sha256_of "$work/after" | write_file "$state_dir/pending"
  swap
  settle_change
}

# The new file stands ($work/after): restart and confirm, or put $work/before back.
settle_change() {
  remember_restart
  if restart_agent >"$work/restart.log" 2>&1 && confirm_agent; then
    rm -f "$state_dir/pending"
    return 0
  fi
  say err "E610 the agent did not connect within $confirm s; its old file is put back"
  mv -f "$work/before" "$work/back" && mv -f "$work/after" "$work/before" && mv -f "$work/back" "$work/after"
  swap
  rm -f "$state_dir/pending"
  restart_agent >"$work/restart.log" 2>&1 && confirm_agent || say err 'E610 the agent is not connected with its old file either'
  return 1
}

# A run that was killed between swap and confirmation is taken up where it stopped.
finish_pending() {
  [ -s "$state_dir/pending" ] && [ -s "$state_dir/backup.1" ] || return 0
  read_config
  if [ "$(sha256_of "$work/before")" != "$(cat "$state_dir/pending")" ]; then
    rm -f "$state_dir/pending"
    return 0
  fi
  say warn 'an earlier run was interrupted after the swap; the agent is restarted and watched now'
  mv -f "$work/before" "$work/after"
  cp "$state_dir/backup.1" "$work/before"
  settle_change || mark_bad
}

# The first file ever met, its entries, and the last three before a change.
keep_backups() {
  [ -s "$state_dir/original.conf" ] || {
    write_file "$state_dir/original.conf" <"$work/before"
    edit region "$work/before" | write_file "$state_dir/original.entries"
  }
  [ ! -s "$state_dir/backup.2" ] || mv -f "$state_dir/backup.2" "$state_dir/backup.3"
  [ ! -s "$state_dir/backup.1" ] || mv -f "$state_dir/backup.1" "$state_dir/backup.2"
  write_file "$state_dir/backup.1" <"$work/before"
}

# Is an upgrade of the agent under way (agent-side.md 7)? What is seen for 15 minutes is a leftover.
upgrade_running() {
  for mark in "$agent_home/var/upgrade/upgrade_in_progress_pid" "$agent_home/packages_files"; do
    [ -e "$mark" ] || continue
    [ -s "$state_dir/upgrade.seen" ] || seconds_now | write_file "$state_dir/upgrade.seen"
    since=$(cat "$state_dir/upgrade.seen")
    is_number "$since" && [ $(($(seconds_now) - since)) -gt 900 ] || return 0
    return 1
  done
  rm -f "$state_dir/upgrade.seen"
  return 1
}
