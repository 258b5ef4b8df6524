/**
 * install.sh of the shell applier, its fixed places moved into a folder of the test. The applier is a
 * stand-in that notes how it was called; `crontab` keeps its table in a file.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { shells } from './posix-stage.ts';

const source = fileURLToPath(new URL('../../installers/posix/', import.meta.url));
const others = '17 3 * * * /usr/local/bin/backup\n';

class OldHost {
  readonly #folder: string;
  readonly #shell: readonly string[];

  constructor(t: TestContext, shell: readonly string[]) {
    this.#shell = shell;
    this.#folder = mkdtempSync(join(tmpdir(), 'pilotfish-posix-install-'));
    t.after(() => rmSync(this.#folder, { recursive: true, force: true, maxRetries: 9 }));
    for (const name of ['bin', 'etc/pilotfish', 'opt', 'var/lib', 'var/spool/cron/crontabs']) {
      mkdirSync(this.path(name), { recursive: true });
    }
    cpSync(source, this.path('source'), { recursive: true });
    const script = readFileSync(join(source, 'install.sh'), 'utf8');
    this.#put('source/install.sh', this.#moved(script));
    this.#put('token', 'pfj1.x\n');
    this.applier('exit 0');
    this.crontab();
    this.table = others;
  }

  #moved(text: string): string {
    return text.replaceAll(/(?<!\w)\/(opt|var|etc)\//g, `${this.#folder}/$1/`);
  }

  #put(name: string, text: string): void {
    writeFileSync(this.path(name), text, { mode: 0o755 });
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** What stands for pilotfish-sh. */
  applier(text: string): void {
    const note = `echo "$*" >>'${this.path('calls')}'`;
    this.#put('source/pilotfish-sh', `#!/bin/sh\n${note}\n${text}\n`);
  }

  crontab(reading = `cat '${this.#table}' 2>/dev/null || exit 1`): void {
    const lines = `[ "$1" = -l ] && { ${reading}; exit; }\ncat "$@" >'${this.#table}'`;
    this.#put('bin/crontab', `#!/bin/sh\n${lines}\n`);
  }

  get #table(): string {
    return this.path('var/spool/cron/crontabs/root');
  }

  get table(): string {
    return existsSync(this.#table) ? readFileSync(this.#table, 'utf8') : '';
  }

  set table(text: string) {
    writeFileSync(this.#table, text);
  }

  get calls(): string {
    return existsSync(this.path('calls')) ? readFileSync(this.path('calls'), 'utf8') : '';
  }

  install(...words: readonly string[]) {
    rmSync(this.path('calls'), { force: true });
    const [command = '', ...first] = this.#shell;
    const env = { PATH: `${this.path('bin')}:${process.env.PATH}` };
    const ran = spawnSync(command, [...first, this.path('source/install.sh'), ...words], { env });
    return { exit: ran.status, told: ran.stderr.toString() };
  }
}

for (const { name, argv } of shells) {
  test(`${name}: one line of ours in the table beside those of others, and away again`, (t) => {
    const host = new OldHost(t, argv);
    for (const round of ['first', 'again']) {
      const { exit, told } = host.install(host.path('token'));
      assert.equal(exit, 0, `${round}: ${told}`);
      assert.match(host.table, /^17 3 .*backup\n0,5,.*pilotfish-sh run >.*# pilotfish-sh\n$/);
    }
    mkdirSync(host.path('var/lib/pilotfish-sh'));
    assert.equal(host.install('--remove').exit, 0);
    assert.match(host.calls, /^restore$/m);
    assert.equal(host.table, others);
    assert.ok(!existsSync(host.path('opt/pilotfish')));
    host.table = '';
    rmSync(host.path('var/spool/cron/crontabs/root'));
    assert.equal(host.install(host.path('token')).exit, 0);
    assert.match(host.table, /^0,5,/);
  });
}

const [{ argv } = { argv: ['sh'] }] = shells;

test('a table that cannot be read is never written over', (t) => {
  const host = new OldHost(t, argv);
  host.crontab('echo "you are not allowed" >&2; exit 1');
  const { exit, told } = host.install(host.path('token'));
  assert.deepEqual([exit, host.table], [1, others], told);
  assert.match(told, /crontab/);
});

test('a removal that cannot put the entries back leaves everything, the line in the table too', (t) => {
  const host = new OldHost(t, argv);
  host.install(host.path('token'));
  const { table } = host;
  mkdirSync(host.path('var/lib/pilotfish-sh'));
  host.applier('[ "$1" != restore ]');
  host.install('--no-cron', host.path('token'));
  const { exit } = host.install('--remove');
  assert.deepEqual([exit, host.table], [1, table]);
  assert.ok(existsSync(host.path('opt/pilotfish/pilotfish-sh')));
  assert.ok(existsSync(host.path('var/lib/pilotfish-sh')));
});

test('a removal knows the state where the configuration has it', (t) => {
  const host = new OldHost(t, argv);
  const state = host.path('var/lib/elsewhere');
  mkdirSync(state);
  writeFileSync(join(state, 'token'), 'pfj1.x\n');
  writeFileSync(host.path('etc/pilotfish/pilotfish-sh.conf'), `zone=eu\nstate_dir=${state}\n`);
  host.install(host.path('token'));
  assert.equal(host.install('--remove').exit, 0);
  assert.match(host.calls, /^restore$/m);
  assert.ok(!existsSync(state));
});
