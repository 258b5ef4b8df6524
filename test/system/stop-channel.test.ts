/** Where there is no SIGTERM, the service host closes our standard input. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { renderToken } from '../../src/list/token.ts';

const main = fileURLToPath(new URL('../../src/sidecar-main.ts', import.meta.url));
/** Names a publisher at a closed port: `run` goes on trying to join. */
const token = renderToken({
  org: 'acme',
  publishers: ['https://127.0.0.1:9'],
  rootHash: `sha256:${'0'.repeat(64)}`,
  rootVersion: 1,
  kids: ['A'.repeat(43)],
  threshold: 1,
  group: 'default',
  site: 'default',
  id: 'tok-1',
});

async function runSidecar(config: string, end: boolean): Promise<number | null> {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-stop-'));
  const file = join(folder, 'pilotfish.yml');
  writeFileSync(file, `stateDir: ${folder}/state\n${config}`);
  const child = spawn(process.execPath, [main, 'run', '--config', file], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { PILOTFISH_STOP_CHANNEL: 'stdin' },
  });
  const exit = once(child, 'exit');
  if (end) {
    await once(child.stderr, 'data'); // it is at work
    child.stdin.end();
  }
  const [code] = (await exit) as [number | null];
  rmSync(folder, { recursive: true, maxRetries: 9 });
  return code;
}

test('closing the stop channel ends a sidecar that would run for ever', async () => {
  assert.equal(await runSidecar(`joinToken: ${token}\n`, true), 0);
});

test('an open stop channel keeps no sidecar alive that has nothing to do', async () => {
  assert.equal(await runSidecar('', false), 2);
});
