/**
 * Which grammar of ossec.conf an agent of some version reads (agent-side.md 1.9, 1.10, 2.8).
 * '4': `<client>` with any number of servers, tried in order. '5': `<agent>` with one manager,
 * where the last entry wins.
 */
export type Dialect = '4' | '5';

/** How a 5.x file spells its one manager; 4.x only knows `server`. */
export type Spelling = 'server' | 'manager' | 'endpoint';

/** [major, minor, patch] of `v4.14.8`, `4.14`, `Wazuh v5.0.0-beta5`; undefined for anything else. */
export function parseVersion(version: string): readonly [number, number, number] | undefined {
  const match = /(?:^|[^0-9.])v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?/.exec(version);
  if (match === null) return undefined;
  return [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

/**
 * The dialect of an agent version as `wazuh-control info` or `VERSION.json` gives it. An unknown
 * version reads as 4: what is written for a 4.x agent still loads in 5.x, and not the other way.
 */
export function dialectOf(version: string | undefined): Dialect {
  const parsed = version === undefined ? undefined : parseVersion(version);
  return parsed !== undefined && parsed[0] >= 5 ? '5' : '4';
}

/** True when `version` is known and lies before `major.minor.patch`. */
export function isBefore(
  version: string | undefined,
  [major, minor, patch]: readonly [number, number, number],
): boolean {
  const parsed = version === undefined ? undefined : parseVersion(version);
  if (parsed === undefined) return false;
  if (parsed[0] !== major) return parsed[0] < major;
  return parsed[1] === minor ? parsed[2] < patch : parsed[1] < minor;
}

/** Port of an entry that names none. */
export const defaultPorts: Readonly<Record<Dialect, number>> = { '4': 1514, '5': 1517 };
