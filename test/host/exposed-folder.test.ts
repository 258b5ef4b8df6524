import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { refuseExposed } from '../../src/host/exposed-folder.ts';

const folder = mkdtempSync(join(tmpdir(), 'pilotfish-exposed-'));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
const onUnix = { skip: process.platform === 'win32' };

for (const mode of [0o777, 0o1777, 0o703, 0o002]) {
  test(
    `state in a folder of mode ${mode.toString(8)} is refused, and told how to mend`,
    onUnix,
    async () => {
      const path = join(folder, mode.toString(8));
      mkdirSync(path);
      chmodSync(path, mode);
      await assert.rejects(refuseExposed(path), (error: Error) => {
        assert.match(error.message, /every user may write there/);
        assert.equal((error as { code?: string }).code, 'E706');
        return true;
      });
    },
  );
}

test('a closed folder, one that others may read, and none at all are fine', onUnix, async () => {
  for (const mode of [0o700, 0o755, 0o750]) {
    chmodSync(folder, mode);
    await refuseExposed(folder);
  }
  await refuseExposed(join(folder, 'nowhere'));
});
