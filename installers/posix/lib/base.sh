# shellcheck shell=sh disable=SC2015,SC2016,SC2034,SC2154,SC2094,SC2012,SC2046
# Ground for pilotfish-sh: messages, tools, bounded commands, base64url, small files.
# Sourced by ../pilotfish-sh. POSIX sh and utilities only; functions share one name space.

# One line for people and for syslog. Levels: info, warn, err.
say() {
  say_level=$1
  shift
  printf 'pilotfish-sh: %s: %s\n' "$say_level" "$*" >&2
  [ "$quiet_log" = yes ] || logger -t pilotfish-sh -p "daemon.$say_level" -- "$*" 2>/dev/null || :
}

# fail EXIT CODE TEXT: exits 1 failed, 2 usage, 3 degraded, 4 trust. Nothing was changed by then.
fail() {
  fail_exit=$1
  shift
  say err "$*"
  exit "$fail_exit"
}

# A known environment: whoever calls us chooses neither tools nor proxies nor certificates.
clean_environment() {
  PATH=/usr/xpg4/bin:/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/opt/freeware/bin
  LC_ALL=C
  export PATH LC_ALL
  unset http_proxy https_proxy HTTPS_PROXY ALL_PROXY all_proxy CURL_HOME SSLKEYLOGFILE OPENSSL_CONF \
    OPENSSL_MODULES LD_PRELOAD LD_LIBRARY_PATH
}

find_tools() {
  for tool in "$openssl" "$curl" "$awk" cmp dd df find fold ls od sed sync tail tr wc; do
    command -v "$tool" >/dev/null 2>&1 || fail 2 "E003 $tool is missing; see installers/posix/README.md"
  done
  version=$("$openssl" version 2>/dev/null)
  case $version in
    'OpenSSL '[3-9].* | 'OpenSSL '[1-9][0-9].*) ;;
    *) fail 2 "E003 openssl is '$version'; 3.0 or later is needed to verify Ed25519. Nothing is done without it" ;;
  esac
}

# limited SECONDS COMMAND...: ends the command when its time is over. Its stdin is /dev/null. The
# watcher looks once a second instead of being signalled: it never outlives the command for long.
limited() {
  limit=$1
  shift
  "$@" </dev/null &
  limited_job=$!
  (
    while [ "$limit" -gt 0 ] && kill -0 "$limited_job" 2>/dev/null; do
      sleep 1
      limit=$((limit - 1))
    done
    [ "$limit" -gt 0 ] || kill "$limited_job"
  ) >/dev/null 2>&1 &
  wait "$limited_job"
}

# Seconds since the Unix epoch; date +%s is newer than POSIX.
seconds_now() {
  seconds=$(date +%s 2>/dev/null)
  case $seconds in
    '' | *[!0-9]*) seconds=$("$awk" 'BEGIN { srand(); print int(srand()) }') ;;
  esac
  printf '%s\n' "$seconds"
}

# base64url on stdin (any line folding) to bytes on stdout.
decode_base64url() {
  "$awk" '{ gsub(/_/, "/"); gsub(/-/, "+"); s = s $0 }
    END { while (length(s) % 4) s = s "="; for (n = 1; n <= length(s); n += 64) print substr(s, n, 64) }' |
    "$openssl" base64 -d
}

# Processes are what a run costs on an old host: the shell cuts texts by itself where it can.
sha256_of() {
  digest=$("$openssl" dgst -sha256 -r <"$1") || return 1
  printf '%s\n' "${digest%% *}"
}

# In bytes; empty when it cannot be read.
size_of() {
  set -- $(wc -c <"$1")
  printf '%s\n' "${1:-}"
}

# value FILE PATH: one value of what json.awk or a state file holds; empty when it is not there.
value() { "$awk" -v wanted="$2" '$1 == wanted { sub(/^[^ \t]*[ \t]/, ""); print; exit }' "$1"; }

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; *) [ "${#1}" -le 16 ] ;; esac; }

is_identifier() { case $1 in '' | *[!A-Za-z0-9_-]*) return 1 ;; *) [ "${#1}" -le 64 ] ;; esac; }

# is_run PID: does it run, as one of ours? The lock outlives a reboot, and its number may be a daemon's
# by then. Where ps tells nothing the number alone counts.
is_run() {
  kill -0 "$1" 2>/dev/null || return 1
  running=$(ps -A -o pid= -o args= 2>/dev/null) && [ -n "$running" ] || return 0
  printf '%s\n' "$running" | "$awk" -v pid="$1" '$1 == pid && /pilotfish-sh/ { found = 1 } END { exit !found }'
}

# owned_well FILE: ours or root's, and nobody else may write it.
owned_well() {
  ls -ldn "$1" 2>/dev/null | "$awk" -v me="$(id -u)" \
    '{ exit !(($3 == 0 || $3 == me) && substr($1, 6, 1) != "w" && substr($1, 9, 1) != "w") }'
}

# Whole or not at all: stdin becomes the file, mode 0600.
write_file() {
  (umask 077 && cat >"$1.new") && sync && mv -f "$1.new" "$1" || fail 1 "E506 cannot write $1"
}
