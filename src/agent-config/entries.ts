/** The server entries a file holds, effective or not, and which of them a wanted one keeps. */
import { normalAddress } from './address.ts';
import { deprecatedServer, isDeprecatedEntry } from './client-section.ts';
import type { Dialect } from './dialect.ts';
import { contentOf, type Element } from './element.ts';
import type { LoadedServer } from './loaded.ts';
import { readServerBlock } from './server-block.ts';
import type { ConfigReading } from './servers.ts';
import type { Target } from './wish.ts';

export type Readable = Exclude<ConfigReading, { readonly kind: 'refused' }>;

/** Sections in which this dialect keeps its servers. */
export function ownSections(reading: Readable, dialect: Dialect): readonly Element[] {
  const name = dialect === '4' ? 'client' : 'agent';
  return reading.roots.flatMap((root) => root.children.filter((child) => child.name === name));
}

/** Every entry in document order. In 5.x also those a later one overrides. */
export function listEntries(
  bytes: Uint8Array,
  reading: Readable,
  dialect: Dialect,
): readonly LoadedServer[] {
  if (dialect === '4') return reading.servers;
  return ownSections(reading, dialect).flatMap((section) =>
    section.children.flatMap((child) => {
      if (isDeprecatedEntry(child)) {
        return [deprecatedServer(child, section, contentOf(bytes, child))];
      }
      if (child.name !== 'server' && child.name !== 'manager') return [];
      return [readServerBlock(bytes, dialect, child, section)];
    }),
  );
}

/** For each target the index of the entry it keeps; each entry is kept at most once. */
export function matchEntries(
  entries: readonly LoadedServer[],
  targets: readonly Target[],
  dialect: Dialect,
): readonly (number | undefined)[] {
  const free = new Set(entries.keys());
  const take = (fits: (entry: LoadedServer) => boolean): number | undefined => {
    for (const index of free) {
      const entry = entries[index];
      if (entry === undefined || !fits(entry)) continue;
      free.delete(index);
      return index;
    }
    return undefined;
  };
  const exact = targets.map((target) =>
    take((entry) => isKeepable(entry, target) && hasPlace(entry, target, dialect)),
  );
  return targets.map((target, index) => exact[index] ?? take((entry) => isKeepable(entry, target)));
}

/** Deprecated spellings are converted, never kept. */
function isDeprecated(entry: LoadedServer): boolean {
  return entry.form === 'server-ip' || entry.form === 'server-hostname';
}

function isKeepable(entry: LoadedServer, target: Target): boolean {
  if (isDeprecated(entry)) return false;
  return normalAddress(entry.address) === normalAddress(target.address);
}

function hasPlace(entry: LoadedServer, target: Target, dialect: Dialect): boolean {
  return entry.port === target.port && (dialect === '5' || entry.protocol === target.protocol);
}

/** Whether the agent would do exactly what `target` asks for with this entry. */
export function isAsWanted(entry: LoadedServer, target: Target, dialect: Dialect): boolean {
  if (normalAddress(entry.address) !== normalAddress(target.address)) return false;
  if (!hasPlace(entry, target, dialect)) return false;
  if (dialect === '5') return true;
  const { maxRetries = entry.maxRetries, retryInterval = entry.retryInterval } = target;
  return entry.maxRetries === maxRetries && entry.retryInterval === retryInterval;
}

/**
 * Whether the effective list is the wanted one: 4.x in order and complete, 5.x the one manager.
 * Deprecated entries never count as wanted: they are converted.
 */
export function hasWantedList(
  reading: Readable,
  entries: readonly LoadedServer[],
  targets: readonly Target[],
  dialect: Dialect,
): boolean {
  const effective = dialect === '4' ? reading.servers : reading.servers.slice(0, 1);
  if (dialect === '5' && entries.length > 1) return false;
  if (entries.some(isDeprecated)) return false;
  if (effective.length !== targets.length) return false;
  return effective.every((entry, index) => {
    const target = targets[index];
    return target !== undefined && isAsWanted(entry, target, dialect);
  });
}
