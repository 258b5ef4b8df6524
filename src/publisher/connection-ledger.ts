/**
 * Who holds connections: caps for all, for each address and for each network, and a rate for new
 * ones (trust-and-safety 6.5). A connection that waits in a long poll is counted apart: thousands
 * of sidecars may wait behind one NAT address while short requests stay scarce. Pure bookkeeping.
 */
import { isIPv6 } from 'node:net';
import { buildHandshakeGate } from './handshake-gate.ts';

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
  /** Per IPv4 /24 or IPv6 /48. */
  readonly maxConnectionsPerNetwork: number;
  readonly maxHandshakesPerSecond: number;
  readonly maxLongPolls: number;
  readonly maxLongPollsPerIp: number;
}

export type Admission = 'admitted' | 'too_fast' | 'full' | 'full_for_ip' | 'full_for_network';

export interface ConnectionLedger {
  /** A new connection; unless `admitted` it is to be closed at once and is not counted. */
  open(ip: string, nowMs: number): Admission;
  close(ip: string): void;
  /** It was served lately, so it comes before strangers when many come at once. */
  isKnown(ip: string, nowMs: number): boolean;
  /** It got a good answer. */
  noteServed(ip: string, nowMs: number): void;
  /** Its request begins to wait: it moves to the other cap; false when that one is reached. */
  startWaiting(ip: string): boolean;
  endWaiting(ip: string): void;
  counts(): { readonly connections: number; readonly waiting: number };
}

export function buildConnectionLedger(limits: ConnectionLimits): ConnectionLedger {
  const active = new Tally();
  const networks = new Tally();
  const waiting = new Tally();
  const gate = buildHandshakeGate(limits.maxHandshakesPerSecond);
  const forKnown = Math.floor(limits.maxConnections / 16);

  const judge = (source: Source, nowMs: number): Admission => {
    const kept = gate.isKnown(source.host, nowMs) ? 0 : forKnown;
    if (active.total >= limits.maxConnections - kept) return 'full';
    if (active.of(source.host) >= limits.maxConnectionsPerIp) return 'full_for_ip';
    if (networks.of(source.network) >= limits.maxConnectionsPerNetwork) return 'full_for_network';
    return gate.admit(source, nowMs) ? 'admitted' : 'too_fast';
  };
  const count = (ip: string, step: 1 | -1): void => {
    const source = sourceOf(ip);
    active.add(source.host, step);
    networks.add(source.network, step);
  };
  return {
    open(ip, nowMs) {
      const verdict = judge(sourceOf(ip), nowMs);
      if (verdict === 'admitted') count(ip, 1);
      return verdict;
    },
    close: (ip) => count(ip, -1),
    isKnown: (ip, nowMs) => gate.isKnown(sourceOf(ip).host, nowMs),
    noteServed: (ip, nowMs) => gate.noteServed(sourceOf(ip).host, nowMs),
    startWaiting(ip) {
      const { host } = sourceOf(ip);
      if (waiting.total >= limits.maxLongPolls) return false;
      if (waiting.of(host) >= limits.maxLongPollsPerIp) return false;
      waiting.add(host, 1);
      count(ip, -1);
      return true;
    },
    endWaiting(ip) {
      waiting.add(sourceOf(ip).host, -1);
      count(ip, 1);
    },
    counts: () => ({ connections: active.total, waiting: waiting.total }),
  };
}

class Tally {
  readonly #counts = new Map<string, number>();
  total = 0;

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string, step: 1 | -1): void {
    const next = this.of(key) + step;
    if (next === 0) this.#counts.delete(key);
    else this.#counts.set(key, next);
    this.total += step;
  }
}

interface Source {
  /** The address itself; for IPv6 its /64, which one host owns as a whole. */
  readonly host: string;
  readonly network: string;
}

export function sourceOf(ip: string): Source {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  const text = mapped ?? ip;
  if (!isIPv6(text)) return { host: text, network: text.split('.').slice(0, 3).join('.') };
  const groups = expandGroups(text.split('%')[0] ?? '');
  return { host: groups.slice(0, 4).join(':'), network: groups.slice(0, 3).join(':') };
}

function expandGroups(text: string): readonly string[] {
  const [head = '', tail] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0');
  return [...before, ...zeros, ...after];
}
