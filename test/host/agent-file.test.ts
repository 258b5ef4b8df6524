import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { readAgentFile } from '../../src/host/sidecar-files.ts';

describe('the observed ossec.conf', () => {
  const directory = mkdtempSync(join(tmpdir(), 'pilotfish-agent-file-'));
  const at = (name: string): string => join(directory, name);
  after(() => rmSync(directory, { recursive: true, maxRetries: 9 }));

  const whyOf = async (path: string): Promise<string> => {
    const seen = await readAgentFile(path);
    return typeof seen === 'object' && 'why' in seen ? seen.why : 'read';
  };

  test('a regular file is read, a missing one is told as missing', async () => {
    writeFileSync(at('plain'), 'x');
    assert.deepEqual(await readAgentFile(at('plain')), Buffer.from('x'));
    assert.equal(await readAgentFile(at('absent')), 'missing');
  });

  test('a FIFO is refused at once, nobody waits for a writer', async () => {
    execFileSync('mkfifo', [at('fifo')]);
    assert.match(await whyOf(at('fifo')), /^E503 .*no regular file/);
  });

  test('a link to an endless device is refused without a byte read', async () => {
    symlinkSync('/dev/zero', at('endless'));
    assert.match(await whyOf(at('endless')), /^E503 .*no regular file/);
  });

  test('a file with two names is refused', async () => {
    writeFileSync(at('one'), 'x');
    linkSync(at('one'), at('two'));
    assert.match(await whyOf(at('one')), /^E503 .*2 names/);
  });

  test('a file beyond the limit is refused', async () => {
    writeFileSync(at('long'), Buffer.alloc(8 * 1024 * 1024 + 1));
    assert.match(await whyOf(at('long')), /8388609 bytes/);
  });
});
