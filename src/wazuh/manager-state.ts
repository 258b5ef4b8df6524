/**
 * Wazuh's own state files of a manager (`var/run/*.state`): `name='value'` lines, rewritten every
 * few seconds. Read for the queues that are about to overflow; what is not there says nothing.
 */

/** The values of a state file; comments and what is no such line are left out. */
export function parseManagerState(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^([a-z_]{1,64})='(-?[0-9]{1,15}(?:\.[0-9]{1,9})?)'/.exec(line) ?? [];
    if (name !== undefined) found.set(name, Number(value));
  }
  return found;
}

/** The highest share of a queue in use, 0 to 1: analysisd tells shares, remoted sizes. */
export function queueUsage(state: ReadonlyMap<string, number>): number {
  const shares = [...state]
    .filter(([name]) => name.endsWith('_queue_usage'))
    .map(([, value]) => value);
  const [used = 0, whole = 0] = [state.get('queue_size'), state.get('total_queue_size')];
  return Math.max(0, ...shares, whole === 0 ? 0 : used / whole);
}
