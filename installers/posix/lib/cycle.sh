# shellcheck shell=sh disable=SC2015,SC2016,SC2034,SC2154,SC2094,SC2012,SC2046
# One cycle of pilotfish-sh: list -> judge -> order -> compare -> change, and what is remembered.
# The list is the same for every host; the order is this agent's own. Health is a condition of a
# move, never a reason for one: the agent's own loop leaves dead managers.

# Judges $work/list.txt against root, state and the list known here. Status: the exit code.
judge_list() {
  known=/dev/null
  [ ! -s "$state_dir/list.txt" ] || known=$state_dir/list.txt
  if [ -s "$state_dir/state" ]; then state_values; else : >"$work/state"; fi
  now=$(seconds_now)
  floor=$(value "$work/state" floor)
  if is_number "$floor" && [ "$floor" -gt "$now" ] && [ "$floor" -le $((now + 86400)) ]; then now=$floor; fi
  "$awk" -f "$lib/address.awk" -f "$lib/list.awk" -v "org=$org" -v "group=$group" -v "site=$site" \
    -v "zone=$zone" -v "now=$now" -v "fresh=$fresh" -v "rescue=$rescue" as=root "$work/root.json" \
    as=state "$work/state" as=known "$known" as=list "$work/list.txt" >"$work/verdict" && return 0
  verdict_exit=4 verdict_text='E411 not readable'
  [ ! -s "$work/verdict" ] || read -r verdict_exit verdict_text <"$work/verdict"
  say err "$publisher: $verdict_text; the last good list stays"
  return "$verdict_exit"
}

# The state without its last line, which is the sum of the others; the older copy when it is damaged.
state_values() {
  for copy in "$state_dir/state" "$state_dir/state.old"; do
    [ -s "$copy" ] || continue
    sed '$d' "$copy" >"$work/state"
    [ "$(value "$copy" sum)" = "$(sha256_of "$work/state")" ] && return 0
  done
  fail 1 'E701 both copies of the state are damaged; join again'
}

# remember: position, hash and time floor of $work/list.txt; the list first, then the state.
remember_list() {
  write_file "$state_dir/list.txt" <"$work/list.txt"
  {
    "$awk" '$1 ~ /^(epoch|term|version|hash)$/' "$work/list.txt"
    "$awk" -v "floor=${floor:-0}" -v "now=$now" '$1 == "issued" {
      print "floor", ($2 > floor && $2 <= now + 86400) ? $2 : floor }' "$work/list.txt"
  } >"$work/state.next"
  { cat "$work/state.next" && echo "sum $(sha256_of "$work/state.next")"; } >"$work/state.whole"
  [ ! -s "$state_dir/state" ] || cp "$state_dir/state" "$state_dir/state.old"
  write_file "$state_dir/state" <"$work/state.whole"
}

agent_name() {
  [ -z "$agent_id" ] || { printf '%s\n' "$agent_id"; return; }
  id=$(sed -n 's/^\([0-9][0-9]*\) .*/\1/p' "$agent_home/etc/client.keys" 2>/dev/null | tail -n 1)
  printf '%s\n' "${id:-$(hostname)}"
}

# digits TEXT: the first 52 bits of its SHA-256 as 13 hexadecimal digits.
digits() {
  digest=$(printf '%s' "$1" | "$openssl" dgst -sha256 -r) || return 1
  printf '%s\n' "${digest%"${digest#?????????????}"}"
}

# $work/wanted: "address port protocol id state", best first.
order_list() {
  agent=$(agent_name)
  for id in $("$awk" '$1 == "manager" { print $2 }' "$1"); do
    echo "$id $(digits "$agent
$id")"
  done >"$work/digits"
  "$awk" -v "zone=$zone" -f "$lib/order.awk" "$work/digits" "$1" >"$work/wanted"
  [ -s "$work/wanted" ] || fail 4 'E411 the list leaves no manager'
}

# Is this agent in the wave of a staged rollout? The same share as on every other host.
in_wave() {
  set -- $("$awk" '$1 == "rollout" { print $3, $4 }' "$work/list.txt")
  [ $# = 2 ] || return 0
  "$awk" -v "hex=$(digits "$1$(agent_name)")" -v "pct=$2" 'BEGIN {
    for (k = 1; k <= 13; k++) sum = sum * 16 + index("0123456789abcdef", substr(hex, k, 1)) - 1
    exit !(sum % 10000 < pct * 100) }'
}

# Why the file must change: another set of managers, or the first one is leaving. Prints the reason.
why_change() {
  "$awk" '{ $0 = tolower($0) }
    FNR == NR { wanted[$1 " " $2 " " $3] = $5; n++; next }
    FNR == 1 { first = $1 " " $2 " " $3 }
    { m++; if (!(($1 " " $2 " " $3) in wanted)) { print "the list no longer names " $1; found = 1; exit } }
    END {
      if (found) exit
      if (n != m) print "the list names other managers"
      else if (wanted[first] != "up") for (w in wanted) if (wanted[w] == "up") { print first " is " wanted[first]; exit }
    }' "$work/wanted" "$work/present"
}

# Is the agent's first server a load balancer that the list names? It is not moved around it.
behind_balancer() {
  "$awk" 'FNR == NR { if (FNR == 1) first = tolower($1 " " $2); next }
    $1 == "balancer" && tolower($2 " " $3) == first { found = 1 }
    END { exit !found }' "$work/present" "$work/list.txt"
}

# Does a manager answer as one does (#ping, #pong)? The first that does goes to the front.
prove_manager() {
  [ "$probe" = yes ] || return 0
  while read -r address port protocol id state; do
    [ "$protocol" = tcp ] && [ "$state" = up ] || continue
    case $address in *:*) at="[$address]" ;; *) at=$address ;; esac
    { printf '\005\000\000\000#ping' && sleep 1; } | "$curl" -q -s --noproxy '*' --max-time 3 "telnet://$at:$port" 2>/dev/null |
      dd bs=1 count=9 2>/dev/null | tr -d '\000-\037' | grep '#pong' >/dev/null || continue
    "$awk" -v id="$id" '$4 == id { print; next } { rest = rest $0 "\n" } END { printf "%s", rest }' "$work/wanted" >"$work/wanted.new"
    mv -f "$work/wanted.new" "$work/wanted"
    return 0
  done <"$work/wanted"
  return 1
}

# may_restart: the root's and our own least time between two restarts is over.
may_restart() {
  last=$(cat "$state_dir/restarted" 2>/dev/null)
  is_number "$last" || return 0
  least=$(value "$work/root.json" constraints.minApplyInterval)
  [ "$least" -gt "$min_interval" ] || least=$min_interval
  [ $(($(seconds_now) - last)) -ge "$least" ]
}

remember_restart() { seconds_now | write_file "$state_dir/restarted"; }

# A list that failed here is not tried again for an hour, unless a newer one comes.
is_bad() {
  [ -s "$state_dir/bad" ] || return 1
  read -r bad_hash bad_at <"$state_dir/bad"
  [ "$bad_hash" = "$(value "$work/list.txt" hash)" ] && is_number "$bad_at" && [ $(($(seconds_now) - bad_at)) -lt 3600 ]
}

# The whole cycle. With plan=yes nothing is remembered and nothing touched.
cycle() {
  load_trust
  [ "$plan" = yes ] || finish_pending
  poll || fail "$poll_exit" 'E406 no publisher gave a list that proves itself; the last good list stays'
  [ "$plan" = yes ] || remember_list
  order_list "$work/list.txt"
  read_config
  ! behind_balancer || { say info "list $(value "$work/list.txt" version): behind a load balancer, nothing to do"; return 0; }
  reason=$(why_change)
  [ -n "$reason" ] || { say info "list $(value "$work/list.txt" version): nothing to do"; return 0; }
  cut -d ' ' -f 1-3 "$work/wanted" >"$work/entries"
  if [ "$plan" = yes ]; then
    draft edit "wanted=$work/entries"
    diff "$work/before" "$work/after"
    say info "would change: $reason"
    exit 3
  fi
  [ ! -e "$state_dir/paused" ] || fail 3 "held: $state_dir/paused exists ($reason)"
  in_wave || { say info "held: this agent is not in the wave of the rollout ($reason)"; return 0; }
  ! upgrade_running || fail 3 "E508 an upgrade of the agent is under way ($reason)"
  may_restart || fail 3 "E602 held: the last restart is too young ($reason)"
  ! is_bad || fail 3 'E610 held: this very list failed here within the last hour'
  spread_out
  prove_manager || fail 3 'E410 no manager of the new list answers; the present entries stay'
  cut -d ' ' -f 1-3 "$work/wanted" >"$work/entries"
  read_config
  if change edit "wanted=$work/entries"; then
    say info "list $(value "$work/list.txt" version) applied: $reason"
    rm -f "$state_dir/bad"
    return 0
  fi
  mark_bad
  exit 3
}

mark_bad() { printf '%s %s\n' "$(value "$state_dir/list.txt" hash)" "$(seconds_now)" | write_file "$state_dir/bad"; }

# A moment of this agent's own within the list's spread, so that a fleet under cron does not stampede.
spread_out() {
  range=$(value "$work/list.txt" spread)
  [ -z "$spread" ] || range=$spread
  [ "$range" -gt 0 ] || return 0
  sleep "$("$awk" -v "hex=$(digits "$(agent_name)")" -v "range=$range" 'BEGIN {
    for (k = 1; k <= 6; k++) sum = sum * 16 + index("0123456789abcdef", substr(hex, k, 1)) - 1
    print sum % (range + 1) }')"
}

# Token and root as they were accepted here. The root is the one whose hash was written down.
load_trust() {
  [ -s "$state_dir/token" ] || fail 2 'E012 not joined; run: pilotfish-sh join FILE'
  read_token "$state_dir/token"
  load_root
}

# The root accepted before: the bytes whose hash was written down then need no second proof. A kill
# between its two files leaves the pair of before.
load_root() {
  [ -s "$state_dir/root" ] || return 0
  for pair in root:root.hash root.old:root.old.hash root:root.old.hash; do
    [ -s "$state_dir/${pair%:*}" ] && [ -s "$state_dir/${pair#*:}" ] || continue
    open_envelope "$state_dir/${pair%:*}" kept || continue
    [ "sha256:$(sha256_of "$work/kept.raw")" = "$(value "$state_dir/${pair#*:}" hash)" ] || continue
    flatten "$work/kept.raw" "$work/root.json" && return 0
  done
  fail 1 "E701 $state_dir/root is damaged; remove $state_dir and join again"
}
