/**
 * Where a connection stands, and which commands the peer may send there. On a master nothing has
 * an effect before a good hello, and a second hello is refused; stock masters allow both.
 */
import type { CommandName, Role } from '../wire/command.ts';

export type Phase =
  /** Before a good hello. */
  | 'greeting'
  /** Master: a hello lies with the role; what came after it waits unread. */
  | 'judging'
  /** Master: this node must prove that it is ours before it is served. */
  | 'proving'
  /** Worker: our offer is under way; what we send waits for its answer. */
  | 'offering'
  | 'ready'
  | 'closed';

export function firstPhase(role: Role): Phase {
  return role === 'master' || role === 'worker' ? 'greeting' : 'ready';
}

const beforeHello: ReadonlySet<CommandName> = new Set(['hello']);
const whileProving: ReadonlySet<CommandName> = new Set(['echo']);
const nothing: ReadonlySet<CommandName> = new Set();

/**
 * Whether the peer of a node in the role `own` may send `command` now. `isProofDue`: whatever comes
 * while an offer is under way may be a replay, and this worker serves none.
 */
export function mayServe(
  phase: Phase,
  own: Role,
  command: CommandName,
  isProofDue: boolean,
): boolean {
  switch (phase) {
    case 'greeting':
      return (own === 'master' ? beforeHello : nothing).has(command);
    case 'proving':
      return whileProving.has(command);
    case 'judging':
    case 'closed':
      return false;
    case 'offering':
      return !isProofDue && command !== 'hello';
    case 'ready':
      return command !== 'hello';
  }
}

/** The other end of each role. */
export const peerOf: Readonly<Record<Role, Role>> = {
  master: 'worker',
  worker: 'master',
  localServer: 'localClient',
  localClient: 'localServer',
};
