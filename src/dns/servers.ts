/**
 * Which name server to ask next and how long to wait for it: the fastest that answers, failed ones
 * last but tried again as their penalty fades. Pure bookkeeping; time is an argument.
 */

export interface NameServer {
  /** IP literal. */
  readonly address: string;
  readonly port: number;
  readonly transport: 'udp' | 'tls';
  /** Name its certificate must be for; only with `tls`. */
  readonly tlsName?: string;
}

/** `192.0.2.1:53`, `[2001:db8::1]:53`, `tls://192.0.2.1:853#dns.example`. */
export function serverText({ address, port, transport, tlsName }: NameServer): string {
  const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  const name = tlsName === undefined ? '' : `#${tlsName}`;
  return transport === 'tls' ? `tls://${where}${name}` : where;
}

/** What a server cannot do, learnt from its answers. */
export interface ServerTraits {
  readonly keepsCase: boolean;
  readonly knowsEdns: boolean;
}

interface Score {
  /** Smoothed round trip (RFC 6298 style), undefined until it first answered. */
  rttMs: number | undefined;
  penalty: number;
  penalisedAtMs: number;
  traits: ServerTraits;
  answered: number;
  failed: number;
}

export interface ServerStanding extends ServerTraits {
  readonly server: NameServer;
  readonly rttMs: number | undefined;
  readonly answered: number;
  readonly failed: number;
}

/** A penalty is worth half as much after so long. */
const penaltyHalfLifeMs = 10_000;
const waits = { minMs: 400, maxMs: 2_500, firstMs: 800 } as const;
const maxPenalty = 16;

export class ServerBook {
  readonly #servers: readonly NameServer[];
  readonly #scores = new Map<string, Score>();

  constructor(servers: readonly NameServer[]) {
    this.#servers = servers;
  }

  /** Configured order among equals: one that fails leaves its place, and comes back. */
  order(nowMs: number): readonly NameServer[] {
    const rank = (server: NameServer): number => Math.round(this.#penalty(server, nowMs));
    return this.#servers
      .map((server, index) => ({ server, index, rank: rank(server) }))
      .sort((left, right) => left.rank - right.rank || left.index - right.index)
      .map(({ server }) => server);
  }

  /** Three round trips, twice as long each round: what is in no cache yet takes its time. */
  waitMs(server: NameServer, round: number): number {
    const { rttMs } = this.#score(server);
    const onceMs = rttMs === undefined ? waits.firstMs : Math.max(rttMs * 3, waits.minMs);
    return Math.min(onceMs * 2 ** round, waits.maxMs);
  }

  traits(server: NameServer): ServerTraits {
    return this.#score(server).traits;
  }

  answered(server: NameServer, tookMs: number): void {
    const score = this.#score(server);
    score.rttMs = score.rttMs === undefined ? tookMs : score.rttMs * 0.75 + tookMs * 0.25;
    score.penalty = 0;
    score.answered += 1;
  }

  failed(server: NameServer, nowMs: number): void {
    const score = this.#score(server);
    score.penalty = Math.min(this.#penalty(server, nowMs) + 2, maxPenalty);
    score.penalisedAtMs = nowMs;
    score.failed += 1;
  }

  learn(server: NameServer, traits: Partial<ServerTraits>): void {
    const score = this.#score(server);
    score.traits = { ...score.traits, ...traits };
  }

  standings(): readonly ServerStanding[] {
    return this.#servers.map((server) => {
      const { rttMs, answered, failed, traits } = this.#score(server);
      return { server, rttMs, answered, failed, ...traits };
    });
  }

  #penalty(server: NameServer, nowMs: number): number {
    const { penalty, penalisedAtMs } = this.#score(server);
    return penalty * 0.5 ** (Math.max(0, nowMs - penalisedAtMs) / penaltyHalfLifeMs);
  }

  #score(server: NameServer): Score {
    const key = serverText(server);
    const known = this.#scores.get(key);
    if (known !== undefined) return known;
    const fresh: Score = {
      rttMs: undefined,
      penalty: 0,
      penalisedAtMs: 0,
      traits: { keepsCase: true, knowsEdns: true },
      answered: 0,
      failed: 0,
    };
    this.#scores.set(key, fresh);
    return fresh;
  }
}
