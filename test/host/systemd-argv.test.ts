/**
 * The planned command lines against the real programs' own option parsing. Without a systemd that
 * runs they parse everything and then fail for want of a bus; nothing is started or restarted.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { planRestart } from '../../src/applier/restart.ts';
import { defaultSettings } from '../../src/applier/settings.ts';
import { runProgram } from '../../src/host/run-program.ts';
import { agentHome } from '../../src/wazuh/agent-home.ts';

function obstacle(): string | false {
  if (existsSync('/run/systemd/system')) return 'systemd runs here: it would really restart';
  return existsSync('/usr/bin/systemd-run') ? false : 'systemd is not installed';
}
const skip = obstacle();
const noBus = /not been booted with systemd|connect to (system )?bus|Host is down/i;

/** systemd-run looks for the program before it looks for the bus. */
const path = mkdtempSync(join(tmpdir(), 'pf-systemd-'));
const home = agentHome('linux', path);
mkdirSync(join(path, 'bin'));
for (const program of [home.agentdPath, home.modulesdPath ?? '']) {
  writeFileSync(program, '#!/bin/sh\nexit 1\n', { mode: 0o755 });
}
after(() => rmSync(path, { recursive: true, maxRetries: 9 }));

const plan = (mode: 'agentd' | 'service', deafModules: readonly string[]) =>
  planRestart({
    facts: {
      installed: true,
      version: '4.14.8',
      running: true,
      pids: [1],
      status: 'connected',
      waiting: false,
      peers: [],
      upgrade: undefined,
    },
    home,
    settings: { ...defaultSettings, mode },
    deafModules,
    tag: '1763000000000',
  }).steps.flatMap((step) => (step.kind === 'run' ? [step.argv] : []));

const lines = [
  ...plan('agentd', ['aws-s3']),
  ...plan('service', []),
  ['systemctl', 'show', '--property=ControlGroup', '--value', 'wazuh-agent.service'],
];
for (const argv of lines) {
  test(`${argv.slice(0, 2).join(' ')} … ${basename(argv.at(-1) ?? '')} is understood by the real program`, {
    skip,
  }, async () => {
    const { exit, stderr } = await runProgram({ argv, timeoutMs: 10_000 });
    assert.notEqual(exit, 0);
    assert.match(stderr.toString(), noBus);
  });
}

test('an option that does not exist is told apart from a missing bus', { skip }, async () => {
  for (const program of ['systemd-run', 'systemctl']) {
    const { stderr } = await runProgram({ argv: [program, '--quiett'], timeoutMs: 10_000 });
    assert.match(stderr.toString(), /unrecognized option/);
  }
});

test('the properties of the transient unit are ones that systemd knows', {
  skip,
}, async (context) => {
  const analyze = '/usr/bin/systemd-analyze';
  if (!existsSync(analyze)) return context.skip('systemd-analyze is not installed');
  const directory = mkdtempSync(join(tmpdir(), 'pf-unit-'));
  context.after(() => rmSync(directory, { recursive: true, maxRetries: 9 }));
  const properties = plan('agentd', [])
    .flat()
    .flatMap((word) => (word.startsWith('--property=') ? [word.slice('--property='.length)] : []));
  assert.equal(properties.length, 3);
  const verify = async (lines: readonly string[]): Promise<string> => {
    const unit = join(directory, 'pilotfish-agentd-1.service');
    writeFileSync(unit, ['[Service]', 'ExecStart=/bin/true', ...lines, ''].join('\n'));
    const { stderr } = await runProgram({ argv: [analyze, 'verify', unit], timeoutMs: 20_000 });
    return stderr.toString();
  };
  const complaint = /pilotfish-agentd-1\.service:\d+/;
  assert.match(await verify([...properties, 'KillMod=process']), complaint);
  assert.doesNotMatch(await verify(properties), complaint);
});
