/** Debian's real name servers, each with its own folder, address and port, ended with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from './processes.ts';

export interface RunningServer {
  readonly address: string;
  readonly port: number;
  readonly folder: string;
  /** Write a zone or hosts file again and have the server read it. */
  rewrite(name: string, text: string): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export const programs = {
  bind: '/usr/sbin/named',
  dnsmasq: '/usr/sbin/dnsmasq',
  knot: '/usr/sbin/knotd',
} as const;

/** The reason to skip a test that needs `names`, or false. */
export function missing(...names: readonly (keyof typeof programs)[]): string | false {
  const absent = names.filter((name) => !existsSync(programs[name]));
  return absent.length === 0 ? false : `needs ${absent.join(', ')}`;
}

interface Plan {
  readonly program: string;
  readonly args: (folder: string) => readonly string[];
  /** What it prints once it answers. */
  readonly ready: RegExp;
  /** What it prints once it has read its files again. */
  readonly reread: RegExp;
}

const startLimitMs = 30_000;

/** Zones by name (`example.test`), each a master file; `extra` goes into named's options. */
export async function startBind(
  t: Pick<TestContext, 'after'>,
  zones: Readonly<Record<string, string>>,
  extra = '',
  more: (folder: string) => string = () => '',
): Promise<RunningServer> {
  const folder = makeFolder(t);
  const port = await freePort('127.0.0.1');
  for (const [name, text] of Object.entries(zones)) writeFileSync(join(folder, name), text);
  const zoneText = Object.keys(zones).map(
    (name) => `zone "${name}" { type primary; file "${join(folder, name)}"; };`,
  );
  const config = `options { directory "${folder}"; pid-file none; session-keyfile "${folder}/session.key";
    listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion yes; allow-recursion { any; };
    dnssec-validation no; managed-keys-directory "${folder}"; empty-zones-enable no; forwarders { }; ${extra} };
    controls { }; ${more(folder)} zone "." { type hint; file "/dev/null"; }; ${zoneText.join('\n')}`;
  writeFileSync(join(folder, 'named.conf'), config);
  return run(t, folder, port, {
    program: programs.bind,
    args: () => ['-g', '-c', join(folder, 'named.conf'), '-n', '1'],
    // Both are said, in either order: what is said later belongs to a later reload.
    ready: /all zones loaded[\s\S]* running$| running$[\s\S]*all zones loaded/m,
    reread: /: loaded serial /,
  });
}

/** `args` beside the ones that make it keep to itself; `hosts` is its additional hosts file. */
export async function startDnsmasq(
  t: Pick<TestContext, 'after'>,
  args: readonly string[],
  hosts = '',
): Promise<RunningServer> {
  const folder = makeFolder(t);
  const port = await freePort('127.0.0.1');
  writeFileSync(join(folder, 'hosts'), hosts);
  return run(t, folder, port, {
    program: programs.dnsmasq,
    args: () => [
      ...[
        '--keep-in-foreground',
        '--no-resolv',
        '--no-hosts',
        '--conf-file=/dev/null',
        '--user=root',
      ],
      ...['--log-facility=-', '--pid-file=', '--bind-interfaces', '--listen-address=127.0.0.1'],
      ...[`--port=${port}`, `--addn-hosts=${join(folder, 'hosts')}`, ...args],
    ],
    ready: /started, version/,
    reread: /read .*hosts/,
  });
}

export async function startKnot(
  t: Pick<TestContext, 'after'>,
  zones: Readonly<Record<string, string>>,
  more = '',
): Promise<RunningServer> {
  const folder = makeFolder(t);
  const port = await freePort('127.0.0.1');
  mkdirSync(join(folder, 'db'));
  for (const [name, text] of Object.entries(zones)) writeFileSync(join(folder, name), text);
  const zoneText = Object.keys(zones).map(
    (name) => `  - domain: ${name}\n    file: ${join(folder, name)}\n    zonefile-load: whole\n`,
  );
  writeFileSync(
    join(folder, 'knot.conf'),
    `server:\n  rundir: ${folder}\n  listen: 127.0.0.1@${port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n` +
      `database:\n  storage: ${folder}/db\nlog:\n  - target: stderr\n    any: info\n${more || `zone:\n${zoneText.join('')}`}`,
  );
  return run(t, folder, port, {
    program: programs.knot,
    args: () => ['-c', join(folder, 'knot.conf')],
    ready: /server started/,
    reread: /loaded, serial/,
  });
}

function makeFolder(t: Pick<TestContext, 'after'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'pf-dns-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  return folder;
}

async function run(
  t: Pick<TestContext, 'after'>,
  folder: string,
  port: number,
  plan: Plan,
): Promise<RunningServer> {
  const child = spawn(plan.program, [...plan.args(folder)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  t.after(kill);
  const said = new Output(child);
  await said.waitFor(plan.ready);
  let rewrites = 0;
  return {
    address: '127.0.0.1',
    port,
    folder,
    kill,
    async rewrite(name, text) {
      writeFileSync(join(folder, name), text);
      // named reads a file again only when it is younger than its last look, by the second.
      rewrites += 1;
      const at = Date.now() / 1_000 + 2 * rewrites;
      utimesSync(join(folder, name), at, at);
      said.clear();
      child.kill('SIGHUP');
      await said.waitFor(plan.reread);
    },
  };
}

/** What a server printed since the last `clear`, to be waited for. */
class Output {
  #text = '';
  #isEnded = false;
  #wake: () => void = () => undefined;

  constructor(child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#text = (this.#text + text).slice(-20_000);
        this.#wake();
      });
    }
    child.once('close', () => {
      this.#isEnded = true;
      this.#wake();
    });
  }

  clear(): void {
    this.#text = '';
  }

  async waitFor(pattern: RegExp): Promise<void> {
    const limit = AbortSignal.timeout(startLimitMs);
    while (!pattern.test(this.#text)) {
      if (limit.aborted || this.#isEnded) throw new Error(`no ${pattern}: ${this.#text}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        limit.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}
