/**
 * The Windows adapters on a Win32 file system and with Win32 programs, as far as Wine has them: its
 * PowerShell is empty, so the call of ReplaceFileW itself is refused there and nothing more is shown.
 * PILOTFISH_TEST_WINE_NODE names a node.exe of line 22 (later ones do not start under Wine 8).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';

const node = process.env.PILOTFISH_TEST_WINE_NODE;

function obstacle(): string | false {
  if (node === undefined) return 'PILOTFISH_TEST_WINE_NODE names no node.exe';
  if (!existsSync(node)) return `${node} does not exist`;
  return spawnSync('wine', ['--version']).status === 0 ? false : 'wine is not installed';
}

async function runUnderWine(name: string, flags: readonly string[]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'pf-wine-'));
  const outfile = join(directory, 'bundle.cjs');
  const entry = new URL(name, import.meta.url).pathname;
  try {
    await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'cjs' });
    // Into a file: Wine takes no socket for a pipe.
    const said = join(directory, 'said');
    const output = openSync(said, 'w');
    const argv = [node ?? '', ...flags, outfile];
    const { NODE_TEST_CONTEXT: _, ...rest } = process.env; // its reports are for our own runner
    const env = { ...rest, WINEDEBUG: '-all' };
    spawnSync('wine', argv, { env, stdio: ['ignore', output, output], timeout: 120_000 });
    closeSync(output);
    return readFileSync(said, 'utf8');
  } finally {
    rmSync(directory, { recursive: true, maxRetries: 9 });
  }
}

test('under Wine: the file protocol and its recovery', { skip: obstacle() }, async () => {
  const said = await runUnderWine('windows.test.ts', ['--test-reporter=tap']);
  assert.match(said, /# fail 0/);
  assert.match(said, /# pass 1\d/);
});

test('under Wine: real tools, and nothing lost where one is missing', {
  skip: obstacle(),
}, async () => {
  const lines = (await runUnderWine('windows-live.ts', [])).trim().split('\n');
  const steps = new Map<string, { readonly value?: unknown; readonly error?: string }>();
  for (const line of lines) {
    const { step, ...outcome } = JSON.parse(line);
    steps.set(step, outcome);
  }
  const kept = { text: 'old\r\n', names: ['ossec.conf', 'state'] };
  assert.match(steps.get('replace')?.error ?? '', /PowerShell did not replace the file/);
  assert.deepEqual(steps.get('replaced')?.value, kept);
  assert.match(String(steps.get('recover')?.value), /put back from the newest backup generation/);
  assert.deepEqual(steps.get('recovered')?.value, kept);
  assert.match(steps.get('missingTool')?.error ?? '', /no-such-tool\.exe/);
  assert.match(steps.get('start')?.error ?? '', /sc\.exe start NoSuch: exit code/);
  assert.equal(steps.get('memory')?.value, 'y');
  for (const step of ['facts', 'lock', 'stop', 'awaitExit']) {
    assert.equal(steps.get(step)?.error, undefined, step);
  }
});
