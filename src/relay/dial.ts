/**
 * The best manager that answers, on one accepted connection: the next is tried before the agent
 * learns anything, because an agent waits `retry_interval` after a failed handshake and then
 * leaves the relay for its own list (real-agent-lab.md 9).
 */
import { type Clock, deadline, sleep } from '../clock.ts';
import { framedPing, readFramedPong } from '../health/ping.ts';
import type { Connection, RelayManager, RelayNetwork, SuspectWhy } from './ports.ts';
import type { RelaySettings } from './settings.ts';

export interface DialPorts {
  readonly clock: Clock;
  readonly network: RelayNetwork;
  readonly settings: RelaySettings;
  failed(manager: RelayManager, why: SuspectWhy): void;
  /** After one was silent, and was asked by the prober: is the next one dialled? Absent: at once. */
  goesOn?(): boolean;
  /** A connection that is already there; it has to answer once more. */
  spare?(manager: RelayManager): Connection | undefined;
}

export interface Dialled {
  readonly manager: RelayManager;
  /** Paused; nothing of the manager's bytes is lost. */
  readonly connection: Connection;
  readonly skipped: readonly string[];
}

/** Undefined: nobody answered in time, or `signal` aborted. Never throws. */
export async function dialBest(
  ports: DialPorts,
  managers: readonly RelayManager[],
  signal: AbortSignal,
): Promise<Dialled | undefined> {
  const { clock, settings } = ports;
  const total = deadline(clock, settings.dialAllMs, signal);
  const skipped: string[] = [];
  try {
    for (const manager of managers) {
      if (total.signal.aborted) break;
      const startMs = clock.monotonicMs();
      const connection = await dialOne(ports, manager, total.signal);
      if (connection !== undefined) return { manager, connection, skipped };
      skipped.push(manager.id);
      if (!(await goesOn(ports, clock.monotonicMs() - startMs, total.signal))) break;
    }
    return undefined;
  } finally {
    total.cancel();
  }
}

/** Whoever was silent is dead, or full: the prober, which was told of it, knows in a moment. */
async function goesOn(
  { clock, settings, goesOn: ask }: DialPorts,
  tookMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (ask === undefined || tookMs < settings.dialMs) return true;
  await sleep(clock, settings.proofMs, signal).catch(() => undefined);
  return ask();
}

/** One manager within `dialMs`; a failure that is not of `signal`'s making is told. */
export async function dialOne(
  ports: DialPorts,
  manager: RelayManager,
  signal: AbortSignal,
): Promise<Connection | undefined> {
  const limit = deadline(ports.clock, ports.settings.dialMs, signal);
  try {
    const spare = ports.spare?.(manager);
    const connection = spare ?? (await ports.network.dial(manager, limit.signal));
    if (ports.settings.proof === 'pong') await askPong(connection, limit.signal);
    return connection;
  } catch {
    // Which error it was changes nothing: the probe that follows says what is wrong there.
    const why = limit.signal.aborted ? 'dial_silent' : 'dial_refused';
    if (!signal.aborted) ports.failed(manager, why);
    return undefined;
  } finally {
    limit.cancel();
  }
}

/** The manager's answer on this very connection, which is paused again afterwards. */
function askPong(connection: Connection, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    let received = new Uint8Array(0);
    const fail = (why: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      connection.attach(deaf);
      connection.reset();
      reject(why);
    };
    const onAbort = (): void => fail(signal.reason);
    const leave = (): void => fail(new Error('closed instead of an answer'));
    connection.attach({
      ...deaf,
      bytes(bytes) {
        received = Buffer.concat([received, bytes]);
        const reading = readFramedPong(received);
        // remoted speaks only when spoken to: a byte after the pong is as wrong as another answer.
        if (reading === 'wrong' || received.length > framedPongBytes) return leave();
        if (reading === 'more') return;
        signal.removeEventListener('abort', onAbort);
        connection.pause();
        resolve();
      },
      ended: leave,
      closed: leave,
    });
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    connection.write(framedPing);
    connection.resume();
  });
}

const framedPongBytes = framedPing.length;

const nothing = (): void => undefined;
/** Hears nothing: for a connection that is being thrown away. */
export const deaf = { bytes: nothing, drained: nothing, ended: nothing, closed: nothing };
