/**
 * What a list says apart from its place in history: the managers as configured, which of them are
 * drained on top of that, and the settings for every sidecar. Pure. The configuration is the
 * source on `publish`; drain, rollback and re-signing start from what was published last.
 */
import { ConfigError } from '../errors.ts';
import { removedManagers } from '../list/constraints.ts';
import type { Audience, Balance, BalancerAddress, ListClient, Manager } from '../list/model.ts';
import { type Advertised, withKnownAddresses } from './addresses/advertised.ts';
import type { Shares } from './weights/judge-load.ts';

export interface Content {
  /** As configured, drains not applied. */
  readonly managers: readonly Manager[];
  /** Ids of managers drained by command, sorted. */
  readonly drained: readonly string[];
  /** Ids of managers that are not ready now, as the roster found, sorted; absent when all are. */
  readonly unready?: readonly string[];
  /** Ids of managers whose host is being stopped: their agents go first, in slots. */
  readonly leaving?: readonly string[];
  /** Weights set by command, in place of those configured. */
  readonly weights?: Readonly<Record<string, number>>;
  /** Per cent of its weight that a busy manager gets for now; absent while all get the whole. */
  readonly shares?: Shares;
  /** While skew is being taken away. */
  readonly balance?: Balance;
  /** The roster lets a manager in; without one, the configuration does. */
  readonly isGated?: boolean;
  /** Something was taken back: addresses per zone stay as they are until the next `publish`. */
  readonly holdsAddresses?: boolean;
  readonly client: ListClient;
  /** New sessions a second a manager takes in that names no rate; absent in old contents. */
  readonly acceptRate?: number;
  /** Where load balancers listen for agents; those agents stay behind them. */
  readonly balancers?: readonly BalancerAddress[];
  /** Seconds. */
  readonly validFor: number;
  readonly aud: Audience;
}

/** The configured part of a content: what a changed configuration changes. */
export type ConfiguredContent = Omit<
  Content,
  'drained' | 'unready' | 'leaving' | 'weights' | 'shares' | 'balance' | 'holdsAddresses'
> & {
  /** Addresses per zone that are to be published when they are proven. */
  readonly advertised?: readonly Advertised[];
  /** What the managers' own nodes say counts, too. */
  readonly hearsNodes?: boolean;
};

/** The managers as the list names them. `down` by configuration stays down while drained. */
export function listedManagers(content: Content): readonly Manager[] {
  const { managers, unready } = content;
  const drained = [...content.drained, ...(content.leaving ?? [])];
  return managers.map((configured) => {
    const manager = { ...configured, weight: weightOf(content, configured) };
    if (unready?.includes(manager.id)) return { ...manager, state: 'down' };
    const isDrained = manager.state === 'up' && drained.includes(manager.id);
    return isDrained ? { ...manager, state: 'drain' } : manager;
  });
}

/** The operator's word on a weight stands as it was said; another one follows the load. */
function weightOf({ weights, shares }: Content, { id, weight }: Manager): number {
  return (
    weights?.[id] ??
    Math.max(Math.min(weight, 1), Math.round((weight * (shares?.[id] ?? 100)) / 100))
  );
}

/**
 * Drains of managers that are no longer configured are forgotten. `before`: what was published last,
 * whose addresses per zone are proven;
 * a manager that is new since then is not offered before the roster has found it ready.
 */
export function contentOf(
  configured: ConfiguredContent,
  drained: readonly string[],
  before?: Content,
): Content {
  const { advertised = [], hearsNodes = false, ...listed } = configured;
  const known = new Set(configured.managers.map((manager) => manager.id));
  const managers = withKnownAddresses(configured.managers, advertised, {
    before: before?.managers ?? [],
    keepsSaid: hearsNodes,
  });
  const plain = { ...listed, managers, drained: drained.filter((id) => known.has(id)).sort() };
  const content = withShares(withWeights(plain, before?.weights ?? {}), before?.shares ?? {});
  if (configured.isGated !== true || before === undefined) return content;
  const old = new Set(before.managers.map((manager) => manager.id));
  const fresh = [...known].filter((id) => !old.has(id));
  return withUnready(content, [...(before.unready ?? []), ...fresh]);
}

/** The same content with exactly these managers not offered. */
export function withUnready(content: Content, unready: readonly string[]): Content {
  const { unready: _, ...rest } = content;
  const known = new Set(content.managers.map((manager) => manager.id));
  const left = [...new Set(unready)].filter((id) => known.has(id)).sort();
  return left.length === 0 ? rest : { ...rest, unready: left };
}

/** The same content with exactly these weights set by command; unknown ids are forgotten. */
function withWeights(content: Content, weights: Readonly<Record<string, number>>): Content {
  const { weights: _, ...rest } = content;
  const known = content.managers.map((manager) => manager.id);
  const left = Object.entries(weights).filter(([id]) => known.includes(id));
  return left.length === 0 ? rest : { ...rest, weights: Object.fromEntries(left) };
}

/** The same content with exactly these shares, but of managers whose weight an operator set or that are unknown. */
export function withShares(content: Content, shares: Shares): Content {
  const { shares: _, ...rest } = content;
  const known = content.managers.map((manager) => manager.id);
  const left = Object.entries(shares).filter(
    ([id]) => known.includes(id) && content.weights?.[id] === undefined,
  );
  return left.length === 0 ? rest : { ...rest, shares: Object.fromEntries(left) };
}

/** Undefined: as configured. Throws ConfigError `unknown_manager`. */
export function weighManager(content: Content, id: string, weight: number | undefined): Content {
  requireManager(content, id);
  const { [id]: _, ...others } = content.weights ?? {};
  const weights = weight === undefined ? others : { ...others, [id]: weight };
  return withShares(withWeights(content, weights), content.shares ?? {});
}

/** A manager whose host is being stopped, or is there again; the last one that is up never leaves. */
export function withLeaving(content: Content, id: string, isLeaving: boolean): Content {
  const { leaving: before = [], ...rest } = content;
  const others = before.filter((one) => one !== id);
  const leaving = isLeaving ? [...others, id].sort() : others;
  const next = leaving.length === 0 ? rest : { ...rest, leaving };
  if (!isLeaving) return next;
  return listedManagers(next).some(({ state }) => state === 'up') ? next : content;
}

/** Undefined: no skew is taken away. */
export function withBalance(content: Content, balance: Balance | undefined): Content {
  const { balance: _, ...rest } = content;
  return balance === undefined ? rest : { ...rest, balance };
}

/**
 * An older content in place of `current`. An address that it takes back is advertised still, and must
 * not come back behind the one who took it back.
 */
export function takenBack(older: Content, current: Content | undefined): Content {
  const { holdsAddresses: _, ...content } = older;
  const addressesOf = ({ managers }: Content) =>
    managers.flatMap(({ id, addresses }) => (addresses === undefined ? [] : [{ id, addresses }]));
  const isOther =
    current !== undefined &&
    fingerprint(addressesOf(current)) !== fingerprint(addressesOf(content));
  return isOther || current?.holdsAddresses === true
    ? { ...content, holdsAddresses: true }
    : content;
}

/**
 * `older`, with as few managers of `current` kept `down` as it takes: sidecars refuse a list that takes
 * away more than `maxRemovedPct` per cent of those that were up at once.
 */
export function withinReach(older: Content, current: Content, maxRemovedPct: number): Content {
  const listed = listedManagers(current);
  const removed = removedManagers(listedManagers(older), listed);
  const own = new Set(older.managers.map(({ id }) => id));
  const kept = removed
    .slice(Math.floor((maxRemovedPct * listed.length) / 100))
    .filter(({ id }) => !own.has(id))
    .map((manager): Manager => ({ ...manager, state: 'down' }));
  return kept.length === 0 ? older : { ...older, managers: [...older.managers, ...kept] };
}

/**
 * An older content with what is known of its managers now: which of them are dead, loaded or being
 * stopped is no word of the past. Of one that `current` does not list, the last word is kept.
 */
export function asFoundNow(older: Content, current: Content | undefined): Content {
  if (current === undefined) return older;
  const listed = new Set(current.managers.map(({ id }) => id));
  const own = new Set(older.managers.map(({ id }) => id));
  const now = (then: readonly string[] = [], found: readonly string[] = []): readonly string[] =>
    [...then.filter((id) => !listed.has(id)), ...found.filter((id) => own.has(id))].sort();
  const { leaving: then, ...rest } = older;
  const leaving = now(then, current.leaving);
  const found = withUnready(rest, now(older.unready, current.unready));
  const shared = withShares(found, current.shares ?? {});
  return leaving.length === 0 ? shared : { ...shared, leaving };
}

/** What is the operator's word in it: neither health nor load. */
export function membershipOf(content: Content): Content {
  const { leaving: _, shares: _shares, ...rest } = withBalance(withUnready(content, []), undefined);
  return rest;
}

/** Throws ConfigError `unknown_manager` with the known ids. */
export function drainManager(content: Content, id: string): Content {
  requireManager(content, id);
  return { ...content, drained: [...new Set([...content.drained, id])].sort() };
}

/** Throws ConfigError `unknown_manager`; a state set in the configuration is not ours to undo. */
export function undrainManager(content: Content, id: string): Content {
  const manager = requireManager(content, id);
  if (manager.state !== 'up') {
    const seen = `manager ${id} is configured with \`state: ${manager.state}\``;
    throw new ConfigError('usage', `${seen}; change that in publisher.yml and publish`);
  }
  return { ...content, drained: content.drained.filter((one) => one !== id) };
}

/** Two contents that would give the same list. */
export function isSameContent(left: Content, right: Content): boolean {
  return fingerprint(left) === fingerprint(right);
}

/** The same configuration gives the same text, whatever the order of its keys. */
export function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}

function requireManager(content: Content, id: string): Manager {
  const found = content.managers.find((manager) => manager.id === id);
  if (found !== undefined) return found;
  const known = content.managers.map((manager) => manager.id).join(', ');
  throw new ConfigError('unknown_manager', `no manager ${JSON.stringify(id)}; known: ${known}`);
}

/** One line for each difference that an operator cares about. */
export function describeChange(before: Content | undefined, after: Content): readonly string[] {
  if (before === undefined) return [`first list with ${after.managers.length} manager(s)`];
  const old = new Map(listedManagers(before).map((manager) => [manager.id, manager]));
  const now = listedManagers(after);
  const lines = now.flatMap((manager) => describeManager(old.get(manager.id), manager));
  const kept = new Set(now.map((manager) => manager.id));
  const gone = [...old.keys()].filter((id) => !kept.has(id)).map((id) => `- ${id}`);
  const settings = ['client', 'acceptRate', 'validFor', 'aud', 'balance', 'balancers'] as const;
  const tuned = settings.filter((name) => fingerprint(before[name]) !== fingerprint(after[name]));
  return [...lines, ...gone, ...tuned.map((name) => `~ ${settingNames[name]} changed`)];
}

const settingNames = {
  client: 'settings for sidecars',
  acceptRate: 'accept rate',
  validFor: 'validity',
  aud: 'audience',
  balance: 'what surplus agents are asked',
  balancers: 'balancers',
} as const;

const managerMembers = [
  'address',
  'port',
  'protocol',
  'zone',
  'prio',
  'weight',
  'state',
  'acceptRate',
] as const;

function told(value: string | number | undefined): string {
  return value === undefined ? 'unset' : `${value}`;
}

/** `dmz 203.0.113.7, branch wm1-nat.example:2514` */
function toldAddresses({ addresses = [] }: Manager): string | undefined {
  const text = addresses.map(({ zone, address, port }) =>
    port === undefined ? `${zone} ${address}` : `${zone} ${address} port ${port}`,
  );
  return text.length === 0 ? undefined : text.join(', ');
}

function describeManager(before: Manager | undefined, after: Manager): readonly string[] {
  if (before === undefined) return [`+ ${after.id} ${after.address}:${after.port} ${after.state}`];
  const changed = managerMembers
    .filter((name) => before[name] !== after[name])
    .map((name) => `${name} ${told(before[name])} -> ${told(after[name])}`);
  const [was, is] = [toldAddresses(before), toldAddresses(after)];
  if (was !== is) changed.push(`addresses ${told(was)} -> ${told(is)}`);
  return changed.length === 0 ? [] : [`~ ${after.id} ${changed.join(', ')}`];
}
