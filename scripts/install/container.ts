/**
 * A throw-away Linux that boots its own systemd: an overlay over a Debian root, systemd-nspawn
 * with a network of its own. Needs root, debootstrap and systemd-container; nothing of it stays.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../package/bundles.ts';

const packages =
  'systemd,systemd-sysv,dbus,libatomic1,libstdc++6,iproute2,procps,passwd,rpm,openssl';

/** A minimal Debian with systemd and rpm, made once (two minutes) into `dist/`. */
export function debianRoot(at = join(root, 'dist/roots/bookworm')): string {
  const complete = join(at, '.pilotfish-complete');
  if (existsSync(complete)) return at;
  rmSync(at, { recursive: true, force: true });
  mkdirSync(at, { recursive: true });
  const words = ['--variant=minbase', `--include=${packages}`, 'bookworm', at];
  execFileSync('debootstrap', words, { stdio: ['ignore', 'ignore', 'inherit'] });
  writeFileSync(complete, '');
  return at;
}

export interface Said {
  readonly status: number;
  readonly out: string;
}

export class Container {
  readonly #folder: string;
  readonly #nspawn: number;
  readonly #init: number;

  private constructor(folder: string, nspawn: number, init: number) {
    this.#folder = folder;
    this.#nspawn = nspawn;
    this.#init = init;
  }

  /** The root of its files, seen from here. */
  get files(): string {
    return join(this.#folder, 'merged');
  }

  /** `readOnly` paths are the same inside. */
  static async boot(lower: string, readOnly: readonly string[]): Promise<Container> {
    const folder = mkdtempSync(join(tmpdir(), 'pilotfish-root-'));
    const at = (name: string): string => join(folder, name);
    for (const name of ['upper', 'work', 'merged']) mkdirSync(at(name));
    const layers = `lowerdir=${lower},upperdir=${at('upper')},workdir=${at('work')}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, at('merged')]);
    const machine = `pf${process.pid}`;
    const binds = readOnly.map((path) => `--bind-ro=${path}`);
    const words = ['-D', at('merged'), '--boot', '--register=no', '--keep-unit'];
    const child = spawn(
      'systemd-nspawn',
      [...words, '--private-network', `--machine=${machine}`, '--console=pipe', ...binds],
      { stdio: ['ignore', 'ignore', 'ignore'] },
    );
    const nspawn = child.pid ?? 0;
    const init = await waitFor('init of the container', () => childOf(nspawn));
    const container = new Container(folder, nspawn, init);
    await container.until('systemctl is-system-running', (said) =>
      /^(running|degraded)/.test(said.out),
    );
    container.run('ip link set lo up');
    return container;
  }

  /** Runs a line of shell; throws with what it said unless it ends with 0. */
  run(line: string): string {
    const { status, out } = this.try(line);
    if (status !== 0) throw new Error(`${line}: exit ${status}\n${out}`);
    return out;
  }

  /** Standard output and error together. */
  try(line: string): Said {
    const spaces = ['-m', '-u', '-i', '-n', '-p', '--root', '--wd'];
    const words = ['-t', String(this.#init), ...spaces, '/bin/sh', '-c', `exec 2>&1\n${line}`];
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', HOME: '/root' };
    const { status, stdout } = spawnSync('nsenter', words, { env, maxBuffer: 64 * 1024 * 1024 });
    return { status: status ?? -1, out: stdout.toString() };
  }

  /** Runs `line` until what it says is good; throws with the last words after two minutes. */
  async until(line: string, isGood: (said: Said) => boolean): Promise<string> {
    let last: Said = { status: -1, out: '' };
    const found = await waitFor(line, () => {
      last = this.try(line);
      return isGood(last) ? last.out : undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; it said: ${last.out.slice(-2000)}`);
    });
    return found;
  }

  async stop(): Promise<void> {
    // Nothing in there is worth an orderly end; with its init everything of its pid namespace ends.
    process.kill(this.#init, 'SIGKILL');
    process.kill(this.#nspawn, 'SIGKILL');
    await waitFor('the end of the container', () => isGone(this.#nspawn));
    spawnSync('umount', ['-l', this.files]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The child that is process 1 in there; before it there is one that only sets things up. */
function childOf(pid: number): number | undefined {
  const children = tryRead(`/proc/${pid}/task/${pid}/children`).trim().split(' ');
  const isInit = (child: string): boolean =>
    /^NSpid:.*\s1$/m.test(tryRead(`/proc/${child}/status`));
  const found = children.find((child) => child !== '' && isInit(child));
  return found === undefined ? undefined : Number(found);
}

function isGone(pid: number): true | undefined {
  const state = /\) (\w)/.exec(tryRead(`/proc/${pid}/stat`))?.[1] ?? 'X';
  return 'XZ'.includes(state) ? true : undefined;
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

async function waitFor<T>(what: string, look: () => T | undefined): Promise<T> {
  const end = Date.now() + 120_000;
  while (Date.now() < end) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(250);
  }
  throw new Error(`${what}: nothing in 120 s`);
}
