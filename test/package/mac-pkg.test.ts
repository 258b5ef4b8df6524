/**
 * The pkg of macOS, taken apart again: the archive and the payload by libarchive (`bsdtar`), sums by
 * `cksum`, the bill of materials by a reader of the test. What a Mac makes of it is not shown.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';
import { XMLParser } from 'fast-xml-parser';
import { posixCksum } from '../../scripts/package/bom.ts';
import { buildMacPkg } from '../../scripts/package/mac-pkg.ts';
import { missingPackages } from '../../scripts/package/run.ts';
import { readBom } from './bom-reader.ts';

const source = fileURLToPath(new URL('../../installers/macos/', import.meta.url));
const missing = missingPackages(['bsdtar']);
const epoch = 1_700_000_000;

/** Opens as an arm64 executable for macOS 13.5 and is large enough to be compressed. */
function aProgram(): Buffer {
  const program = Buffer.alloc(70_001, 'pilotfish');
  program.fill(0, 0, 64);
  [0xfeedfacf, 0x0100000c, 0, 2, 1, 24, 0, 0, 0x32, 24, 1, 0x000d0500].forEach((word, index) => {
    program.writeUInt32LE(word, index * 4);
  });
  return program;
}

describe('the pkg', { skip: missing.length > 0 && `needs ${missing.join(' ')}` }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-mac-pkg-'));
  const [tarball, opened, payload] = ['tarball', 'opened', 'payload'].map((name) => {
    mkdirSync(join(folder, name));
    return join(folder, name);
  }) as [string, string, string];
  const build = (name: 'macos-arm64' | 'macos-x64') =>
    buildMacPkg({
      target: { name },
      version: '1.2.3',
      epoch,
      folder: tarball,
      outputFolder: folder,
    });
  const at = (name: string): string => join(opened, name);
  const tar = (...words: readonly string[]): string => execFileSync('bsdtar', words).toString();
  const parse = (text: string | Buffer) =>
    new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '' }).parse(text.toString());
  let pkg = '';

  before(() => {
    for (const name of readdirSync(source)) copyFileSync(join(source, name), join(tarball, name));
    writeFileSync(join(tarball, 'pilotfish'), aProgram());
    pkg = build('macos-arm64');
    tar('-xf', pkg, '-C', opened);
    tar('-xpf', at('pilotfish.pkg/Payload'), '-C', payload);
  });
  after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));

  test('holds one component, and every sum of its table is right', () => {
    assert.deepEqual(tar('-tf', pkg).trim().split('\n').sort(), [
      'Distribution',
      'pilotfish.pkg',
      ...['Bom', 'PackageInfo', 'Payload', 'Scripts'].map((name) => `pilotfish.pkg/${name}`),
    ]);
    const bytes = readFileSync(pkg);
    const heap = 28 + Number(bytes.readBigUInt64BE(8));
    const table = bytes.subarray(28, heap);
    const sum = (of: Buffer): string => createHash('sha1').update(of).digest('hex');
    assert.equal(bytes.subarray(heap, heap + 20).toString('hex'), sum(table));
    const text = inflateSync(table);
    assert.equal(text.length, Number(bytes.readBigUInt64BE(16)));
    const { toc } = parse(text).xar;
    const files = [toc.file[0], ...toc.file[1].file];
    assert.equal(files.length, 5);
    for (const { data } of files) {
      const from = heap + Number(data.offset);
      const content = bytes.subarray(from, from + Number(data.length));
      assert.equal(data['archived-checksum']['#text'], sum(content));
      assert.equal(data['extracted-checksum']['#text'], sum(content));
    }
    const last = files.at(-1).data;
    assert.equal(heap + Number(last.offset) + Number(last.length), bytes.length);
  });

  test('installs what the tarball installs, as root:wheel, and the bill names each path', () => {
    const bill = readBom(readFileSync(at('pilotfish.pkg/Bom')));
    const listed = tar('-tvf', at('pilotfish.pkg/Payload'), '--numeric-owner').trim().split('\n');
    assert.equal(listed.length, bill.length);
    assert.ok(
      listed.every((line) => /^\S+\s+\d+\s+0\s+0\s/.test(line)),
      listed.join('\n'),
    );
    assert.deepEqual(
      bill
        .filter(({ mode }) => (mode & 0o170000) !== 0o040000)
        .map(({ path }) => path)
        .sort(),
      [
        './Library/LaunchDaemons/org.pilotfish.sidecar.plist',
        './usr/local/bin/pilotfish',
        './usr/local/libexec/pilotfish/pilotfish',
        './usr/local/libexec/pilotfish/uninstall.sh',
      ],
    );
    for (const one of bill) {
      const found = lstatSync(join(payload, one.path));
      assert.deepEqual([one.owner, one.time], ['0:0', epoch], one.path);
      if (found.isSymbolicLink()) {
        assert.equal(one.to, '/usr/local/libexec/pilotfish/pilotfish');
        assert.equal(one.sum, posixCksum(Buffer.from(one.to)));
        continue;
      }
      assert.equal(one.mode, found.mode, one.path);
      assert.equal(found.mode & 0o022, 0, `others may write ${one.path}`);
      if (!found.isFile()) continue;
      assert.equal(found.mtimeMs, epoch * 1000);
      const sums = execFileSync('cksum', [join(payload, one.path)])
        .toString()
        .split(' ');
      assert.deepEqual([one.sum, one.size], [Number(sums[0]), Number(sums[1])], one.path);
    }
    assert.deepEqual(
      readFileSync(join(payload, 'usr/local/libexec/pilotfish/pilotfish')),
      aProgram(),
    );
  });

  test('runs our postinstall and says for which Mac it is', () => {
    const script = tar('-xOf', at('pilotfish.pkg/Scripts'), './postinstall');
    assert.equal(script, readFileSync(join(source, 'postinstall'), 'utf8'));
    assert.match(tar('-tvf', at('pilotfish.pkg/Scripts')), /^-rwxr-xr-x .*\.\/postinstall$/m);
    const info = parse(readFileSync(at('pilotfish.pkg/PackageInfo')))['pkg-info'];
    assert.equal(info.scripts.postinstall.file, './postinstall');
    assert.deepEqual(
      [info.identifier, info.version, info['install-location'], info['overwrite-permissions']],
      ['org.pilotfish.sidecar', '1.2.3', '/', 'false'],
    );
    const paths = readBom(readFileSync(at('pilotfish.pkg/Bom'))).length;
    assert.equal(Number(info.payload.numberOfFiles), paths);
    const gui = parse(readFileSync(at('Distribution')))['installer-gui-script'];
    assert.equal(gui.options.hostArchitectures, 'arm64');
    assert.equal(gui['volume-check']['allowed-os-versions']['os-version'].min, '13.5');
    assert.equal(gui['pkg-ref']['#text'], '#pilotfish.pkg');
    assert.equal(gui.domains.enable_anywhere, 'false');
  });

  test('is made twice with the same bytes, and for the other processor differs in that alone', () => {
    const first = readFileSync(pkg);
    rmSync(pkg);
    assert.ok(readFileSync(build('macos-arm64')).equals(first));
    const other = tar('-xOf', build('macos-x64'), 'Distribution');
    assert.match(other, /hostArchitectures="x86_64"/);
  });

  test('POSIX names the checksum of nothing', () => {
    assert.equal(posixCksum(Buffer.alloc(0)), 4_294_967_295);
  });
});
