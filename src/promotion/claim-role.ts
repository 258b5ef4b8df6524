/**
 * From the seat to the record: waits until whoever had the role must have noticed that it is gone,
 * makes this node's keys whole, and writes who the master is. Everything before the record can be
 * given up without a trace; nothing after it is done by anybody but the holder.
 */
import { sleep } from '../clock.ts';
import { PeerError, PilotfishError } from '../errors.ts';
import { judgeFreshness } from './judge.ts';
import type { Recorded } from './keys-ledger.ts';
import type { KeysSeen, PromotionSettings, RolePorts } from './ports.ts';
import { encodeRecord, parseRecord, type RoleRecord } from './record.ts';

export interface Claim {
  readonly token: number;
  readonly pauseMs: number;
  /** Also with keys that are behind: an operator said so. */
  readonly isForced: boolean;
  /** Is the seat this node's at this very instant? */
  holds(): boolean;
  /** A write was refused. */
  fenced(): void;
}

const writeTries = 5;
const againMs = 1_000;

/** Throws PeerError `master_outdated` when the seat is lost or the keys are behind; HostError. */
export async function claimRole(
  ports: RolePorts,
  settings: PromotionSettings,
  claim: Claim,
): Promise<Recorded> {
  const { clock } = ports;
  const endMs = clock.monotonicMs() + claim.pauseMs;
  while (clock.monotonicMs() < endMs && claim.holds()) await sleep(clock, 50);
  let failure = new PeerError('leader_unreachable', 'the record changed again and again');
  for (let turn = 0; turn < writeTries; turn += 1) {
    requireSeat(claim);
    try {
      const recorded = await recordOnce(ports, settings, claim);
      if (recorded !== undefined) return recorded;
    } catch (thrown) {
      const isSilence = thrown instanceof PeerError && thrown.reason === 'leader_unreachable';
      if (!isSilence) throw thrown;
      // Whether it was written is told by the next look: while the seat is held nobody else writes.
      failure = thrown;
      await sleep(clock, againMs);
    }
  }
  requireSeat(claim);
  throw failure;
}

/** Undefined: the record is another one than a moment ago. */
async function recordOnce(
  ports: RolePorts,
  settings: PromotionSettings,
  claim: Claim,
): Promise<Recorded | undefined> {
  const { engine, clock } = ports;
  const { state, revision } = await engine.look(0);
  const before = state && parseRecord(state.bytes);
  if (state !== undefined && before === undefined) {
    throw new PeerError('master_outdated', 'the record in the engine is of another version');
  }
  const seen = await wholeKeys(ports, settings, claim, before);
  const record = recordOf(settings, claim.token, seen, before, clock.nowMs());
  requireSeat(claim);
  const outcome = await engine.write(claim.token, revision, encodeRecord(record));
  if (outcome.kind === 'fenced') claim.fenced();
  if (outcome.kind !== 'written') return undefined;
  return { record, revision: outcome.revision, content: seen.bytes };
}

/** A move that came to nothing keeps no other candidate waiting. */
export async function undoMove(
  { engine, log }: RolePorts,
  { record, revision }: Omit<Recorded, 'content'>,
  movedAtMs: number,
): Promise<void> {
  try {
    await engine.write(record.token, revision, encodeRecord({ ...record, movedAtMs }));
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    log.warn('promotion.not_undone', { why: thrown.message });
  }
}

/** Tokens only grow: an engine that gives out smaller ones has forgotten those before. Throws. */
export function refuseForgetful(token: number, seen: number): void {
  if (token >= seen) return;
  const what = `the engine gives token ${token}, ${seen} was seen before: was etcd made anew?`;
  const todo = 'stop every node, remove cluster-role.json of each, start the last master first';
  throw new PeerError('master_outdated', `${what} Then ${todo}`);
}

function requireSeat(claim: Claim): void {
  if (claim.holds()) return;
  throw new PeerError('master_outdated', 'the seat was lost before the role was taken');
}

/** What the old master wrote until its end is in the record: the keys here are made so. */
async function wholeKeys(
  { keys, seal, log }: RolePorts,
  { node }: PromotionSettings,
  { isForced }: Claim,
  before: RoleRecord | undefined,
): Promise<KeysSeen> {
  const seen = await keys.read();
  if (before === undefined) return seen;
  const fresh = judgeFreshness(seen.bytes, seen.facts, before, seal);
  if (fresh.kind === 'completable') {
    await keys.replace(fresh.content);
    const whole = await keys.read();
    log.info('promotion.keys_completed', { from: seen.facts.count, to: whole.facts.count });
    return whole;
  }
  if (fresh.kind === 'fresh' || isForced) return seen;
  if (before.node === node && fresh.hasGreatestId) return seen;
  throw new PeerError('master_outdated', fresh.why);
}

function recordOf(
  { node, address, port }: PromotionSettings,
  token: number,
  { facts }: KeysSeen,
  before: RoleRecord | undefined,
  nowMs: number,
): RoleRecord {
  const isMove = before !== undefined && before.node !== node;
  const isSameFile = before?.keys.digest === facts.digest;
  const generation = (before?.keys.generation ?? 0) + (isSameFile ? 0 : 1);
  const steps = isSameFile ? before.keys.steps : [];
  return {
    ...{ node, address, port, token, sinceAtMs: nowMs },
    movedAtMs: isMove ? nowMs : (before?.movedAtMs ?? 0),
    keys: { ...facts, generation, steps },
    workers: before?.workers ?? [],
  };
}
