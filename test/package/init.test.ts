/**
 * The SysV scripts for hosts without systemd, run by the shells of old hosts with stand-in programs.
 * Their fixed places are moved into a folder of the test; nothing else of them is changed.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { root } from '../../scripts/package/bundles.ts';
import { type ProgramName, programs } from '../../scripts/package/targets.ts';
import { eventually } from '../fakes/processes.ts';

const shells = [['dash'], ['busybox', 'sh']].filter(
  ([command = '', ...rest]) => spawnSync(command, [...rest, '-c', ':']).status === 0,
);
/** `su` asks nobody but root for no password. */
const skip = process.getuid?.() !== 0 && 'needs root';

class OldHost {
  readonly #folder: string;
  readonly #shell: readonly string[];

  constructor(t: TestContext, program: ProgramName, shell: readonly string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'pilotfish-init-'));
    this.#shell = shell;
    t.after(() => {
      this.do('stop');
      rmSync(this.#folder, { recursive: true, force: true });
    });
    mkdirSync(this.path('spool'));
    const text = readFileSync(join(root, `installers/linux/init/${program}.sysv`), 'utf8')
      .replace(`/usr/bin/${program}`, this.path('program'))
      .replace(`/var/lib/${program}/spool`, this.path('spool'))
      .replaceAll(/\/var\/(?:run|log)\//g, `${this.#folder}/`)
      .replace(/^(.*\bsu -s .*) pilotfish(?:-publisher)?\b/m, '$1 root');
    assert.ok(!text.includes('/var/'), 'a place of the real host is left');
    writeFileSync(this.path('init'), text.replace('#!/bin/sh', `#!${which(shell)}`), {
      mode: 0o755,
    });
    // Runs until it is told to end, and notes both; `apply` takes its request, and ends when told.
    const stub = `#!/bin/sh
case $1 in
run)
  trap 'echo ended; exit 0' TERM
  echo "runs, options: \${NODE_OPTIONS:-none}"
  while :; do sleep 0.1; done
  ;;
apply)
  told=no
  trap 'told=yes' TERM
  rm '${this.path('spool/request.json')}'
  until [ "$told" = yes ]; do sleep 0.1; done
  sleep 0.5
  if grep -q '^State:.[RS]' "/proc/$PPID/status"; then echo 'applied, the loop waits'; fi
  ;;
esac
`;
    writeFileSync(this.path('program'), stub, { mode: 0o755 });
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  do(verb: string): { readonly status: number | null; readonly out: string } {
    const [command = '', ...rest] = [...this.#shell, this.path('init'), verb];
    const env = { ...process.env, NODE_OPTIONS: '--require=/nowhere' };
    const { status, stdout } = spawnSync(command, rest, {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return { status, out: stdout.toString().trim() };
  }

  /** What an earlier start left behind, or the start before a reboot. */
  remember(program: ProgramName, pid: number): void {
    const halves = program === 'pilotfish' ? ['sidecar', 'applier'] : [program];
    const folder = program === 'pilotfish' ? this.path(program) : this.path('.');
    mkdirSync(folder, { recursive: true });
    for (const half of halves) writeFileSync(join(folder, `${half}.pid`), `${pid}\n`);
  }

  /** Of a half of the sidecar, which is the number of its session too. */
  pid(half: 'sidecar' | 'applier'): number {
    return Number(readFileSync(this.path(`pilotfish/${half}.pid`), 'utf8'));
  }

  log(program: ProgramName): string {
    const path = this.path(`${program}.log`);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }
}

/** What stands behind `#!`: of busybox a script, since one word must do. */
function which([command = '', ...rest]: readonly string[]): string {
  const found = spawnSync('sh', ['-c', `command -v ${command}`])
    .stdout.toString()
    .trim();
  return [found, ...rest].join(' ');
}

for (const shell of shells) {
  for (const program of programs) {
    test(`${program} under ${shell[0]}: start, status, stop, without options of the environment`, {
      skip,
    }, async (t) => {
      const host = new OldHost(t, program, shell);
      assert.equal(host.do('status').status, 3);
      assert.equal(host.do('start').status, 0);
      await eventually('it runs', () => host.log(program).includes('runs, options: none'));
      assert.equal(host.do('status').status, 0);
      assert.match(host.do('start').out, /runs already/);
      assert.equal(host.do('stop').status, 0);
      assert.match(host.log(program), /ended/);
      assert.equal(host.do('status').status, 3);
      assert.equal(host.do('bogus').status, 2);
    });
  }

  for (const program of programs) {
    test(`${program} under ${shell[0]}: a number that went to another process is neither ours nor stopped`, {
      skip,
    }, async (t) => {
      const host = new OldHost(t, program, shell);
      const other = spawn('sleep', ['600']);
      t.after(() => other.kill());
      host.remember(program, other.pid ?? 0);
      assert.equal(host.do('status').status, 3);
      assert.equal(host.do('stop').status, 0);
      assert.match(readFileSync(`/proc/${other.pid}/status`, 'utf8'), /^State:\t[RS]/m);
      host.remember(program, other.pid ?? 0);
      host.do('start');
      await eventually('it runs', () => host.log(program).includes('runs, options: none'));
    });
  }

  test(`under ${shell[0]} a sidecar that died is started beside the applier's loop that still runs`, {
    skip,
  }, async (t) => {
    const host = new OldHost(t, 'pilotfish', shell);
    const runs = () => host.log('pilotfish').split('runs, options').length - 1;
    host.do('start');
    await eventually('it runs', () => runs() === 1);
    const loop = host.pid('applier');
    process.kill(-host.pid('sidecar'), 'SIGKILL');
    await eventually('it is dead', () => host.do('status').status === 3);
    host.do('start');
    await eventually('it runs again', () => runs() === 2);
    assert.equal(host.pid('applier'), loop);
    assert.equal(host.do('status').status, 0);
    host.do('stop');
    await eventually('no loop is left', () => !existsSync(`/proc/${loop}`));
  });

  test(`under ${shell[0]} the applier's loop takes a request, and a stop lets it finish`, {
    skip,
  }, async (t) => {
    const host = new OldHost(t, 'pilotfish', shell);
    host.do('start');
    const request = host.path('spool/request.json');
    writeFileSync(request, '{}');
    await eventually('the request is taken', () => !existsSync(request));
    host.do('stop');
    assert.match(host.log('pilotfish'), /applied, the loop waits/);
    assert.equal(host.do('status').status, 3);
  });
}
