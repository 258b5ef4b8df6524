/** Where the agent is connected, as far as that can be seen. Pure. */
import { isIP } from 'node:net';
import type { Health } from '../health/judge.ts';
import type { Manager } from '../list/model.ts';
import { relayProtocolOf } from '../list/relay-protocol.ts';
import { canonicalAddress } from '../wazuh/connections.ts';
import type { Memory } from './memory.ts';
import type { RankedList, RelaySeen, RelaySessionSeen, Seen, ServerSeen } from './seen.ts';

export type Connection =
  | {
      readonly kind: 'listed';
      readonly manager: Manager;
      /** Through our own relay: leaving it costs a reconnect, no restart. */
      readonly isRelayed?: true;
      /** That session, where it is known. */
      readonly session?: RelaySessionSeen;
    }
  /** Connected to something that the list does not name. */
  | {
      readonly kind: 'unlisted';
      readonly address: string;
      readonly isRelayed?: true;
      readonly session?: RelaySessionSeen;
    }
  /** `last`: where it was before, when that is still on the list. */
  | { readonly kind: 'none'; readonly last: Manager | undefined };

export interface ConnectionGround {
  readonly memory: Memory;
  readonly list: RankedList;
  readonly seen: Seen;
}

type OpenRelay = Extract<RelaySeen, { kind: 'open' }>;

/** It must speak what the list speaks; a 5.x agent cannot be pointed at an address literal of ours. */
export function openRelayOf({
  list,
  seen,
}: Omit<ConnectionGround, 'memory'>): OpenRelay | undefined {
  const { relay, file } = seen;
  if (relay?.kind !== 'open') return undefined;
  if (file.kind === 'readable' && file.dialect === '5') return undefined;
  return relayProtocolOf(list.list.managers) === protocolOf(relay) ? relay : undefined;
}

function protocolOf({ protocol = 'tcp' }: OpenRelay): 'tcp' | 'udp' {
  return protocol;
}

export function isRelayEntry(
  server:
    | (Pick<ServerSeen, 'address' | 'port'> & Partial<Pick<ServerSeen, 'protocol'>>)
    | undefined,
  relay: OpenRelay,
): boolean {
  if (server === undefined || server.port !== relay.port) return false;
  if (server.protocol !== undefined && server.protocol !== protocolOf(relay)) return false;
  return canonicalAddress(server.address) === canonicalAddress(relay.address);
}

/** The kernel's connection table is the truth; without it (UDP) the agent's word and our memory. */
export function connectionOf(ground: ConnectionGround): Connection {
  const { memory, list, seen } = ground;
  const { agent, health } = seen;
  const { managers } = list.list;
  const last = managers.find(({ id }) => id === memory.lastManager);
  const relayed = relayedTo(ground);
  if (relayed !== undefined) return relayedConnection(relayed, last);
  for (const peer of agent.peers) {
    const manager = managers.find(
      (one) => one.port === peer.port && isAt(one, peer.address, health.get(one.id)?.ips),
    );
    if (manager !== undefined) return { kind: 'listed', manager };
  }
  const [stranger] = agent.peers;
  if (stranger !== undefined && !agent.waiting) {
    // A name that does not resolve here now may be what the agent resolved earlier.
    const nameless = managers.find(
      ({ id, address, port }) =>
        port === stranger.port && isName(address) && (health.get(id)?.ips ?? []).length === 0,
    );
    if (nameless !== undefined) return { kind: 'listed', manager: nameless };
    return { kind: 'unlisted', address: stranger.address };
  }
  const saysConnected = agent.running && agent.status === 'connected' && !agent.waiting;
  const usesUdp = managers.some(({ protocol }) => protocol === 'udp');
  if (saysConnected && usesUdp && last !== undefined) return { kind: 'listed', manager: last };
  return { kind: 'none', last };
}

/** Over UDP there is no connection to see: its first entry, its own word and our flow say so together. */
function isIn(relay: OpenRelay, { seen: { agent, file } }: ConnectionGround): boolean {
  if (protocolOf(relay) === 'tcp') return agent.peers.some((peer) => isRelayEntry(peer, relay));
  const isFirst = file.kind === 'readable' && isRelayEntry(file.servers[0], relay);
  const saysConnected = agent.running && agent.status === 'connected' && !agent.waiting;
  return isFirst && saysConnected && relay.managerId !== undefined;
}

interface Relayed {
  readonly manager: Manager | undefined;
  readonly session: RelaySessionSeen | undefined;
}

/** Undefined: the agent is not in our relay. */
function relayedTo(ground: ConnectionGround): Relayed | undefined {
  const relay = openRelayOf(ground);
  if (relay === undefined) return undefined;
  if (!isIn(relay, ground)) return undefined;
  const manager = ground.list.list.managers.find(({ id }) => id === relay.managerId);
  return { manager, session: relay.session };
}

/** A session of a manager that has left the list goes on until somebody ends it. */
function relayedConnection({ manager, session }: Relayed, last: Manager | undefined): Connection {
  const at = session === undefined ? {} : { session };
  if (manager !== undefined) return { kind: 'listed', manager, isRelayed: true, ...at };
  if (session === undefined) return { kind: 'none', last };
  return { kind: 'unlisted', address: session.address, isRelayed: true, session };
}

/** The relay's session stands at an address that its manager's name has no more. */
export function hasLeftName(
  connection: Extract<Connection, { kind: 'listed' }>,
  health: ReadonlyMap<string, Health>,
): boolean {
  const { manager, session } = connection;
  if (session === undefined || isIP(session.address) === 0) return false;
  const ips = health.get(manager.id)?.ips ?? [];
  return ips.length > 0 && !isAt(manager, canonicalAddress(session.address), ips);
}

function isAt(manager: Manager, address: string, ips: readonly string[] = []): boolean {
  const isThat = (one: string): boolean => canonicalAddress(one) === address;
  return isThat(manager.address) || ips.some(isThat);
}

function isName(address: string): boolean {
  return isIP(address) === 0;
}
