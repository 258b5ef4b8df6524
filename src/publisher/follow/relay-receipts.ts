/**
 * A follower holds no key of the writer, so it vouches for nothing itself. It hands the sidecar's nonce
 * on to where its own list comes from, and the writer's receipt back: proof from end to end, for this
 * very poll. What is not to be had at once is left out, as under load at the writer.
 */
import { sha256Tag } from '../../bytes.ts';
import { type Clock, deadline } from '../../clock.ts';
import { PilotfishError } from '../../errors.ts';
import { parseEnvelope } from '../../list/envelope.ts';
import { listLimits } from '../../list/model.ts';
import { verifyReceipt } from '../../list/receipt.ts';
import type { ReceiptWish } from '../list-service.ts';
import { buildTokenBucket } from '../token-bucket.ts';
import type { FetchPort } from './https-source.ts';
import type { Held } from './take.ts';

export interface ReceiptRelayParts {
  readonly clock: Clock;
  /** Publishers that this one follows by https, in the order in which they are asked. */
  readonly sources: readonly FetchPort[];
  readonly maxPerSecond: number;
  held(): Held | undefined;
}

const maxInFlight = 64;
/** A sidecar waits for its list, not for our question. */
const limitMs = 1_500;
/** A source that did not answer is left alone for so long, longer each time. */
const rest = { firstMs: 2_000, mostMs: 60_000 } as const;

interface Resting {
  failures: number;
  untilMs: number;
}

export function buildReceiptRelay(parts: ReceiptRelayParts) {
  const { clock, sources } = parts;
  const bucket = buildTokenBucket(parts.maxPerSecond, parts.maxPerSecond);
  const resting = new Map<FetchPort, Resting>();
  let inFlight = 0;

  const ask = async (source: FetchPort, wish: ReceiptWish): Promise<string | undefined> => {
    const limit = deadline(clock, limitMs, wish.signal);
    try {
      const answer = await source.get(questionOf(wish), limit.signal);
      resting.delete(source);
      return answer.kind === 'absent' ? undefined : await provenReceipt(answer, wish, parts.held());
    } catch (thrown) {
      if (wish.signal.aborted) return undefined;
      if (!(thrown instanceof PilotfishError) && !limit.signal.aborted) throw thrown;
      const failures = (resting.get(source)?.failures ?? 0) + 1;
      const restMs = Math.min(rest.mostMs, rest.firstMs * 2 ** (failures - 1));
      resting.set(source, { failures, untilMs: clock.monotonicMs() + restMs });
      return undefined;
    } finally {
      limit.cancel();
    }
  };
  /** Undefined: nobody vouches now. */
  return async (wish: ReceiptWish): Promise<string | undefined> => {
    const nowMs = clock.monotonicMs();
    const awake = sources.filter((source) => (resting.get(source)?.untilMs ?? 0) <= nowMs);
    if (awake.length === 0 || inFlight >= maxInFlight || !bucket.take(nowMs)) return undefined;
    inFlight += 1;
    try {
      for (const source of awake) {
        const receipt = await ask(source, wish);
        if (receipt !== undefined || wish.signal.aborted) return receipt;
      }
      return undefined;
    } finally {
      inFlight -= 1;
    }
  };
}

function questionOf({ nonce, hash, isNewcomer }: ReceiptWish): Parameters<FetchPort['get']>[0] {
  const { maxEnvelopeBytes: maxBytes } = listLimits;
  const question = { path: '/v1/list', wants: 'json', waitMs: 0, maxBytes, nonce } as const;
  // While a rollout goes on, whoever names no list is given another one.
  return isNewcomer ? question : { ...question, etag: `"${hash}"` };
}

type Answer = Exclude<Awaited<ReturnType<FetchPort['get']>>, { kind: 'absent' }>;

/** Throws ListError for one that vouches for something else: its source rests. */
async function provenReceipt(
  answer: Answer,
  { nonce, hash }: ReceiptWish,
  held: Held | undefined,
): Promise<string | undefined> {
  const { receipt } = answer;
  const isOther =
    answer.kind === 'document' && sha256Tag(parseEnvelope(answer.body).payloadBytes) !== hash;
  // Newer there: it is on its way here, and the next poll gets both.
  if (receipt === undefined || isOther || held === undefined) return undefined;
  const list = [held.proven, held.newcomers].find((one) => one?.hash === hash);
  if (list === undefined) return undefined;
  await verifyReceipt({ compact: receipt, nonce }, list, held.chain.newest.root);
  return receipt;
}
