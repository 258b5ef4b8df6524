/**
 * Starts the stand-ins (or any program that prints JSON lines) from a test, lets it wait for what
 * they print, and leaves none behind: children end with their standard input, get SIGKILL when
 * this process dies (where `setpriv` exists, that holds for stopped ones too), and `stopAll` ends
 * the rest.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

export interface StandInEvent {
  readonly event: string;
  /** Wall clock of the stand-in. */
  readonly atMs: number;
  readonly [field: string]: unknown;
}

/** A shape to wait for: the named fields are equal. */
export type EventShape = Readonly<Record<string, unknown>> & { readonly event: string };

const defaultWaitMs = 60_000;

/** One running program whose stdout is JSON lines. */
export class StandInProcess {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #events: StandInEvent[] = [];
  readonly #waiting = new Set<() => void>();
  #errors = '';
  #kept = '';
  /** Resolves once the process is gone. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdin.on('error', () => child.stdin.destroy());
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-8000);
    });
    this.ended = new Promise((resolve) => {
      const settle = (code: number | null, signal: string | null): void => {
        resolve({ code, signal });
        this.#wakeAll();
      };
      child.once('close', settle);
      child.once('error', () => settle(null, null));
    });
  }

  get pid(): number {
    return this.#child.pid ?? Number.NaN;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Everything printed so far, oldest first. */
  get events(): readonly StandInEvent[] {
    return this.#events;
  }

  /** What it wrote to stderr, the end of it. */
  get errors(): string {
    return this.#errors;
  }

  /** Events so far: hand it to `waitFor` as `after` to look at later ones only. */
  get mark(): number {
    return this.#events.length;
  }

  /** A command line on its standard input. */
  send(command: string): void {
    this.#child.stdin.write(`${command}\n`);
  }

  /** The first event after `after` whose fields equal those of `shape`; throws at the deadline. */
  async waitFor(
    shape: EventShape,
    { after = 0, withinMs = defaultWaitMs }: { after?: number; withinMs?: number } = {},
  ): Promise<StandInEvent> {
    const endAtMs = performance.now() + withinMs;
    for (;;) {
      const found = this.#events.slice(after).find((event) => hasShape(event, shape));
      if (found !== undefined) return found;
      const leftMs = endAtMs - performance.now();
      if (leftMs <= 0 || !this.isRunning) throw new Error(this.#complain(shape, withinMs));
      await this.#nextEvent(leftMs);
    }
  }

  /** Ends its standard input, as the death of this process would. */
  closeInput(): void {
    this.#child.stdin.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Hang as a stopped process hangs: the kernel goes on accepting connections. */
  stop(): void {
    this.signal('SIGSTOP');
  }

  cont(): void {
    this.signal('SIGCONT');
  }

  /** SIGKILL, and wait until it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  #read(text: string): void {
    const lines = (this.#kept + text).split('\n');
    this.#kept = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('{')) this.#events.push(JSON.parse(line) as StandInEvent);
    }
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #nextEvent(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, withinMs);
      this.#waiting.add(wake);
    });
  }

  #complain(shape: EventShape, withinMs: number): string {
    const printed = this.#events.map((event) => JSON.stringify(event)).join('\n');
    const state = this.isRunning ? `not within ${withinMs} ms` : 'the process ended';
    return `no ${JSON.stringify(shape)}: ${state}\n${printed}\n${this.#errors}`;
  }
}

function hasShape(event: StandInEvent, shape: EventShape): boolean {
  return Object.entries(shape).every(([name, value]) => event[name] === value);
}

const managerPath = fileURLToPath(new URL('manager.ts', import.meta.url));
const agentPath = fileURLToPath(new URL('agent.ts', import.meta.url));

/** Everything started here that may still run; one hook for all of them. */
const running = new Set<StandInProcess>();
process.once('exit', () => {
  for (const started of running) started.signal('SIGKILL');
});

/** All stand-ins of one test. */
export class StandIns {
  readonly #started = new Set<StandInProcess>();

  /** Runs `program` with `args` (no shell) and collects its JSON lines. */
  start(program: string, args: readonly string[]): StandInProcess {
    const [command, ...rest] = tied([program, ...args]);
    const started = new StandInProcess(
      spawn(command ?? program, rest, { stdio: ['pipe', 'pipe', 'pipe'] }),
    );
    this.#started.add(started);
    running.add(started);
    return started;
  }

  /** A stand-in manager that listens at `listen` (`127.0.0.2:1514`), once it does. */
  async startManager(listen: string, args: readonly string[] = []): Promise<StandInProcess> {
    const manager = this.start(process.execPath, [managerPath, '--listen', listen, ...args]);
    await manager.waitFor({ event: 'mode' });
    return manager;
  }

  /** A stand-in agent in the foreground, with the agent home `home`. */
  startAgent(home: string, args: readonly string[] = []): StandInProcess {
    return this.start(process.execPath, [agentPath, '--home', home, ...args]);
  }

  /** Kills what still runs and waits for it. For `after` hooks. */
  async stopAll(): Promise<void> {
    for (const started of this.#started) {
      if (started.isRunning) started.signal('SIGKILL');
      await started.ended;
      running.delete(started);
    }
    this.#started.clear();
  }
}

/** The kernel kills the child with its parent, even a stopped one; the process id stays the same. */
function tied(argv: readonly string[]): readonly string[] {
  const setpriv = '/usr/bin/setpriv';
  return existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL', ...argv] : argv;
}

/**
 * A port that is free on `host`, for a program that is told its port. Below the ports the kernel
 * deals out: no `listen(0)` and no `connect()` of a test beside this one gets it meanwhile.
 */
export async function freePort(host: string): Promise<number> {
  for (;;) {
    const port = 10_000 + randomInt(22_000);
    const server = createServer().listen(port, host);
    const isFree = await once(server, 'listening').then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EADDRINUSE') return false;
        throw error;
      },
    );
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** One address of 127/8 that no other test process uses: parallel test files never meet. */
export function ownAddress(index: number): string {
  const { pid } = process;
  return `127.${1 + ((pid >> 8) % 254)}.${pid & 255}.${1 + index}`;
}

/** Polls `look` until it returns something other than undefined or false; throws at the deadline. */
export async function eventually<Found>(
  what: string,
  look: () => Found | undefined | false | Promise<Found | undefined | false>,
  withinMs: number = defaultWaitMs,
): Promise<Found> {
  const endAtMs = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > endAtMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
