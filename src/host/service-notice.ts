/**
 * What systemd wants to hear of a `Type=notify` service (sd_notify(3)): that it is ready, that it
 * lives (watchdog), that it stops. Node has no datagram sockets of the Unix family, so the small
 * native helper beside the program (installers/linux/native/notify.c) carries each line.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Log } from '../log.ts';

export interface ServiceNotice {
  /** Start-up is over. `status` is shown by `systemctl status`. */
  ready(status: string): void;
  stopping(): void;
}

export interface NoticeOptions {
  /** Asked a few times per watchdog period; silence makes systemd restart us. */
  readonly isAlive: () => boolean;
  readonly log: Log;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default: `../lib/PROGRAM/notify` beside the running executable. */
  readonly helper?: string;
}

const silent: ServiceNotice = { ready: () => undefined, stopping: () => undefined };
/** Of one watchdog period. */
const beatsPerPeriod = 3;

/** Does nothing where no service manager listens. */
export function openServiceNotice(options: NoticeOptions): ServiceNotice {
  const { isAlive, log, environment = process.env, helper = helperBeside() } = options;
  const socket = environment.NOTIFY_SOCKET;
  if (socket === undefined || socket === '') return silent;
  if (!existsSync(helper)) {
    log.warn('service.no_helper', { helper });
    return silent;
  }
  const tell = openHelper(helper, socket, log);
  const periodMs = Number(environment.WATCHDOG_USEC ?? 0) / 1_000;
  if (periodMs > 0) {
    const beat = (): void => (isAlive() ? tell('WATCHDOG=1') : undefined);
    setInterval(beat, periodMs / beatsPerPeriod).unref();
  }
  return {
    ready: (status) => tell(`READY=1\nSTATUS=${status.replaceAll('\n', ' ')}`),
    stopping: () => tell('STOPPING=1'),
  };
}

/** How long this process may hang before systemd ends it; undefined: nobody watches. */
export function readWatchdogMs(): number | undefined {
  const periodMs = Number(process.env.WATCHDOG_USEC ?? 0) / 1_000;
  return process.env.NOTIFY_SOCKET === undefined || !(periodMs > 0) ? undefined : periodMs;
}

function helperBeside(): string {
  const program = process.execPath;
  return join(dirname(program), '..', 'lib', basename(program), 'notify');
}

/** It ends when our end of its input closes: with us, whatever ends us. */
function openHelper(helper: string, socket: string, log: Log): (lines: string) => void {
  const child: ChildProcess = spawn(helper, [], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { NOTIFY_SOCKET: socket },
  });
  const lost = (why: unknown): void => log.error('service.helper_lost', { why: String(why) });
  child.once('error', lost);
  child.stdin?.on('error', lost);
  child.unref();
  unref(child.stdin);
  return (lines) => void child.stdin?.write(`${lines}\n`);
}

/** Of a pipe: Node types it as any writable stream. */
function unref(stream: unknown): void {
  const { unref: release } = stream as { unref?: () => void };
  release?.call(stream);
}
