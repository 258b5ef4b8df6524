/** A master and workers over real sockets on loopback, for the tests of the link. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Cancel, Clock, Random } from '../../src/clock.ts';
import type { AddressBudget } from '../../src/cluster/address-budget.ts';
import {
  Link,
  type LinkHandler,
  type LinkPorts,
  type LinkSession,
} from '../../src/cluster/link.ts';
import type { StoreStep } from '../../src/cluster/session/output.ts';
import type { TransferStore } from '../../src/cluster/store-queue.ts';
import { expectOk } from '../../src/cluster/upload.ts';
import { seal } from './pair.ts';

export const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};
export const random: Random = { bytes: (length) => randomBytes(length), fraction: () => 0.5 };

export class MemoryStore implements TransferStore {
  readonly parts = new Map<number, Buffer[]>();
  readonly actions: string[] = [];
  failOn: StoreStep['action'] | undefined;

  async perform(step: StoreStep): Promise<void> {
    this.actions.push(step.action);
    if (step.action === this.failOn) throw new Error('ENOSPC: no space left on device');
    if (step.action === 'open') this.parts.set(step.transfer, []);
    if (step.action === 'append') this.parts.get(step.transfer)?.push(Buffer.from(step.bytes));
    if (step.action === 'drop') this.parts.delete(step.transfer);
  }

  content(transfer: number): Buffer {
    return Buffer.concat(this.parts.get(transfer) ?? []);
  }
}

export interface Peer {
  readonly link: Link;
  readonly store: MemoryStore;
}

/** A master that admits everybody, and answers role commands with `ok`. */
export const admitAll: LinkHandler = {
  asked(asked, link) {
    if (asked.command === 'hello') link.admit(asked.counter, { mustBeOurs: false });
    else link.answer(asked.counter, { kind: 'ok', payload: 'True' });
  },
};

export interface Master {
  readonly server: Server;
  readonly port: number;
  readonly peers: Peer[];
}

export async function listen(
  t: TestContext,
  more: {
    handler?: LinkHandler;
    budget?: AddressBudget;
    session?: Partial<LinkSession>;
    clock?: Clock;
  } = {},
): Promise<Master> {
  const peers: Peer[] = [];
  const server = createServer((socket) => {
    const store = new MemoryStore();
    const ports: LinkPorts = {
      clock: more.clock ?? clock,
      random,
      store,
      handler: more.handler ?? admitAll,
      ...(more.budget && { budget: more.budget }),
    };
    peers.push({ link: new Link(socket, { role: 'master', seal, ...more.session }, ports), store });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const { link } of peers) void link.close();
  });
  return { server, port: (server.address() as AddressInfo).port, peers };
}

export async function dial(
  port: number,
  handler: LinkHandler = admitAll,
  session: Partial<LinkSession> = {},
): Promise<Peer> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const store = new MemoryStore();
  return {
    link: new Link(socket, { role: 'worker', seal, ...session }, { clock, random, store, handler }),
    store,
  };
}

export async function joined(
  t: TestContext,
  port: number,
  node = 'w1',
  session: Partial<LinkSession> = {},
): Promise<Peer> {
  const peer = await dial(port, admitAll, session);
  t.after(() => peer.link.close());
  const hello = { node, cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  expectOk(await peer.link.request('hello', hello), 'hello');
  return peer;
}

/** Whoever knows no protocol of ours. */
export async function rawDial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** A clock that moves when told. */
export class HandClock implements Clock {
  #now = 1000;
  readonly #timers = new Set<{ readonly atMs: number; readonly task: () => void }>();

  /** Timers that would still keep a process alive. */
  get timers(): number {
    return this.#timers.size;
  }

  nowMs(): number {
    return 1e12 + this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  after(delayMs: number, task: () => void): Cancel {
    const timer = { atMs: this.#now + delayMs, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  advance(byMs: number): void {
    this.#now += byMs;
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#now || !this.#timers.delete(timer)) continue;
      timer.task();
    }
  }
}
