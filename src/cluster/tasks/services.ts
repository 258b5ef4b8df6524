/**
 * The parts of a node that share its links: each brings the commands that it answers and the
 * tasks that run as long as a peer is there. A new part is a new entry of the list in `cli/build-*`.
 */
import { messageOf } from '../../guards.ts';
import type { Link } from '../link.ts';
import type { Asked, Reply } from '../session/output.ts';
import { commands, type RoleCommand } from '../wire/command.ts';
import { fault } from '../wire/fault.ts';
import type { NodeLog } from './node-log.ts';

export type AskedOf<Name extends RoleCommand> = Extract<Asked, { readonly command: Name }>;

/** The answer; `later`: it answers `asked.counter` itself. Throwing answers error 1000. */
export type Handler<Name extends RoleCommand, Peer> = (
  asked: AskedOf<Name>,
  peer: Peer,
) => Reply | 'later' | Promise<Reply>;

export type Handlers<Peer> = { readonly [Name in RoleCommand]?: Handler<Name, Peer> };

/** Runs from `ready` to the end of the link; `signal` aborts then. */
export interface PeerTask<Peer> {
  /** For the log, when it fails. */
  readonly name: string;
  run(peer: Peer, signal: AbortSignal): Promise<void>;
}

export interface Service<Peer> {
  readonly handlers?: Handlers<Peer>;
  readonly tasks?: readonly PeerTask<Peer>[];
  /** A check ended with files as the master has them, or they were just put so. Must not throw. */
  inStep?(peer: Peer): void;
  /** The link ended; every task has been aborted. Must not throw. */
  left?(peer: Peer): void;
}

/** What every peer of a role has. */
export interface ServedPeer {
  readonly link: Link;
  readonly log: NodeLog;
}

export class Services<Peer extends ServedPeer> {
  readonly #services: readonly Service<Peer>[];
  readonly #handlers: Handlers<Peer>;

  /** `fallback` answers what no service does. Two services for one command are a bug: throws. */
  constructor(services: readonly Service<Peer>[], fallback: Handlers<Peer> = {}) {
    this.#services = services;
    this.#handlers = { ...fallback, ...merge(services) };
  }

  /** Answer one request, now or later. */
  serve(asked: Asked, peer: Peer): void {
    const handler = this.#handlers[asked.command] as Handler<RoleCommand, Peer> | undefined;
    const reply = handler?.(asked, peer) ?? unserved(asked);
    if (reply === 'later') return;
    if (reply instanceof Promise) void this.#answerLate(asked, peer, reply);
    else peer.link.answer(asked.counter, reply);
  }

  /** Every task of every service, until all have ended. Never rejects. */
  async run(peer: Peer, signal: AbortSignal): Promise<void> {
    const tasks = this.#services.flatMap((service) => service.tasks ?? []);
    await Promise.all(tasks.map((task) => runTask(task, peer, signal)));
  }

  inStep(peer: Peer): void {
    for (const service of this.#services) service.inStep?.(peer);
  }

  left(peer: Peer): void {
    for (const service of this.#services) service.left?.(peer);
  }

  async #answerLate(asked: Asked, peer: Peer, coming: Promise<Reply>): Promise<void> {
    const reply = await coming.catch((error: unknown): Reply => {
      peer.log.error(unhandledText(asked, error));
      return failedReply(error);
    });
    peer.link.answer(asked.counter, reply);
  }
}

/** Stock's line for a handler that threw. */
export function unhandledText(asked: Asked, error: unknown): string {
  const word = commands[asked.command].wire;
  return `Unhandled error processing request 'b'${word}'': ${messageOf(error)}`;
}

function merge<Peer>(services: readonly Service<Peer>[]): Handlers<Peer> {
  const merged = new Map<string, unknown>();
  for (const [name, handler] of services.flatMap(({ handlers = {} }) => Object.entries(handlers))) {
    if (merged.has(name)) throw new RangeError(`two services answer ${name}`);
    merged.set(name, handler);
  }
  return Object.fromEntries(merged);
}

async function runTask<Peer extends ServedPeer>(
  task: PeerTask<Peer>,
  peer: Peer,
  signal: AbortSignal,
): Promise<void> {
  try {
    await task.run(peer, signal);
  } catch (error) {
    if (!signal.aborted) peer.log.error(`Unhandled error in ${task.name}: ${messageOf(error)}`);
  }
}

function failedReply(error: unknown): Reply {
  return { kind: 'fault', fault: fault(1000, messageOf(error).slice(0, 256)) };
}

/** A part that this node does not run. */
function unserved(asked: Asked): Reply {
  return { kind: 'fault', fault: fault(1000, `not served here: ${commands[asked.command].wire}`) };
}
