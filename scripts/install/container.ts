/**
 * A throw-away Linux that boots its own init: an overlay over a Debian root, systemd-nspawn
 * with a network of its own. Needs root, debootstrap and systemd-container; nothing of it stays.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../package/bundles.ts';

/** What starts a container, and how it is told that it has. */
export interface Init {
  /** Also the name of the root in `dist/roots`. */
  readonly name: string;
  readonly packages: string;
  /** Packages that debootstrap cannot choose, as they replace others; by apt, from its mirror. */
  readonly later?: readonly string[];
  /** A line of shell. */
  readonly state: string;
  isUp(state: Said): boolean;
}

const common = 'libatomic1,libstdc++6,iproute2,procps,passwd,openssl';

export const systemd: Init = {
  name: 'bookworm',
  packages: `systemd,systemd-sysv,dbus,rpm,${common}`,
  state: 'systemctl is-system-running',
  isUp: ({ out }) => /^(running|degraded)/.test(out),
};

/** A minimal Debian with that init, made once (two minutes) into `dist/`. */
export function debianRoot(
  { name, packages, later = [] }: Init,
  at = join(root, 'dist/roots', name),
): string {
  const complete = join(at, '.pilotfish-complete');
  if (existsSync(complete)) return at;
  rmSync(at, { recursive: true, force: true });
  mkdirSync(at, { recursive: true });
  const words = ['--variant=minbase', `--include=${packages}`, 'bookworm', at];
  execFileSync('debootstrap', words, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (later.length > 0) {
    const apt = 'apt-get update && apt-get install -y --no-install-recommends "$@"';
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const stdio = ['ignore', 'ignore', 'inherit'] as const;
    execFileSync('chroot', [at, 'sh', '-ec', apt, 'sh', ...later], { env, stdio: [...stdio] });
  }
  writeFileSync(complete, '');
  return at;
}

export interface Said {
  readonly status: number;
  readonly out: string;
}

export class Container {
  readonly #folder: string;
  readonly #words: readonly string[];
  readonly #init: Init;
  #nspawn: ChildProcess | undefined;
  #pid = 0;

  private constructor(folder: string, words: readonly string[], init: Init) {
    this.#folder = folder;
    this.#words = words;
    this.#init = init;
  }

  /** The root of its files, seen from here. */
  get files(): string {
    return join(this.#folder, 'merged');
  }

  /** `readOnly` paths are the same inside. */
  static async boot(
    lower: string,
    readOnly: readonly string[],
    init = systemd,
  ): Promise<Container> {
    const folder = mkdtempSync(join(tmpdir(), 'pilotfish-root-'));
    const at = (name: string): string => join(folder, name);
    for (const name of ['upper', 'work', 'merged']) mkdirSync(at(name));
    const layers = `lowerdir=${lower},upperdir=${at('upper')},workdir=${at('work')}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, at('merged')]);
    const binds = readOnly.map((path) => `--bind-ro=${path}`);
    const words = ['-D', at('merged'), '--boot', '--register=no', '--keep-unit', ...binds];
    const container = new Container(folder, words, init);
    await container.#start();
    return container;
  }

  async #start(): Promise<void> {
    const words = ['--private-network', `--machine=pf${process.pid}`, '--console=pipe'];
    const nspawn = spawn('systemd-nspawn', [...this.#words, ...words], { stdio: 'ignore' });
    this.#nspawn = nspawn;
    this.#pid = await waitFor('init of the container', () => childOf(nspawn.pid ?? 0));
    await this.until(this.#init.state, (said) => this.#init.isUp(said));
    this.run('ip link set lo up');
  }

  /** As somebody types it: everything is stopped in order, the kernel's part ends, it boots anew. */
  async reboot(): Promise<void> {
    this.run('reboot');
    await this.#ended();
    await this.#start();
  }

  #ended(): Promise<true> {
    return waitFor('the end of the container', () => isGone(this.#nspawn?.pid ?? 0));
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
    const words = ['-t', String(this.#pid), ...spaces, '/bin/sh', '-c', `exec 2>&1\n${line}`];
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
    for (const pid of [this.#pid, this.#nspawn?.pid ?? 0]) endIfThere(pid);
    await this.#ended();
    spawnSync('umount', ['-l', this.files]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function endIfThere(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL');
  } catch {
    // Gone by itself: there is nothing to end.
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
