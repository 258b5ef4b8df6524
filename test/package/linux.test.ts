/** Units, scripts and the native helper of the Linux packages. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../scripts/package/bundles.ts';
import { script } from '../../scripts/package/deb.ts';
import { compileNotify } from '../../scripts/package/linux-tree.ts';
import { missingPackages } from '../../scripts/package/run.ts';
import { programs } from '../../scripts/package/targets.ts';

const units = join(root, 'installers/linux/units');
const names = readdirSync(units);
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

for (const name of names.filter((one) => one.endsWith('.service'))) {
  test(`${name}: exposure of at most 2.0`, { skip: !hasSystemd && 'no systemd-analyze' }, () => {
    const words = ['security', '--offline=true', join(units, name)];
    const { stdout } = spawnSync('systemd-analyze', words, {
      env: { ...process.env, LC_ALL: 'C' },
    });
    const level = /exposure level for \S+: ([\d.]+)/.exec(stdout.toString())?.[1];
    assert.ok(Number(level) <= 2.0, `${name}: ${level}`);
  });
}

test('the half with the network writes nothing of the agent; the half that writes has no network', () => {
  const sidecar = readFileSync(join(units, 'pilotfish.service'), 'utf8');
  const applier = readFileSync(join(units, 'pilotfish-apply.service'), 'utf8');
  assert.match(sidecar, /^User=pilotfish$/m);
  assert.match(sidecar, /^CapabilityBoundingSet=$/m);
  assert.match(sidecar, /^ProtectSystem=strict$/m);
  assert.doesNotMatch(sidecar, /^ReadWritePaths=/m);
  assert.match(applier, /^PrivateNetwork=yes$/m);
  assert.match(applier, /^RestrictAddressFamilies=AF_UNIX$/m);
});

test('maintainer and init scripts are what sh can read', () => {
  const folder = join(root, 'installers/linux/init');
  const scripts = programs.flatMap((program) => [
    ...['preinst', 'postinst', 'prerm', 'postrm'].map((name) => script(program, name) ?? ''),
    ...['post', 'preun', 'postun'].map((name) => script(program, name, 'rpm') ?? ''),
    readFileSync(join(folder, `${program}.sysv`), 'utf8'),
    readFileSync(join(folder, `${program}.openrc`), 'utf8'),
  ]);
  for (const text of scripts) {
    assert.ok(text.length > 200);
    const { status, stderr } = spawnSync('sh', ['-n'], { input: text });
    assert.equal(status, 0, stderr.toString());
  }
});

const helperNeeds = missingPackages(['x86_64-linux-gnu-gcc']);
const python = spawnSync('python3', ['--version']).status === 0;
const skipHelper = process.arch !== 'x64' || helperNeeds.length > 0 || !python;

test('notify turns lines into datagrams, and ends with its input', {
  skip: skipHelper,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-notify-'));
  const helper = join(folder, 'notify');
  compileNotify('x86_64-linux-gnu-gcc', helper);
  const path = join(folder, 'socket');
  // Node has no such sockets: Python listens and prints what came.
  const listener = `import socket;s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind(${JSON.stringify(path)});print("up",flush=True)\nfor _ in range(2): print(s.recv(2048).decode(),flush=True)`;
  const receiver = spawn('python3', ['-c', listener], { stdio: ['ignore', 'pipe', 'inherit'] });
  let heard = '';
  for await (const chunk of receiver.stdout) {
    heard += String(chunk);
    if (heard !== 'up\n') continue;
    const input = `READY=1\n${'x'.repeat(3000)}\n`;
    const { status } = spawnSync(helper, [], { input, env: { NOTIFY_SOCKET: path } });
    assert.equal(status, 0);
  }
  assert.equal(heard, `up\nREADY=1\n${'x'.repeat(1024)}\n`);
  for (const env of [{}, { NOTIFY_SOCKET: 'relative' }, { NOTIFY_SOCKET: `/${'y'.repeat(200)}` }]) {
    assert.equal(spawnSync(helper, [], { input: 'READY=1\n', env }).status, 2);
  }
  rmSync(folder, { recursive: true, maxRetries: 9 });
});
