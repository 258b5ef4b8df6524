/**
 * Calls of etcd's JSON gateway over several endpoints: the one that answered last is asked first, each
 * try has a deadline, a token that is no longer taken is asked for anew, answers of another cluster
 * are refused. Whether a call that ended in an error was carried out is not known.
 */
import { type Clock, deadline } from '../../clock.ts';
import { PeerError, PilotfishError } from '../../errors.ts';
import { type JsonValue, messageOf } from '../../guards.ts';
import { clusterOf, type EtcdFault, faultOf, parseJson, parseToken } from './codec.ts';

/** Port: one POST. Throws when no whole answer came; never larger than it is bounded to. */
export interface EtcdDoor {
  post(
    endpoint: string,
    path: string,
    body: string,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<{
    readonly status: number;
    readonly text: string;
    /** Its wall clock to the second, where it says so. */
    readonly dateMs?: number;
  }>;
}

export interface EtcdAccount {
  readonly user: string;
  /** Asked for whenever a token is needed: it may have been changed. */
  password(): Promise<string>;
}

export interface EtcdClientParts {
  readonly door: EtcdDoor;
  readonly clock: Clock;
  /** At least one, `https://host:2379`. */
  readonly endpoints: readonly string[];
  readonly account?: EtcdAccount;
  /** Of one try at one endpoint. */
  readonly tryMs: number;
  /** Of all tries of one call together. */
  readonly limitMs: number;
}

/** An answer that tells why something was not done; the caller knows what it means there. */
export class EtcdRefusal extends PeerError {
  readonly kind: EtcdFault['kind'];

  constructor(fault: EtcdFault, where: string) {
    const reasons = { full: 'leader_full', refused: 'leader_refused' } as const;
    const reason =
      fault.kind === 'full' || fault.kind === 'refused' ? reasons[fault.kind] : undefined;
    super(reason ?? 'leader_unreachable', `${where}: ${fault.said}`);
    this.kind = fault.kind;
  }
}

export class EtcdClient {
  readonly #parts: EtcdClientParts;
  #first = 0;
  #token: string | undefined;
  #cluster: string | undefined;

  constructor(parts: EtcdClientParts) {
    this.#parts = parts;
  }

  /** Throws PeerError `leader_unreachable`, `leader_refused`, `leader_full` (EtcdRefusal). */
  async call(path: string, body: JsonValue, signal?: AbortSignal): Promise<JsonValue> {
    const { clock, limitMs, endpoints } = this.#parts;
    const limit = deadline(clock, limitMs, signal);
    const failures: string[] = [];
    try {
      for (let tried = 0; tried < endpoints.length; tried += 1) {
        const place = (this.#first + tried) % endpoints.length;
        const outcome = await this.#tryAt(endpoints[place] ?? '', path, body, limit.signal);
        if (!(outcome instanceof Error)) {
          this.#first = place;
          return outcome;
        }
        failures.push(outcome.message);
        if (limit.signal.aborted) break;
      }
    } finally {
      limit.cancel();
    }
    // The next call begins elsewhere.
    this.#first = (this.#first + 1) % endpoints.length;
    throw new PeerError('leader_unreachable', `etcd: ${failures.join('; ').slice(0, 600)}`);
  }

  /** An Error: another endpoint may do better. */
  async #tryAt(
    endpoint: string,
    path: string,
    body: JsonValue,
    signal: AbortSignal,
  ): Promise<JsonValue | Error> {
    const text = JSON.stringify(body);
    try {
      const hadToken = this.#token !== undefined;
      await this.#authenticate(endpoint, signal);
      const first = await this.#post(endpoint, path, text, signal);
      if (!('kind' in first)) return first.value;
      if (first.kind !== 'auth' || !hadToken) return this.#judge(first, endpoint);
      this.#token = undefined; // it ended, or the server began anew: once more with a new one
      await this.#authenticate(endpoint, signal);
      const second = await this.#post(endpoint, path, text, signal);
      return 'kind' in second ? this.#judge(second, endpoint) : second.value;
    } catch (thrown) {
      if (thrown instanceof EtcdRefusal) throw thrown;
      // Some versions close the connection instead of refusing a token (etcd-io/etcd#20332).
      this.#token = undefined;
      if (thrown instanceof PilotfishError && thrown.reason === 'leader_refused') throw thrown;
      return new Error(`${endpoint}: ${messageOf(thrown)}`);
    }
  }

  #judge(fault: EtcdFault, endpoint: string): Error {
    const refusal = new EtcdRefusal(fault, endpoint);
    if (fault.kind === 'away' || fault.kind === 'broken') return refusal;
    throw refusal;
  }

  async #authenticate(endpoint: string, signal: AbortSignal): Promise<void> {
    const { account } = this.#parts;
    if (account === undefined || this.#token !== undefined) return;
    const body = JSON.stringify({ name: account.user, password: await account.password() });
    const answer = await this.#post(endpoint, 'auth/authenticate', body, signal);
    if ('kind' in answer) {
      if (answer.kind === 'auth_off') return;
      throw this.#judge(answer, endpoint);
    }
    this.#token = parseToken(answer.value);
    if (this.#token === undefined) throw new Error('no token in the answer');
  }

  async #post(
    endpoint: string,
    path: string,
    body: string,
    signal: AbortSignal,
  ): Promise<{ readonly value: JsonValue } | EtcdFault> {
    const { clock, door, tryMs } = this.#parts;
    const limit = deadline(clock, tryMs, signal);
    try {
      const token = path === 'auth/authenticate' ? undefined : this.#token;
      const { status, text } = await door.post(endpoint, `/v3/${path}`, body, token, limit.signal);
      if (status !== 200) return faultOf(status, text);
      const value = parseJson(text);
      if (value === undefined) return { kind: 'broken', said: 'not an answer of etcd' };
      return this.#checkCluster(value) ?? { value };
    } finally {
      limit.cancel();
    }
  }

  /** Two clusters behind one list of endpoints would make two leaders. */
  #checkCluster(value: JsonValue): EtcdFault | undefined {
    const cluster = clusterOf(value);
    if (cluster === undefined) return { kind: 'broken', said: 'not an answer of etcd' };
    this.#cluster ??= cluster;
    if (cluster === this.#cluster) return undefined;
    const said = `cluster ${cluster}, the others are of cluster ${this.#cluster}`;
    return { kind: 'broken', said };
  }
}
