/**
 * A Debian machine to converge on: a debootstrap root, booted by systemd-nspawn with its own network,
 * processes and init. Programs enter it by nsenter; files cross in one shared folder.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const packages = [
  ...['systemd', 'systemd-sysv', 'dbus', 'python3', 'libatomic1', 'libstdc++6'],
  ...['procps', 'iproute2', 'cron', 'openssl', 'curl', 'ca-certificates'],
];

/**
 * A root with `include` beside the usual packages at `path`, made once: half a minute and 300 MB.
 * Throws when it cannot be made.
 */
export function prepareRoot(
  path: string,
  { mirror, include }: { readonly mirror: string; readonly include: readonly string[] },
  print: (line: string) => void,
): void {
  if (existsSync(join(path, '.pilotfish-complete'))) return;
  print(`making a Debian root at ${path}`);
  rmSync(path, { recursive: true, force: true });
  const flags = ['--variant=minbase', `--include=${[...packages, ...include].join(',')}`];
  execFileSync('debootstrap', [...flags, 'bookworm', path, mirror], { stdio: 'ignore' });
  writeFileSync(join(path, '.pilotfish-complete'), '');
}

export interface Ran {
  readonly status: number | null;
  readonly out: string;
}

const bootDeadlineMs = 90_000;
const commandDeadlineMs = 300_000;

export class Machine {
  /** Seen inside and outside under the same path. */
  readonly shared: string;
  readonly root: string;
  readonly #nspawn: ReturnType<typeof spawn>;
  #pid = 0;

  /** A throw-away copy of `template`; `binds` are seen inside, read-only. */
  constructor(template: string, folder: string, binds: readonly string[]) {
    this.root = join(folder, 'root');
    this.shared = join(folder, 'shared');
    mkdirSync(this.shared, { recursive: true, mode: 0o755 });
    execFileSync('cp', ['-a', '--reflink=auto', template, this.root]);
    this.#writeShell(folder);
    this.#nspawn = spawn(
      'systemd-nspawn',
      [
        ...['-q', '-D', this.root, '--boot', '--register=no', '--keep-unit', '--private-network'],
        ...[`--machine=pf${process.pid}`, `--bind=${this.shared}`],
        ...binds.map((path) => `--bind-ro=${path}`),
      ],
      { stdio: 'ignore' },
    );
  }

  /** What Ansible calls a shell: outside it enters the machine, inside it is one. */
  get shell(): string {
    return join(this.root, '../enter/sh');
  }

  #writeShell(folder: string): void {
    mkdirSync(join(folder, 'enter'));
    const line = `exec nsenter -t "$(cat '${folder}/pid')" -m -u -i -n -p --root --wd -- /bin/sh "$@"`;
    writeFileSync(join(folder, 'enter/sh'), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
    mkdirSync(join(this.root, folder, 'enter'), { recursive: true });
    symlinkSync('/bin/sh', join(this.root, folder, 'enter/sh'));
  }

  /** Until its init says that everything is started. */
  async boot(): Promise<void> {
    const endAtMs = performance.now() + bootDeadlineMs;
    while (performance.now() < endAtMs) {
      const child = spawnSync('pgrep', ['-P', String(this.#nspawn.pid)])
        .stdout.toString()
        .trim();
      if (child !== '') {
        this.#pid = Number(child.split('\n')[0]);
        writeFileSync(join(this.root, '../pid'), `${this.#pid}\n`);
        const state = this.run('systemctl', 'is-system-running').out.trim();
        if (state === 'running' || state === 'degraded') return;
      }
      await sleep(500);
    }
    throw new Error('the machine did not boot');
  }

  run(...argv: readonly string[]): Ran {
    const enter = ['-t', String(this.#pid), '-m', '-u', '-i', '-n', '-p', '--root', '--wd', '--'];
    const ran = spawnSync('nsenter', [...enter, ...argv], { timeout: commandDeadlineMs });
    return { status: ran.status, out: `${ran.stdout}${ran.stderr}` };
  }

  /** Output of a command that must succeed. */
  must(...argv: readonly string[]): string {
    const { status, out } = this.run(...argv);
    if (status !== 0) throw new Error(`${argv.join(' ')}: exit ${status}\n${out}`);
    return out;
  }

  read(path: string): Buffer {
    return readFileSync(join(this.root, path));
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.root, path), text);
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#nspawn.once('close', resolve));
    if (this.#pid > 0) this.run('systemctl', 'poweroff');
    await Promise.race([gone, sleep(15_000)]);
    this.#nspawn.kill('SIGKILL');
    rmSync(join(this.root, '..'), { recursive: true, force: true, maxRetries: 5 });
  }
}
