/** Our own workers get the agents' keys first, in a bundle of their own: it is there at once. */
import type { Changes, Manifest } from '../files/manifest.ts';

const keysName = 'etc/client.keys';

/** One or two orders that together are `changes`; deletions come last. */
export function splitKeys(changes: Changes): readonly Changes[] {
  const { missing, shared, extra } = changes;
  const first = { missing: pick(missing, true), shared: pick(shared, true), extra: new Map() };
  const rest = { missing: pick(missing, false), shared: pick(shared, false), extra };
  const hasKeys = first.missing.size + first.shared.size > 0;
  const hasRest = rest.missing.size + rest.shared.size + rest.extra.size > 0;
  return hasKeys && hasRest ? [first, rest] : [changes];
}

function pick(manifest: Manifest, isKeys: boolean): Manifest {
  return new Map([...manifest].filter(([name]) => (name === keysName) === isKeys));
}
