/**
 * Framed pings over one connection that stays (remoted keeps it, agent-side.md 5.1): a probe a
 * second then costs the manager a message, not a connection, and a manager that is killed is known
 * the moment its kernel closes.
 */
import { connect, type Socket } from 'node:net';
import { untilAborted } from '../clock.ts';
import { framedPing, readFramedPong } from '../health/ping.ts';
import { ProbeProblem, wrongAnswer } from './probe-asks.ts';

interface Waiting {
  resolve(): void;
  reject(why: unknown): void;
}

export interface KeptPing {
  /** Connects when it must, to `ip`. One question at a time; a failed one costs the connection. */
  ask(ip: string, limit: AbortSignal): Promise<void>;
  isOpen(): boolean;
  close(): void;
}

/** `onClosed`: the other side closed an idle connection that had answered. */
export function keepPing(port: number, onClosed: () => void): KeptPing {
  let socket: Socket | undefined;
  let address = '';
  let waiting: Waiting | undefined;
  let received = Buffer.alloc(0);

  const drop = (): void => {
    socket?.destroy();
    socket = undefined;
    waiting = undefined;
    received = Buffer.alloc(0);
  };
  const lost = (of: Socket, why: unknown): void => {
    if (socket !== of) return;
    const asked = waiting;
    drop();
    if (asked === undefined) onClosed();
    else asked.reject(why);
  };
  const take = (of: Socket, bytes: Buffer): void => {
    if (socket !== of) return;
    received = Buffer.concat([received, bytes.subarray(0, 16)]);
    const reading = waiting === undefined ? 'wrong' : readFramedPong(received);
    if (reading === 'wrong' || received.length > framedPing.length) {
      lost(of, wrongAnswer(received));
      return;
    }
    if (reading === 'more') return;
    received = Buffer.alloc(0);
    waiting?.resolve();
    waiting = undefined;
  };
  const open = (ip: string): Socket => {
    const made = connect({ host: ip, port, noDelay: true });
    made.on('error', (error) => lost(made, error));
    made.on('close', () => lost(made, new ProbeProblem('closed', 'closed before the answer')));
    made.on('data', (bytes: Buffer) => take(made, bytes));
    return made;
  };

  return {
    async ask(ip, limit) {
      if (address !== ip) drop();
      address = ip;
      socket ??= open(ip);
      const answer = new Promise<void>((resolve, reject) => {
        waiting = { resolve, reject };
      });
      socket.write(framedPing);
      try {
        await untilAborted(answer, limit);
      } catch (thrown) {
        drop(); // an answer that comes late must not be taken for the next one
        throw thrown;
      }
    },
    isOpen: () => socket !== undefined,
    close: drop,
  };
}
