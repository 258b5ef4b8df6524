/** What operators and the running publisher ask for, as orders that any state can be met with. */
import { ConfigError } from '../errors.ts';
import {
  type ConfiguredContent,
  type Content,
  contentOf,
  drainManager,
  fingerprint,
  undrainManager,
  withUnready,
} from './content.ts';
import type { History, PublishedList } from './history.ts';
import type { PublishOrder } from './publish.ts';

/** The configuration as it stands now. */
export function publishConfigured(
  configured: ConfiguredContent,
  reason: 'publish' | 'config' = 'publish',
): PublishOrder {
  return {
    reason,
    detail: '',
    evenIfSame: false,
    want: (newest) => ({
      content: contentOf(configured, newest?.content.drained ?? [], newest?.content),
      source: fingerprint(configured),
    }),
  };
}

/** Has the configuration changed since something was published under it? */
export function isConfigNews(
  configured: ConfiguredContent,
  newest: PublishedList | undefined,
): boolean {
  return newest === undefined || newest.source !== fingerprint(configured);
}

export function drainOrder(configured: ConfiguredContent, id: string): PublishOrder {
  return changeOrder('drain', configured, id, drainManager);
}

export function undrainOrder(configured: ConfiguredContent, id: string): PublishOrder {
  return changeOrder('undrain', configured, id, undrainManager);
}

function changeOrder(
  reason: 'drain' | 'undrain',
  configured: ConfiguredContent,
  id: string,
  change: (content: Content, id: string) => Content,
): PublishOrder {
  return {
    reason,
    detail: id,
    evenIfSame: false,
    want: (newest) => ({
      content: change(newest?.content ?? contentOf(configured, []), id),
      source: newest?.source ?? fingerprint(configured),
    }),
  };
}

/** A new version with the content of an old one; the configuration no longer speaks until it changes. */
export function rollbackOrder(
  history: History,
  configured: ConfiguredContent,
  version: number,
): PublishOrder {
  return {
    reason: 'rollback',
    detail: `${version}`,
    evenIfSame: false,
    want: () => ({
      content: requireVersion(history, version).content,
      source: fingerprint(configured),
      rollout: undefined, // what was there before goes back to everybody at once
    }),
  };
}

/** What the roster found: for everybody at once, beside whatever is rolled out. */
export function rosterOrder(
  configured: ConfiguredContent,
  unready: readonly string[],
  detail: string,
): PublishOrder {
  return {
    reason: 'roster',
    detail,
    evenIfSame: false,
    want: (newest) => ({
      content: withUnready(newest?.content ?? contentOf(configured, []), unready),
      source: newest?.source ?? fingerprint(configured),
      rollout: newest?.rollout,
    }),
  };
}

/** The same content under a new `issued`. */
export function resignOrder(configured: ConfiguredContent): PublishOrder {
  return {
    reason: 'resign',
    detail: '',
    evenIfSame: true,
    want: (newest) => ({
      content: newest?.content ?? contentOf(configured, []),
      source: newest?.source ?? fingerprint(configured),
    }),
  };
}

function requireVersion(history: History, version: number): PublishedList {
  const found = history.find(version);
  if (found !== undefined) return found;
  const newest = history.newest()?.version;
  const oldest = history.list(1_000).at(-1)?.version;
  const kept = newest === undefined ? 'nothing was published' : `kept: ${oldest} to ${newest}`;
  throw new ConfigError('unknown_version', `no version ${version}; ${kept}`);
}
