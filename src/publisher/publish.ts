/**
 * The one way a list comes into being: newest version -> wanted content -> sign -> judge it as a
 * sidecar would -> append. Nothing is announced that a sidecar would refuse; nothing is overwritten:
 * whoever appends second starts over from what the first one left.
 */
import { sha256Tag } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { ConfigError, HostError } from '../errors.ts';
import { parseEnvelope } from '../list/envelope.ts';
import type { Admission, ListClient, Manager, ManagerList } from '../list/model.ts';
import { parseList, renderList } from '../list/parse-list.ts';
import type { VerifiedRoot } from '../list/root.ts';
import { type SigningKey, signDocument, signReceipt } from '../list/sign.ts';
import { verifyList } from '../list/verify.ts';
import { managersSeenFrom, zonesWithAddresses } from '../list/zone-addresses.ts';
import { refuseConflict } from './conflict.ts';
import { type Content, fingerprint, isSameContent, listedManagers } from './content.ts';
import { crowdingOf, slowedRate } from './crowding.ts';
import type { History, PublishedList, Reason } from './history.ts';
import { listedRollout, type RolloutRecord } from './rollout/record.ts';
import { buildLocalWriter, type Writer } from './writer.ts';

export interface PublishDesk {
  readonly history: History;
  readonly root: VerifiedRoot;
  readonly listKey: SigningKey;
  /** Root keys that sign too, for what a list key alone may not do: taking most managers away. */
  readonly rescueKeys?: readonly SigningKey[];
  readonly clock: Clock;
  /** How a new content is rolled out; absent, or undefined for one: to everybody at once. */
  plan?(before: PublishedList, content: Content): RolloutRecord | undefined;
  /** Who makes versions; absent: this process, and whoever else opens its history. */
  readonly writer?: Writer;
  /** How many agents report: the size of the fleet, where the configuration names none. */
  agents?(): number;
  /** Agents by the manager that they report to be on; absent: they follow the weights. */
  loads?(): ReadonlyMap<string, number>;
  /** A manager that our own probes find dead, though the list may still offer it. */
  seesDead?(id: string): boolean;
}

/** What should stand in the next version, decided from the newest one. */
export interface PublishOrder {
  readonly reason: Reason;
  readonly detail: string;
  /** True where the same content is reason enough: a re-signing. */
  readonly evenIfSame: boolean;
  /** The version that the operator looked at: refused when somebody decided something since. */
  readonly ifVersion?: number;
  want(newest: PublishedList | undefined): Wanted;
}

export interface Wanted {
  readonly content: Content;
  readonly source: string;
  /** Present, also as undefined, where the order itself says it; else the desk plans. */
  readonly rollout?: RolloutRecord | undefined;
}

export type PublishOutcome =
  | {
      readonly kind: 'published';
      readonly entry: PublishedList;
      readonly before: PublishedList | undefined;
    }
  | { readonly kind: 'unchanged'; readonly entry: PublishedList };

/** Losing five times in a row means that something publishes in a loop. */
const maxTries = 5;

/**
 * Throws PeerError `not_leader` where another publisher writes, what `order.want` throws, ConfigError
 * `conflict` when another operator's word would be lost, ListError when a sidecar would refuse the
 * result (`constraint`, `too_many_removed` …), HostError `store_failed`. On any error nothing was
 * published.
 */
export async function publish(desk: PublishDesk, order: PublishOrder): Promise<PublishOutcome> {
  const writer = writerOf(desk);
  const since = order.ifVersion ?? desk.history.newest()?.version;
  for (let attempt = 1; attempt <= maxTries; attempt += 1) {
    await writer.ready();
    refuseLost(desk.history, order, since);
    const outcome = await preparePublication(desk, order);
    if (outcome.kind === 'unchanged') {
      await writer.noteSource(outcome.entry, order.want(outcome.entry).source);
      return outcome;
    }
    if (await writer.append(outcome.entry, outcome.before)) return outcome;
  }
  throw new HostError('store_failed', `somebody else published ${maxTries} times meanwhile`);
}

/** What the running publisher does by itself starts over from what an operator left. */
const ofOperators: readonly Reason[] = ['publish', 'drain', 'undrain', 'weight', 'rollback'];

function refuseLost(history: History, order: PublishOrder, since: number | undefined): void {
  const newest = history.newest()?.version;
  if (!ofOperators.includes(order.reason) || newest === undefined) return;
  if (order.ifVersion !== undefined && history.find(order.ifVersion) === undefined) {
    throw new ConfigError('conflict', `no version ${order.ifVersion} is kept; newest: ${newest}`);
  }
  if (newest === since) return;
  refuseConflict(order, history.list(newest - (since ?? 0)));
}

/** What `publish` would append now; writes nothing. */
export async function preparePublication(
  desk: PublishDesk,
  order: PublishOrder,
): Promise<PublishOutcome> {
  const before = desk.history.newest();
  const wanted = order.want(before);
  const { content, source } = wanted;
  const rollout = rolloutOf(desk, wanted, before);
  if (before !== undefined && !order.evenIfSame && isSettled(desk, before, { content, rollout })) {
    return { kind: 'unchanged', entry: before };
  }
  const list = nextList(desk, { content, rollout }, before);
  const payload = renderList(list);
  const envelope = signDocument('list', payload, [desk.listKey, ...(desk.rescueKeys ?? [])]);
  const hash = sha256Tag(payload);
  await judgeAsSidecar(desk, { list, envelope, hash }, before);
  const { epoch, term, version, rootVersion, issuedAtMs } = list;
  const entry: PublishedList = {
    ...{ epoch, term, version, rootVersion, issuedAtMs, hash, envelope, content, source },
    ...(before === undefined ? {} : { prev: before.hash }),
    ...(rollout === undefined ? {} : { rollout }),
    reason: before === undefined ? 'first' : order.reason,
    detail: order.detail,
  };
  return { kind: 'published', entry, before };
}

function writerOf({ writer, history }: PublishDesk): Writer {
  return writer ?? buildLocalWriter(history);
}

interface Next {
  readonly content: Content;
  readonly rollout: RolloutRecord | undefined;
}

/** The same content goes on as it was; a new one is planned. */
export function rolloutOf(
  desk: Pick<PublishDesk, 'plan'>,
  wanted: Wanted,
  before: PublishedList | undefined,
): RolloutRecord | undefined {
  if ('rollout' in wanted) return wanted.rollout;
  if (before === undefined) return undefined;
  if (isSameContent(before.content, wanted.content)) return before.rollout;
  return desk.plan?.(before, wanted.content);
}

/** Equal managers mean no write; a new epoch of the root needs a new list all the same. */
function isSettled(
  { root }: PublishDesk,
  before: PublishedList,
  { content, rollout }: Next,
): boolean {
  const isSameWave = fingerprint(before.rollout ?? null) === fingerprint(rollout ?? null);
  const isSame = isSameWave && isSameContent(before.content, content);
  return isSame && before.epoch === root.epoch && before.rootVersion === root.version;
}

function nextList(
  desk: PublishDesk,
  { content, rollout }: Next,
  before: PublishedList | undefined,
): ManagerList {
  const { root, clock } = desk;
  const version = (before?.version ?? 0) + 1;
  const listed = listedManagers(content);
  const client = sizedClient(desk, content);
  const living = listed.filter(({ id }) => desk.seesDead?.(id) !== true);
  const crowding = crowdingOf(living, client.agents, desk.loads?.() ?? new Map());
  return {
    org: root.org,
    rootVersion: root.version,
    epoch: root.epoch,
    term: writerOf(desk).termAfter(before),
    version,
    aud: content.aud,
    issuedAtMs: clock.nowMs(),
    validFor: content.validFor,
    ...(before === undefined ? {} : { prev: before.hash }),
    managers: listed.map((manager) => slowed(manager, crowding)),
    client,
    ...(rollout === undefined ? {} : { rollout: listedRollout(rollout) }),
    ...(content.acceptRate === undefined
      ? {}
      : {
          admission: admissionOf(version, slowedRate(content.acceptRate, crowding), clock.nowMs()),
        }),
    ...(content.balance === undefined ? {} : { balance: content.balance }),
    ...(content.balancers === undefined ? {} : { balancers: content.balancers }),
  };
}

function slowed(manager: Manager, crowding: number): Manager {
  const { acceptRate } = manager;
  return acceptRate === undefined
    ? manager
    : { ...manager, acceptRate: slowedRate(acceptRate, crowding) };
}

/** Slots and probes are spaced by the size of the fleet: zero would be no slots at all. */
function sizedClient(desk: PublishDesk, { client }: Content): ListClient {
  return client.agents > 0 ? client : { ...client, agents: desk.agents?.() ?? 0 };
}

/** By then most sidecars that wait for a change hold the list. */
const slotsStartMs = 2_000;

function admissionOf(version: number, ratePerServer: number, nowMs: number): Admission {
  return { id: `a${version}`, ratePerServer, startSlotAtMs: nowMs + slotsStartMs };
}

/** The same gate as in every sidecar, with a receipt as one of them would hold it. */
async function judgeAsSidecar(
  { root, listKey, clock }: PublishDesk,
  next: { readonly list: ManagerList; readonly envelope: Uint8Array; readonly hash: string },
  before: PublishedList | undefined,
): Promise<void> {
  const nonce = Buffer.alloc(16).toString('base64url');
  const { epoch, term, version, aud } = next.list;
  const receipt = { nonce, list: next.hash, epoch, term, version, nowMs: clock.nowMs() };
  const proof = {
    envelope: next.envelope,
    root,
    audience: aud,
    ...(before === undefined ? {} : { known: { position: before, hash: before.hash } }),
    receipt: { compact: signReceipt(receipt, listKey), nonce },
    nowMs: clock.nowMs(),
  };
  const last = before === undefined ? undefined : listOf(before);
  const all = [...next.list.managers, ...(last?.managers ?? [])];
  // Agents of each zone count on their own how many managers moved away.
  for (const name of [undefined, ...zonesWithAddresses(all)]) {
    const seen = last && { ...last, managers: managersSeenFrom(last.managers, name) };
    await verifyList({ ...proof, zone: { name }, ...(seen && { lastGood: seen }) });
  }
}

/** The list inside a stored envelope. */
export function listOf(entry: PublishedList): ManagerList {
  return parseList(parseEnvelope(entry.envelope).payloadBytes);
}
