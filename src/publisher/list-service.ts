/**
 * What a poll is answered: the signed bytes as they lie ready, "nothing new" at once or when the
 * wait ends, and a receipt for the nonce of this very poll. The receipt is the only work per
 * request; it has a rate of its own and is left out above it (the sidecar keeps its list).
 */
import type { Clock } from '../clock.ts';
import { type FlatForm, signFlat } from '../list/flat.ts';
import { comparePositions } from '../list/position.ts';
import { type SigningKey, signReceipt } from '../list/sign.ts';
import type { ConnectionLedger } from './connection-ledger.ts';
import { listExpiresAtMs, type PublishedList } from './history.ts';
import { buildLongPolls } from './long-polls.ts';
import { listOf } from './publish.ts';
import { buildTokenBucket } from './token-bucket.ts';

export interface ListPoll {
  readonly ip: string;
  /** `If-None-Match`, or empty. */
  readonly knownTags: string;
  readonly nonce: string | undefined;
  readonly waitMs: number;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
}

export type ListAnswer =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'list' | 'unchanged';
      readonly served: ServedList;
      readonly receipt: string | undefined;
    };

/** A version ready to be sent any number of times. */
export interface ServedList {
  readonly entry: PublishedList;
  readonly body: Buffer;
  /** Strong entity tag: the hash of the payload. */
  readonly etag: string;
  /** The same list for hosts without our runtime; absent where none came with a followed one. */
  readonly flat?: FlatForm;
}

export interface ListService {
  /** What can be answered at once; undefined for a poll that waits. */
  answerNow(poll: Omit<ListPoll, 'signal'>): ListAnswer | undefined;
  answer(poll: ListPoll): Promise<ListAnswer>;
  /**
   * From now on this version is served; whoever waits is answered. Older versions are ignored.
   * `forNewcomers`: what a host that names no list yet gets meanwhile.
   */
  serve(entry: PublishedList, forNewcomers?: PublishedList): boolean;
  served(): ServedList | undefined;
  /** Answers whoever waits; later polls do not wait. */
  stop(): void;
  waiting(): number;
}

/** Asked for on a follower. */
export interface ReceiptWish {
  readonly nonce: string;
  /** Of the list that is answered with. */
  readonly hash: string;
  /** The host that asks has no list yet. */
  readonly isNewcomer: boolean;
  readonly signal: AbortSignal;
}

export interface ListServiceParts {
  readonly clock: Clock;
  /** Absent on a follower: nothing is signed here. */
  readonly listKey?: SigningKey;
  /** On a follower: the writer's own receipt; undefined where none is to be had now. */
  askReceipt?(wish: ReceiptWish): Promise<string | undefined>;
  readonly ledger: ConnectionLedger;
  readonly maxReceiptsPerSecond: number;
  /** Under load no receipts are signed. */
  isBusy(): boolean;
  /** Told of every version from the moment it is served, and what newcomers get meanwhile. */
  onServed?(served: ServedList, newcomers: ServedList | undefined): void;
}

export function buildListService(parts: ListServiceParts): ListService {
  const { clock, listKey, ledger } = parts;
  const polls = buildLongPolls(clock);
  const receipts = buildTokenBucket(parts.maxReceiptsPerSecond, parts.maxReceiptsPerSecond);
  let served: ServedList | undefined;
  let newcomers: ServedList | undefined;
  let isStopping = false;

  const receiptFor = (now: ServedList, nonce: string | undefined): string | undefined => {
    if (listKey === undefined || nonce === undefined || parts.isBusy()) return undefined;
    if (!receipts.take(clock.monotonicMs())) return undefined;
    const { epoch, term, version, hash } = now.entry;
    return signReceipt({ nonce, list: hash, epoch, term, version, nowMs: clock.nowMs() }, listKey);
  };
  const waitForNews = async (poll: ListPoll): Promise<void> => {
    if (!ledger.startWaiting(poll.ip)) return; // too many wait already: answered at once
    await polls.wait(poll.waitMs, poll.signal);
    ledger.endWaiting(poll.ip);
  };
  type Question = Pick<ListPoll, 'knownTags' | 'nonce' | 'waitMs'>;
  const mustWait = ({ waitMs, knownTags }: Question): boolean =>
    waitMs > 0 && !isStopping && (served === undefined || hasTag(knownTags, served.etag));
  /** Nobody joins by a list that has expired, and a rollout may take longer than a list is valid. */
  const forNewcomers = (): ServedList | undefined =>
    newcomers !== undefined && clock.nowMs() < listExpiresAtMs(newcomers.entry)
      ? newcomers
      : undefined;
  const answerFrom = ({ knownTags, nonce }: Question): ListAnswer => {
    if (served === undefined) return { kind: 'none' };
    const now = (knownTags === '' ? forNewcomers() : undefined) ?? served;
    const kind = hasTag(knownTags, now.etag) ? 'unchanged' : 'list';
    return { kind, served: now, receipt: receiptFor(now, nonce) };
  };
  const mustAsk = ({ nonce }: Question): boolean =>
    nonce !== undefined && served !== undefined && parts.askReceipt !== undefined;
  /** The list is chosen first: a receipt that comes late still belongs to it. */
  const withReceipt = async (answer: ListAnswer, poll: ListPoll): Promise<ListAnswer> => {
    const { nonce, signal } = poll;
    if (answer.kind === 'none' || nonce === undefined || parts.isBusy()) return answer;
    const { hash } = answer.served.entry;
    const wish = { nonce, hash, isNewcomer: poll.knownTags === '', signal };
    return { ...answer, receipt: await parts.askReceipt?.(wish) };
  };
  return {
    answerNow: (poll) => (mustWait(poll) || mustAsk(poll) ? undefined : answerFrom(poll)),
    async answer(poll) {
      if (mustWait(poll)) await waitForNews(poll);
      const answer = answerFrom(poll);
      return mustAsk(poll) ? withReceipt(answer, poll) : answer;
    },
    serve(entry, forNewcomers) {
      newcomers = forNewcomers === undefined ? undefined : readyToSend(forNewcomers, listKey);
      if (served !== undefined && comparePositions(served.entry, entry) >= 0) return false;
      served = readyToSend(entry, listKey);
      polls.wakeAll();
      parts.onServed?.(served, newcomers);
      return true;
    },
    served: () => served,
    stop() {
      isStopping = true;
      polls.wakeAll();
    },
    waiting: () => polls.count(),
  };
}

function readyToSend(entry: PublishedList, listKey: SigningKey | undefined): ServedList {
  const flat = entry.flat ?? (listKey && signFlat(listOf(entry), entry.hash, listKey));
  return {
    entry,
    body: Buffer.from(entry.envelope),
    etag: `"${entry.hash}"`,
    ...(flat === undefined ? {} : { flat }),
  };
}

/** `If-None-Match` compares weakly (RFC 9110 13.1.2). */
function hasTag(knownTags: string, etag: string): boolean {
  if (knownTags === etag) return true;
  return knownTags.split(',').some((one) => one.trim().replace(/^W\//, '') === etag);
}
