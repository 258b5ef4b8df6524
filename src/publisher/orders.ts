/** What operators and the running publisher ask for, as orders that any state can be met with. */
import { ConfigError } from '../errors.ts';
import type { Balance } from '../list/model.ts';
import {
  asFoundNow,
  type ConfiguredContent,
  type Content,
  contentOf,
  drainManager,
  fingerprint,
  takenBack,
  undrainManager,
  weighManager,
  withBalance,
  withLeaving,
  withShares,
  withUnready,
} from './content.ts';
import type { History, PublishedList } from './history.ts';
import type { PublishOrder } from './publish.ts';
import type { Shares } from './weights/judge-load.ts';

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

/** Undefined: as configured again. */
export function weightOrder(
  configured: ConfiguredContent,
  id: string,
  weight: number | undefined,
): PublishOrder {
  const change = (content: Content): Content => weighManager(content, id, weight);
  const order = changeOrder('weight', configured, id, change);
  return { ...order, detail: `${id} ${weight ?? 'as configured'}` };
}

/** Skew begins to be taken away, or no longer is: for everybody at once, beside a rollout. */
export function balanceOrder(
  configured: ConfiguredContent,
  balance: Balance | undefined,
  detail: string,
): PublishOrder {
  return atOnce('balance', configured, detail, (content) => withBalance(content, balance));
}

/** Busy managers get less of their weight, or have it back: who is connected stays. */
export function loadOrder(
  configured: ConfiguredContent,
  shares: Shares,
  detail: string,
): PublishOrder {
  return atOnce('load', configured, detail, (content) => withShares(content, shares));
}

function changeOrder(
  reason: 'drain' | 'undrain' | 'weight',
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
    want: (newest) => ({
      content: takenBack(
        asFoundNow(
          withBalance(requireVersion(history, version).content, undefined),
          newest?.content,
        ),
        newest?.content,
      ),
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
  /** Managers of whose hosts it is known whether they are about to be stopped. */
  leaving: ReadonlyMap<string, boolean> = new Map(),
): PublishOrder {
  const change = (content: Content): Content =>
    [...leaving].reduce(
      (known, [id, isLeaving]) => withLeaving(known, id, isLeaving),
      withUnready(content, unready),
    );
  return atOnce('roster', configured, detail, change);
}

/** This host is being stopped: its agents go first, in slots, while it still serves them. */
export function leavingOrder(configured: ConfiguredContent, id: string): PublishOrder {
  return atOnce('leaving', configured, id, (content) => withLeaving(content, id, true));
}

/** For everybody, beside whatever is rolled out. */
function atOnce(
  reason: 'roster' | 'leaving' | 'balance' | 'load',
  configured: ConfiguredContent,
  detail: string,
  change: (content: Content) => Content,
): PublishOrder {
  return {
    reason,
    detail,
    evenIfSame: false,
    want: (newest) => ({
      content: change(newest?.content ?? contentOf(configured, [])),
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
