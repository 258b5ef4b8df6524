/** Real sockets around a relay: scripted managers, an agent's side, what the relay reported. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { relayNetwork } from '../../src/host/relay-sockets.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import type { RelayEvent, RelayManager, RelayNetwork } from '../../src/relay/ports.ts';
import { Relay } from '../../src/relay/relay.ts';
import { defaultRelaySettings, type RelaySettings } from '../../src/relay/settings.ts';
import { eventually } from '../fakes/processes.ts';

export const framedPing = Buffer.from('050000002370696e67', 'hex');
export const framedPong = Buffer.from('0500000023706f6e67', 'hex');

/** Deadlines that a slow machine does not miss; what a test is about it sets itself. */
const patient = { gentleMs: 200, dialMs: 30_000, dialAllMs: 60_000 };

/** Everything of one test; `close` leaves nothing behind. */
export class RelayWorld {
  readonly events: RelayEvent[] = [];
  readonly #servers: Server[] = [];
  readonly #sockets: Socket[] = [];
  readonly #relays: Relay[] = [];
  /** What the chooser returns from now on. */
  managers: readonly RelayManager[] = [];
  /** How long an agent that nobody answers is kept. */
  patienceMs = 0;
  /** All agents at once are more than the managers take in. */
  isCrowd = false;
  /** How long an agent waits whose manager failed. */
  admissionMs = 0;
  /** The same, when its slot has come and fewer managers answer than before. */
  againMs = 0;

  /** A manager of its own behaviour, told of every connection before anything else is read. */
  async serve(id: string, onSocket: (socket: Socket) => void): Promise<RelayManager> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#keep(socket);
      onSocket(socket);
    }).listen(0, '127.0.0.1');
    this.#servers.push(server);
    await once(server, 'listening');
    return { id, address: '127.0.0.1', port: portOf(server), protocol: 'tcp' };
  }

  /** A manager that answers the ping, then hands the connection over with what came after it. */
  manager(id: string, onAgent: (socket: Socket) => void): Promise<RelayManager> {
    return this.serve(id, (socket) => {
      socket.once('data', (first: Buffer) => {
        assert.ok(first.equals(framedPing), `a proof comes alone, got ${first.toString('hex')}`);
        socket.write(framedPong);
        onAgent(socket);
      });
    });
  }

  /** A manager that answers an agent's first bytes with its own name, and echoes everything. */
  echo(id: string): Promise<RelayManager> {
    return this.manager(id, (socket) => {
      socket.once('data', (first: Buffer) => {
        socket.write(`${id}\n`);
        socket.write(first);
        socket.pipe(socket);
      });
    });
  }

  /** An address where nothing listens. */
  async nobody(id: string): Promise<RelayManager> {
    const manager = await this.serve(id, () => undefined);
    const server = this.#servers.pop();
    server?.close();
    return manager;
  }

  async open(
    settings: Partial<RelaySettings> = {},
    network: RelayNetwork = relayNetwork,
  ): Promise<{ relay: Relay; port: number }> {
    const relay = new Relay(
      {
        clock: systemClock,
        network,
        choose: () => this.managers,
        admission: (_, __, leftMs) => (leftMs === undefined ? this.admissionMs : this.againMs),
        patienceMs: () => this.patienceMs,
        isCrowd: () => this.isCrowd,
        report: (event) => void this.events.push(event),
      },
      { ...defaultRelaySettings, ...patient, ...settings },
    );
    this.#relays.push(relay);
    const { port } = await relay.open({ kind: 'address', address: '127.0.0.1', port: 0 });
    return { relay, port };
  }

  /** An agent that says `hello` as soon as it may. */
  agent(port: number, hello = 'hi'): AgentSide {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    this.#keep(socket);
    if (hello !== '') socket.write(hello);
    return new AgentSide(socket);
  }

  of<Kind extends RelayEvent['kind']>(kind: Kind): Extract<RelayEvent, { kind: Kind }>[] {
    return this.events.filter((event) => event.kind === kind) as Extract<
      RelayEvent,
      { kind: Kind }
    >[];
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    for (const server of this.#servers) server.close();
    await Promise.all(this.#relays.map((relay) => relay.close()));
  }

  #keep(socket: Socket): void {
    this.#sockets.push(socket);
    socket.on('error', () => undefined);
  }
}

/** The agent's end of one connection, and how it ended. */
export class AgentSide {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  end: 'open' | 'ended' | 'reset' = 'open';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
    socket.on('end', () => {
      this.end = 'ended';
    });
    socket.on('error', () => {
      this.end = 'reset';
    });
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  async hears(text: string): Promise<void> {
    await eventually(`the agent hears ${text}`, () => this.text.includes(text));
  }

  async is(end: 'ended' | 'reset', withinMs?: number): Promise<void> {
    await eventually(`the agent's connection is ${end}`, () => this.end === end, withinMs);
  }
}

export function portOf(server: Server): number {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}
