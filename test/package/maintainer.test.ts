/**
 * The maintainer scripts, called as dpkg calls them. Their fixed places are moved into a folder of
 * the test, and what changes users or units is a stand-in that notes how it was called.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { script } from '../../scripts/package/deb.ts';
import { type ProgramName, programs } from '../../scripts/package/targets.ts';
import { parseSidecarConfig } from '../../src/cli/sidecar-config.ts';

/** Folders are given to another user. */
const skip = process.getuid?.() !== 0 && 'needs root';
const nobody = 65534;
const tools = ['getent', 'groupadd', 'useradd', 'usermod', 'userdel', 'groupdel', 'chgrp'];

class Debian {
  readonly #folder: string;
  readonly #program: ProgramName;

  constructor(t: TestContext, program: ProgramName) {
    this.#program = program;
    this.#folder = mkdtempSync(join(tmpdir(), 'pilotfish-maintainer-'));
    t.after(() => rmSync(this.#folder, { recursive: true, force: true, maxRetries: 9 }));
    for (const place of ['bin', 'var/lib', 'etc/init.d', 'usr/bin', 'run/systemd/system']) {
      mkdirSync(this.path(place), { recursive: true });
    }
    for (const name of [...tools, 'systemctl']) this.tool(`bin/${name}`);
    this.tool('bin/id', 'echo pilotfish wazuh wazuh-manager ossec');
    this.tool('bin/systemctl', 'case "$*" in *is-enabled*) exit 1 ;; esac');
    this.tool(`usr/bin/${program}`);
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  tool(name: string, text = ''): void {
    const note = `echo "\${0##*/} $*" >>'${this.path('calls')}'`;
    writeFileSync(this.path(name), `#!/bin/sh\n${note}\n${text}\n`, { mode: 0o755 });
  }

  /** Undefined where the package has no such script. */
  call(name: string, words: readonly string[], settings: Readonly<Record<string, string>> = {}) {
    rmSync(this.path('calls'), { force: true });
    const text = script(this.#program, name)
      ?.replaceAll(/(?<![\w.])\/(etc|var|usr|run)\//g, `${this.#folder}/$1/`)
      .replaceAll(/ -([og]) pilotfish(-publisher)?\b/g, ` -$1 ${nobody}`);
    if (text === undefined) return;
    const env = { ...settings, PATH: `${this.path('bin')}:${process.env.PATH}` };
    const { status, stderr } = spawnSync('sh', ['-s', '--', ...words], { input: text, env });
    assert.equal(status, 0, `${name}: ${stderr}`);
  }

  get calls(): string {
    return existsSync(this.path('calls')) ? readFileSync(this.path('calls'), 'utf8') : '';
  }

  get config() {
    const path = this.path('etc/pilotfish/pilotfish.yml');
    return parseSidecarConfig(readFileSync(path, 'utf8'), path);
  }
}

test('an upgrade gives nobody what the user of the sidecar linked into its state', {
  skip,
}, (t) => {
  const host = new Debian(t, 'pilotfish');
  host.call('postinst', ['configure', '']);
  const spool = host.path('var/lib/pilotfish/spool');
  rmSync(spool, { recursive: true, force: true });
  mkdirSync(host.path('etc/secrets'), { mode: 0o750 });
  symlinkSync(host.path('etc/secrets'), spool);
  host.call('postinst', ['configure', '1.0.0']);
  const { uid, mode } = statSync(host.path('etc/secrets'));
  assert.deepEqual([uid, mode & 0o7777], [0, 0o750]);
  assert.equal(lstatSync(host.path('var/lib/pilotfish')).uid, nobody);
});

for (const program of programs) {
  test(`${program}: installed again behind a removal it runs as at first; an upgrade only restarts`, {
    skip,
  }, (t) => {
    const host = new Debian(t, program);
    host.call('preinst', ['install']);
    host.call('postinst', ['configure', '']);
    assert.match(host.calls, /systemctl --quiet enable .*pilotfish/);
    writeFileSync(host.path(`var/lib/${program}/token`), 'pfj1.x\n');

    host.call('preinst', ['upgrade', '1.0.0', '1.0.1']);
    host.call('postinst', ['configure', '1.0.0']);
    assert.match(host.calls, /systemctl try-restart .*pilotfish/);
    assert.doesNotMatch(host.calls, /systemctl (?:--quiet enable|start)|pilotfish resume/);

    host.call('prerm', ['remove']);
    host.call('postrm', ['remove']);
    // dpkg tells the version of before here too, as for an upgrade.
    host.call('preinst', ['install', '1.0.1', '1.0.1']);
    host.call('postinst', ['configure', '1.0.1']);
    assert.match(host.calls, /systemctl --quiet enable .*pilotfish/);
    assert.match(host.calls, /systemctl start .*pilotfish/);
    if (program === 'pilotfish') assert.match(host.calls, /pilotfish resume/);

    host.call('preinst', ['upgrade', '1.0.1', '1.0.2']);
    host.call('postinst', ['configure', '1.0.1']);
    assert.doesNotMatch(host.calls, /systemctl (?:--quiet enable|start)/);
  });
}

test('settings of the environment reach the configuration as texts, whatever YAML makes of them', {
  skip,
}, (t) => {
  for (const zone of ['1', '010', 'null', 'true', '1e3', 'eu-1']) {
    const host = new Debian(t, 'pilotfish');
    host.call('postinst', ['configure', ''], {
      PILOTFISH_ZONE: zone,
      PILOTFISH_APPLY_MODE: 'relay',
      PILOTFISH_MAINTENANCE_WINDOW: 'mon-fri 22:00-04:00',
    });
    assert.deepEqual([host.config.zone, host.config.apply.mode], [zone, 'relay']);
  }
});

for (const program of programs) {
  test(`${program}: a removal that dpkg gives up leaves it running, not stopped`, { skip }, (t) => {
    const host = new Debian(t, program);
    host.call('postinst', ['configure', '']);
    writeFileSync(host.path(`var/lib/${program}/token`), 'pfj1.x\n');
    host.call('prerm', ['remove']);
    host.call('postinst', ['abort-remove']);
    assert.match(host.calls, /systemctl --quiet enable .*pilotfish/);
    assert.match(host.calls, /systemctl start .*pilotfish/);
    assert.equal(host.calls.includes('pilotfish resume'), program === 'pilotfish');
  });

  test(`${program}: units that are masked and groups of elsewhere break no installation, and no agent's`, {
    skip,
  }, (t) => {
    const host = new Debian(t, program);
    host.tool('bin/systemctl', 'exit 1');
    host.tool('bin/id', 'echo pilotfish');
    host.tool('bin/usermod', 'exit 6');
    host.call('postinst', ['configure', '']);
    host.call('postinst', ['triggered', '/var/ossec/etc']);
    host.call('postinst', ['configure', '1.0.0']);
    assert.match(host.calls, /systemctl try-restart/);
  });
}

/** An applier that stops at its configuration, as `restore` does at one it cannot read. */
const stumbles = `case "$*" in *'--config /dev/null'*) exit 0 ;; restore*) exit 2 ;; esac`;
const ways = [
  { names: 'no home', config: 'zone: [oops\n# home: /opt\n', original: 'restored' },
  { names: 'another home', config: 'agent: {home: /opt/ossec\n', original: 'kept' },
];

for (const { names, config, original } of ways) {
  test(`removed with a configuration that cannot be read and names ${names}: entries ${original}`, {
    skip,
  }, (t) => {
    const host = new Debian(t, 'pilotfish');
    host.call('postinst', ['configure', '']);
    writeFileSync(host.path('etc/pilotfish/pilotfish.yml'), config);
    mkdirSync(host.path('var/lib/pilotfish-apply/backups'));
    writeFileSync(host.path('var/lib/pilotfish-apply/backups/original.conf'), 'x');
    host.tool('usr/bin/pilotfish', stumbles);
    host.call('prerm', ['remove']);
    assert.match(host.calls, /^pilotfish restore --original --package-removal$/m);
    const isKept = existsSync(host.path('var/lib/pilotfish-apply/unrestored'));
    assert.equal(isKept, original === 'kept');
    assert.equal(host.calls.includes('--config /dev/null'), original === 'restored');
  });
}
