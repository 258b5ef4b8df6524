/** The tables of the MSI, made from stand-in executables; what runs is shown under Wine by campaign. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  makeTestSigner,
  signAuthenticode,
  verifyAuthenticode,
} from '../../scripts/package/authenticode.ts';
import { packMsi, publicProperties } from '../../scripts/package/msi.ts';
import { missingPackages } from '../../scripts/package/run.ts';

const missing = missingPackages(['wixl', 'msibuild', 'faketime']);
const stamp = { version: '1.2.3', commit: '0123456789ab', epoch: 1_790_000_000 };

test('the MSI orders its steps, keeps its settings, takes any version, twice the same', {
  skip: missing.length > 0 && `needs ${missing.join(' ')}`,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-msi-'));
  const hashes = [1, 2].map((day) => {
    for (const name of ['pilotfish.exe', 'pilotfish-service.exe']) {
      writeFileSync(join(folder, name), name);
      utimesSync(join(folder, name), day * 86_400, day * 86_400); // built at another time
    }
    const path = packMsi(folder, stamp);
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  });
  assert.equal(hashes[0], hashes[1]);
  const path = join(folder, 'pilotfish-1.2.3-x64.msi');
  const table = (name: string): string =>
    spawnSync('msiinfo', ['export', path, name]).stdout.toString();
  const sequence = new Map(
    [...table('InstallExecuteSequence').matchAll(/^(\w+)\t[^\t]*\t(\d+)\r?$/gm)].map(
      ([, action, at]) => [action, Number(at)],
    ),
  );
  const before = (first: string, second: string): void =>
    assert.ok((sequence.get(first) ?? 9e9) < (sequence.get(second) ?? 0), `${first} ${second}`);
  before('AppSearch', 'RemoveExistingProducts');
  before('RemoveExistingProducts', 'InstallFiles');
  before('StopServices', 'TearDown');
  before('TearDown', 'DeleteServices');
  before('TearDown', 'RemoveFiles');
  before('InstallServices', 'SetUp');
  before('SetUp', 'StartServices');
  assert.match(
    table('InstallExecuteSequence'),
    /TearDown\tREMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE/,
  );
  for (const name of publicProperties) {
    assert.match(table('AppSearch'), new RegExp(`^${name}\t`, 'm'));
    assert.match(table('Property'), new RegExp(`SecureCustomProperties\t.*\\b${name}\\b`));
    assert.match(table('Registry'), new RegExp(`\\[${name}\\]`));
  }
  assert.match(table('Property'), /MsiHiddenProperties\tJOIN_TOKEN;PROXY/);
  assert.match(table('Property'), /ALLUSERS\t1/);
  assert.match(table('Upgrade'), /\t0\.0\.0\t\t\t257\t\tWIX_UPGRADE_DETECTED/);
  assert.doesNotMatch(table('LaunchCondition'), /DOWNGRADE/);
  rmSync(folder, { recursive: true, maxRetries: 9 });
});

const signing = missingPackages(['wixl', 'msibuild', 'faketime', 'osslsigncode']);

test('the MSI signed by a test certificate verifies against it alone, and only as it was signed', {
  skip: signing.length > 0 && `needs ${signing.join(' ')}`,
}, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-sign-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['pilotfish.exe', 'pilotfish-service.exe']) {
    writeFileSync(join(folder, name), `a file of some length in the cabinet: ${name}`);
  }
  const path = packMsi(folder, stamp);
  const signer = makeTestSigner(folder);
  signAuthenticode(path, signer, stamp.epoch);
  verifyAuthenticode(path, signer.certificate);
  mkdirSync(join(folder, 'other'));
  const { certificate } = makeTestSigner(join(folder, 'other'));
  assert.throws(() => verifyAuthenticode(path, certificate));
  const bytes = readFileSync(path);
  const at = bytes.indexOf('Keeps the Wazuh agent');
  assert.ok(at > 0);
  bytes[at] = 0x6b;
  writeFileSync(path, bytes);
  assert.throws(() => verifyAuthenticode(path, signer.certificate));
});
