/**
 * The seat as a key of etcd bound to a lease. The fencing token is the key's create revision: it grows
 * with every holder, and every write compares it in the same transaction as the state's own revision.
 * None of etcd's lock or election recipes is used: without the fence they promise nothing.
 */
import { PeerError } from '../../errors.ts';
import { isJsonObject, type JsonValue } from '../../guards.ts';
import type { Holder, LeaseEngine, Look, Taken, Written } from '../engine.ts';
import type { EtcdClient } from './client.ts';
import {
  changedAt,
  createdAt,
  get,
  getRevisions,
  type KeyValue,
  parseJson,
  parseLease,
  parseTxn,
  put,
  remove,
  type TxnAnswer,
} from './codec.ts';

export interface EtcdEngineSettings {
  /** Ends in a slash; keys are `PREFIXleader` and `PREFIXstate`. */
  readonly prefix: string;
  /** Whole seconds, at least 2: etcd's least lease. */
  readonly ttlMs: number;
  readonly name: string;
  readonly url: string;
  /** 16 to 64 of A-Z a-z 0-9 _ -: no other publisher has it, whatever it is called. */
  readonly instance?: string;
}

export function buildEtcdEngine(client: EtcdClient, settings: EtcdEngineSettings): LeaseEngine {
  const seat = `${settings.prefix}leader`;
  const state = `${settings.prefix}state`;
  const leases = new Map<number, string>();

  const txn = async (
    compare: readonly JsonValue[],
    success: readonly JsonValue[],
    failure: readonly JsonValue[],
    signal?: AbortSignal,
  ): Promise<TxnAnswer> => {
    const answer = parseTxn(await client.call('kv/txn', { compare, success, failure }, signal));
    const wanted = answer?.succeeded === true ? success : failure;
    if (answer?.found.length === wanted.length) return answer;
    throw new PeerError('leader_unreachable', 'etcd: an answer that no transaction has');
  };

  return {
    ttlMs: settings.ttlMs,
    async take(signal) {
      const lease = await grant(client, settings.ttlMs, signal);
      try {
        const { name, url, instance } = settings;
        const value = JSON.stringify({ name, url, instance });
        const answer = await txn(
          [createdAt(seat, 0)],
          [put(seat, value, lease)],
          [get(seat)],
          signal,
        );
        const taken = takenBy(answer, lease);
        if (taken.kind === 'taken') leases.set(taken.token, lease);
        else await revoke(client, lease);
        return taken;
      } catch (thrown) {
        // Whether the seat is ours is not known: without its lease it is nobody's.
        await revoke(client, lease);
        throw thrown;
      }
    },
    async renew(token, signal) {
      const lease = leases.get(token);
      if (lease === undefined) return 'lost';
      const answer = parseLease(await client.call('lease/keepalive', { ID: lease }, signal));
      if (answer === undefined || answer.id !== lease) {
        throw new PeerError('leader_unreachable', 'etcd: an answer that no renewal has');
      }
      return answer.ttlSec > 0 ? 'renewed' : 'lost';
    },
    async leave(token) {
      const lease = leases.get(token);
      leases.delete(token);
      await txn([createdAt(seat, token)], [remove(seat)], []);
      if (lease !== undefined) await revoke(client, lease);
    },
    async look(knownRevision, signal) {
      const compare = [changedAt(state, knownRevision)];
      const same = [get(seat), getRevisions(state)];
      return lookOf(await txn(compare, same, [get(seat), get(state)], signal));
    },
    async write(token, knownRevision, bytes) {
      const compare = [createdAt(seat, token), changedAt(state, knownRevision)];
      const seen = [get(seat), getRevisions(state)];
      return writtenBy(await txn(compare, [put(state, bytes)], seen), token);
    },
  };
}

async function grant(client: EtcdClient, ttlMs: number, signal?: AbortSignal): Promise<string> {
  const ttl = `${Math.ceil(ttlMs / 1_000)}`;
  const answer = parseLease(await client.call('lease/grant', { TTL: ttl }, signal));
  if (answer !== undefined && answer.ttlSec * 1_000 >= ttlMs) return answer.id;
  throw new PeerError('leader_unreachable', 'etcd: a lease shorter than asked for, or none');
}

/** Best effort: what is not revoked ends by itself. */
async function revoke(client: EtcdClient, lease: string): Promise<void> {
  try {
    await client.call('lease/revoke', { ID: lease });
  } catch (thrown) {
    if (!(thrown instanceof PeerError)) throw thrown;
  }
}

function takenBy(answer: TxnAnswer, lease: string): Taken {
  if (answer.succeeded) return { kind: 'taken', token: answer.revision };
  const [found] = answer.found;
  if (found === undefined) throw new PeerError('leader_unreachable', 'etcd: the seat is nowhere');
  // A first try that was carried out although its answer was lost.
  if (found.lease === lease) return { kind: 'taken', token: found.createRevision };
  return { kind: 'held', holder: holderOf(found) };
}

function lookOf({ found: [seat, state], succeeded }: TxnAnswer): Look {
  const holder = seat && holderOf(seat);
  if (state === undefined) return { holder, revision: 0 };
  const { modRevision: revision, value: bytes } = state;
  return { holder, revision, ...(succeeded ? {} : { state: { revision, bytes } }) };
}

function writtenBy(answer: TxnAnswer, token: number): Written {
  if (answer.succeeded) return { kind: 'written', revision: answer.revision };
  const [seat] = answer.found;
  if (seat?.createRevision === token) return { kind: 'raced' };
  return { kind: 'fenced', holder: seat && holderOf(seat) };
}

/** Whatever lies there: a name that is none is shown as such. */
function holderOf({ value, createRevision }: KeyValue): Holder {
  const parsed = parseJson(Buffer.from(value.subarray(0, 2_048)).toString('utf8'));
  const { name, url, instance } = isJsonObject(parsed) ? parsed : {};
  return {
    name: typeof name === 'string' && /^[\x21-\x7e]{1,128}$/.test(name) ? name : 'unknown',
    url: typeof url === 'string' && /^https:\/\/[\x21-\x7e]{1,256}$/.test(url) ? url : '',
    ...(typeof instance === 'string' && /^[\w-]{16,64}$/.test(instance) ? { instance } : {}),
    token: createRevision,
  };
}
