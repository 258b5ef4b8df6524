/**
 * The two programs of a stand-in agent home: `bin/wazuh-agentd` (goes to the background like the
 * real one, `-f` stays, `-t` tests) and `bin/wazuh-control` (start stop restart reload status
 * info). POSIX sh; everything they run is named by absolute path.
 */

export interface ScriptPaths {
  readonly home: string;
  /** Node that runs the stand-in. */
  readonly node: string;
  /** The stand-in agent's program. */
  readonly agent: string;
  /** Further flags of the agent, already checked to need no quoting. */
  readonly flags: readonly string[];
}

/** `restart` waits this long for a stop before SIGKILL, as wazuh-control does. */
const stopWaitS = 30;

export function agentdScript({ home, node, agent, flags }: ScriptPaths): string {
  return `#!/bin/sh
# Stand-in for wazuh-agentd (see test/fakes/agent.ts). -f: stay in the foreground, -t: test only.
home='${home}'
config="$home/etc/ossec.conf"
mode=daemon
while [ $# -gt 0 ]; do
  case "$1" in
    -t) mode=test ;;
    -f) mode=foreground ;;
    -d) ;;
    -c) shift; config="$1" ;;
    *) echo "wazuh-agentd (stand-in): unknown option $1" >&2; exit 1 ;;
  esac
  shift
done
[ "$mode" = test ] && exec '${node}' '${agent}' --home "$home" -t -c "$config"
set -- '${node}' '${agent}' --home "$home" -c "$config" --keep ${flags.join(' ')}
[ "$mode" = foreground ] && exec "$@"
# A shell stays as its parent and reaps it: in containers process 1 often does not, and a zombie
# looks alive to kill -0.
note="$home/var/run/.start-$$"
rm -f "$note"
setsid nohup sh -c 'note="$1"; shift; "$@" & echo $! >"$note.new"; mv "$note.new" "$note"; wait' \
  reaper "$note" "$@" </dev/null >/dev/null 2>&1 &
tries=0
while [ "$tries" -lt 1000 ]; do
  tries=$((tries + 1))
  sleep 0.02
  [ -e "$note" ] || continue
  pid=$(cat "$note")
  [ -e "$home/var/run/wazuh-agentd-$pid.pid" ] && { rm -f "$note"; exit 0; }
  kill -0 "$pid" 2>/dev/null || break
done
rm -f "$note"
echo "wazuh-agentd (stand-in): did not start, see $home/logs/ossec.log" >&2
exit 1
`;
}

export function controlScript({ home }: ScriptPaths): string {
  return `#!/bin/sh
# Stand-in for wazuh-control: manages the stand-in agentd of this home, and only that.
home='${home}'
version='v4.14.8'

pids() {
  for file in "$home"/var/run/wazuh-agentd-*.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    if kill -0 "$pid" 2>/dev/null; then echo "$pid"; else rm -f "$file"; fi
  done
}

start() {
  if [ -n "$(pids)" ]; then echo "wazuh-agentd already running..."; return 0; fi
  if "$home/bin/wazuh-agentd"; then echo "Started wazuh-agentd..."; return 0; fi
  echo "wazuh-agentd did not start correctly."
  return 1
}

stop() {
  for pid in $(pids); do
    echo "Killing wazuh-agentd..."
    kill -TERM "$pid" 2>/dev/null
    waited=0
    while kill -0 "$pid" 2>/dev/null; do
      if [ "$waited" -ge ${stopWaitS * 20} ]; then kill -KILL "$pid"; break; fi
      waited=$((waited + 1))
      sleep 0.05
    done
    rm -f "$home/var/run/wazuh-agentd-$pid.pid"
  done
}

case "$1" in
  start) "$home/bin/wazuh-agentd" -t || exit 1; start ;;
  stop) stop ;;
  restart)
    "$home/bin/wazuh-agentd" -t || { echo "wazuh-agentd: Configuration error. Exiting"; exit 1; }
    stop
    start ;;
  reload) for pid in $(pids); do kill -USR1 "$pid"; done ;;
  status)
    if [ -n "$(pids)" ]; then echo "wazuh-agentd is running..."; exit 0; fi
    echo "wazuh-agentd not running..."
    exit 1 ;;
  info)
    case "$2" in
      -v) echo "$version" ;;
      -r) echo "rc0" ;;
      -t) echo "agent" ;;
      *) printf 'WAZUH_VERSION="%s"\\nWAZUH_REVISION="rc0"\\nWAZUH_TYPE="agent"\\n' "$version" ;;
    esac ;;
  *) echo "Usage: $0 {start|stop|restart|reload|status|info [-v|-r|-t]}   (stand-in)"; exit 1 ;;
esac
`;
}
