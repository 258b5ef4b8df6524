/** The checksums and their signature, proven by the commands that SECURITY.md gives to strangers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { artefactOf, renderSums } from '../../scripts/package/artefact.ts';
import { root } from '../../scripts/package/bundles.ts';
import { signSums } from '../../scripts/package/sign-sums.ts';

/** The two lines of SECURITY.md: signature, then files. */
const commands = /^(openssl pkeyutl .*)\n(sha256sum .*)$/m.exec(
  readFileSync(join(root, 'SECURITY.md'), 'utf8'),
);
const canVerify = /OpenSSL 3/.test(spawnSync('openssl', ['version']).stdout?.toString() ?? '');
const skip = !canVerify && 'needs openssl 3';

async function release(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-sums-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const files = ['b.deb', 'a.msi'].map((name) => join(folder, name));
  for (const path of files) writeFileSync(path, path);
  const sums = join(folder, 'SHA256SUMS');
  writeFileSync(sums, renderSums(await Promise.all(files.map(artefactOf))));
  const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(folder, 'key.pem'), key);
  signSums(sums, join(folder, 'key.pem'));
  return folder;
}

function statusOf(command: string | undefined, folder: string): number | null {
  return spawnSync('sh', ['-c', command ?? 'exit 99'], { cwd: folder }).status;
}

test('what was built passes both commands', { skip }, async (t) => {
  const folder = await release(t);
  assert.equal(statusOf(commands?.[1], folder), 0);
  assert.equal(statusOf(commands?.[2], folder), 0);
  assert.match(
    readFileSync(join(folder, 'SHA256SUMS'), 'utf8'),
    /^\w{64} {2}a\.msi\n\w{64} {2}b\.deb\n$/,
  );
});

test('another byte in a file, or in the sums, does not', { skip }, async (t) => {
  const folder = await release(t);
  appendFileSync(join(folder, 'a.msi'), 'x');
  assert.equal(statusOf(commands?.[2], folder), 1);
  appendFileSync(join(folder, 'SHA256SUMS'), '\n');
  assert.equal(statusOf(commands?.[1], folder), 1);
});

test('only an Ed25519 key signs', async (t) => {
  const folder = await release(t);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const path = join(folder, 'other.pem');
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  assert.throws(() => signSums(join(folder, 'SHA256SUMS'), path), /no Ed25519 key/);
});
