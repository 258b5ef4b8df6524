/**
 * The scripts for macOS, run by a POSIX shell in a folder of the test: launchctl and the tools that
 * sign and pack are stand-ins that note how they were called. What a Mac makes of it is not shown.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { XMLParser } from 'fast-xml-parser';

const source = fileURLToPath(new URL('../../installers/macos/', import.meta.url));
const label = 'org.pilotfish.sidecar';
const tools = ['launchctl', 'chown', 'codesign', 'productsign', 'xcrun', 'spctl', 'pkgutil'];

class Mac {
  readonly root: string;
  readonly #folder: string;

  constructor(t: TestContext) {
    this.#folder = mkdtempSync(join(tmpdir(), 'pilotfish-mac-'));
    t.after(() => rmSync(this.#folder, { recursive: true, force: true, maxRetries: 9 }));
    this.root = join(this.#folder, 'root');
    for (const name of ['bin', 'tarball', 'root']) mkdirSync(join(this.#folder, name));
    for (const name of readdirSync(source).filter((one) => one !== 'README.md')) {
      copyFileSync(join(source, name), join(this.#folder, 'tarball', name));
    }
    this.program('exit 0');
    const note = (name: string): string => `printf '%s\\n' "${name} $*" >>'${this.#calls}'`;
    for (const name of tools) this.#script(join('bin', name), note(name));
    // Remembers what it was given to pack.
    const pack = `${note('pkgbuild')}\nfind "$2" -type f -o -type l | sed "s|$2||" | sort >'${this.path('payload')}'`;
    this.#script('bin/pkgbuild', pack);
  }

  get #calls(): string {
    return join(this.#folder, 'calls');
  }

  #script(name: string, text: string): void {
    writeFileSync(join(this.#folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(this.#folder, name), 0o755);
  }

  /** What stands for the executable in the tarball. */
  program(text: string): void {
    this.#script('tarball/pilotfish', `printf '%s\\n' "pilotfish $*" >>'${this.#calls}'\n${text}`);
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  run(script: string, ...words: readonly string[]) {
    rmSync(this.#calls, { force: true });
    const env = {
      PATH: `${this.path('bin')}:${process.env.PATH}`,
      PREFIX: this.root,
      APPLICATION: 'Developer ID Application: A',
      INSTALLER: 'Developer ID Installer: A',
      PROFILE: 'p',
    };
    const ran = spawnSync('sh', [script, ...words], { env });
    const calls = existsSync(this.#calls) ? readFileSync(this.#calls, 'utf8') : '';
    return {
      exit: ran.status,
      out: `${ran.stdout}${ran.stderr}`,
      calls: calls.split('\n').filter((line) => line !== '' && !line.startsWith('chown')),
    };
  }

  install(...words: readonly string[]) {
    return this.run(this.path('tarball/install.sh'), ...words);
  }

  at(name: string): string {
    return join(this.root, name);
  }
}

const data = 'Library/Application Support/Pilotfish';
const plist = `Library/LaunchDaemons/${label}.plist`;
const libexec = 'usr/local/libexec/pilotfish';

test('a first installation with a token lays everything out and starts the daemon', (t) => {
  const mac = new Mac(t);
  const { exit, out, calls } = mac.install('pfj1.abc');
  assert.equal(exit, 0, out);
  assert.deepEqual(calls, [
    `launchctl bootout system/${label}`,
    `launchctl bootstrap system ${mac.at(plist)}`,
  ]);
  assert.equal(statSync(mac.at(data)).mode & 0o777, 0o700);
  assert.equal(statSync(mac.at(`${data}/pilotfish.yml`)).mode & 0o777, 0o600);
  assert.match(readFileSync(mac.at(`${data}/pilotfish.yml`), 'utf8'), /^joinToken: pfj1\.abc$/m);
  assert.equal(statSync(mac.at(`${libexec}/pilotfish`)).mode & 0o777, 0o755);
  assert.equal(statSync(mac.at(plist)).mode & 0o777, 0o644);
  assert.equal(readlinkSync(mac.at('usr/local/bin/pilotfish')), `/${libexec}/pilotfish`);
});

test('an upgrade replaces the program and keeps configuration and state', (t) => {
  const mac = new Mac(t);
  mac.install('pfj1.abc');
  writeFileSync(mac.at(`${data}/pilotfish.yml`), 'joinToken: pfj1.mine\n');
  mac.program('echo newer');
  const { exit, calls } = mac.install();
  assert.equal(exit, 0);
  assert.equal(calls.length, 2);
  assert.match(readFileSync(mac.at(`${libexec}/pilotfish`), 'utf8'), /newer/);
  assert.equal(readFileSync(mac.at(`${data}/pilotfish.yml`), 'utf8'), 'joinToken: pfj1.mine\n');
});

test('without a token nothing is started; what is no token is refused before anything is written', (t) => {
  const mac = new Mac(t);
  const refused = mac.install('$(id)');
  assert.deepEqual([refused.exit, readdirSync(mac.root)], [2, []]);
  const { exit, out, calls } = mac.install();
  assert.equal(exit, 0);
  assert.match(out, /pilotfish join TOKEN/);
  assert.ok(!calls.some((call) => call.includes('bootstrap')));
});

test('uninstalling restores first, then removes; --purge takes the state too', (t) => {
  const mac = new Mac(t);
  mac.install('pfj1.abc');
  mkdirSync(mac.at(`${data}/state/applier/backups`), { recursive: true });
  writeFileSync(mac.at(`${data}/state/applier/backups/original.conf`), 'x');
  const { exit, calls } = mac.run(mac.at(`${libexec}/uninstall.sh`), '--purge');
  assert.equal(exit, 0);
  assert.deepEqual(calls, [`launchctl bootout system/${label}`, 'pilotfish restore --original']);
  for (const name of [plist, libexec, 'usr/local/bin/pilotfish', data]) {
    assert.ok(!existsSync(mac.at(name)), name);
  }
});

test('installed again behind a removal, the hold that its restore left is ended, once', (t) => {
  const mac = new Mac(t);
  mac.install('pfj1.abc');
  mkdirSync(mac.at(`${data}/state/applier/backups`), { recursive: true });
  writeFileSync(mac.at(`${data}/state/applier/backups/original.conf`), 'x');
  mac.run(mac.at(`${libexec}/uninstall.sh`));
  const resumed = () => mac.install().calls.filter((call) => call.startsWith('pilotfish '));
  assert.deepEqual(resumed(), ['pilotfish resume']);
  assert.deepEqual(resumed(), []);
});

test('a configuration that cannot be read keeps no entries of ours, unless it names another home', (t) => {
  for (const [text, exit] of [
    ['zone: [oops\n# home: /opt\n', 0],
    ['agent: {home: /opt/ossec\n', 1],
  ] as const) {
    const mac = new Mac(t);
    mac.program(`case "$*" in *'--config /dev/null'*) exit 0 ;; restore*) exit 2 ;; esac`);
    mac.install('pfj1.abc');
    mkdirSync(mac.at(`${data}/state/applier/backups`), { recursive: true });
    writeFileSync(mac.at(`${data}/state/applier/backups/original.conf`), 'x');
    writeFileSync(mac.at(`${data}/pilotfish.yml`), text);
    assert.equal(mac.run(mac.at(`${libexec}/uninstall.sh`)).exit, exit);
  }
});

test('a restore that fails keeps the original, says where, and is a failure', (t) => {
  const mac = new Mac(t);
  mac.program('exit 1');
  mac.install('pfj1.abc');
  mkdirSync(mac.at(`${data}/state/applier/backups`), { recursive: true });
  const original = mac.at(`${data}/state/applier/backups/original.conf`);
  writeFileSync(original, 'x');
  const { exit, out } = mac.run(mac.at(`${libexec}/uninstall.sh`), '--purge');
  assert.equal(exit, 1);
  assert.ok(out.includes(original), out);
  assert.equal(readFileSync(original, 'utf8'), 'x');
});

test('the pkg holds what the tarball installs, signed before and notarised behind', (t) => {
  const mac = new Mac(t);
  const { exit, out, calls } = mac.run(mac.path('tarball/make-pkg.sh'), '1.2.3');
  assert.equal(exit, 0, out);
  assert.deepEqual(
    calls.map((call) =>
      call
        .split(' ')
        .slice(0, call.startsWith('xcrun') ? 2 : 1)
        .join(' '),
    ),
    [
      ...['codesign', 'codesign', 'pkgbuild', 'productsign'],
      ...['xcrun notarytool', 'xcrun stapler', 'spctl'],
    ],
  );
  assert.match(calls[0] ?? '', /--options runtime .*--entitlements entitlements\.plist/);
  assert.match(calls[2] ?? '', /--scripts \S+ .*--version 1\.2\.3/);
  assert.deepEqual(readFileSync(mac.path('payload'), 'utf8').trim().split('\n'), [
    `/${plist}`,
    '/usr/local/bin/pilotfish',
    `/${libexec}/pilotfish`,
    `/${libexec}/uninstall.sh`,
  ]);
});

test('the daemon starts the program that is installed, and entitlements are what V8 needs', () => {
  const parse = (name: string): unknown =>
    new XMLParser({ ignoreAttributes: true }).parse(readFileSync(join(source, name), 'utf8'));
  const text = JSON.stringify(parse('org.pilotfish.sidecar.plist'));
  assert.ok(text.includes(`/${libexec}/pilotfish`));
  assert.ok(text.includes(label));
  assert.match(JSON.stringify(parse('entitlements.plist')), /allow-jit/);
});
