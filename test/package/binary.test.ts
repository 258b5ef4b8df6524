/**
 * One real binary: it works, says what it is, takes no code and no options from its environment,
 * and a package of it is made twice with the same bytes.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildBinary } from '../../scripts/package/binary.ts';
import { type Bundle, buildBundles, readStamp } from '../../scripts/package/bundles.ts';
import { buildDeb } from '../../scripts/package/deb.ts';
import { buildRpm } from '../../scripts/package/rpm.ts';
import { missingPackages } from '../../scripts/package/run.ts';
import { targets } from '../../scripts/package/targets.ts';

const [target] = targets;
const missing = missingPackages(['x86_64-linux-gnu-gcc', 'dpkg-deb']);
const skip = process.platform !== 'linux' || process.arch !== 'x64' || missing.length > 0;

describe('the binary of the sidecar', { skip: skip && `needs ${missing.join(' ')}` }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-binary-'));
  const binary = join(folder, 'pilotfish');
  const stamp = readStamp();
  let bundles: readonly Bundle[] = [];

  before(async () => {
    assert.ok(target);
    bundles = await buildBundles(stamp);
    buildBinary({ program: 'pilotfish', target, output: binary });
  });
  after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));

  const run = (words: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const { status, stdout, stderr } = spawnSync(binary, words, { env, timeout: 120_000 });
    return { status, out: stdout.toString(), err: stderr.toString() };
  };

  test('tells version, commit and time of the build, and passes its self-test', () => {
    const { status, out } = run(['version', '--selftest']);
    assert.equal(status, 0, out);
    assert.ok(out.startsWith(`pilotfish ${stamp.version} (${stamp.commit} `), out);
    assert.equal(out.match(/^ok {6}/gm)?.length, 5, out);
  });

  test('no variable of the environment loads code or opens a debugger', () => {
    const witness = join(folder, 'ran');
    const code = join(folder, 'evil.cjs');
    writeFileSync(code, `require('node:fs').writeFileSync(${JSON.stringify(witness)}, 'x')`);
    const engine = join(folder, 'openssl.cnf');
    writeFileSync(
      engine,
      `.include ${folder}/absent.cnf\nopenssl_conf = x\nnodejs_conf = x\n[x]\nengines = e\n[e]\nq = q\n[q]\ndynamic_path = ${folder}/absent.so\ninit = 1\n`,
    );
    const attempts: readonly Readonly<Record<string, string>>[] = [
      { NODE_OPTIONS: `--require=${code}` },
      { NODE_OPTIONS: `--import=file://${code}` },
      { NODE_OPTIONS: '--inspect=127.0.0.1:0' },
      { NODE_SEA_OPTIONS: `--require=${code}`, NODE_PATH: folder },
      { OPENSSL_CONF: engine, OPENSSL_MODULES: folder, OPENSSL_ENGINES: folder },
      { ELECTRON_RUN_AS_NODE: '1', BUN_BE_BUN: '1', BUN_OPTIONS: `--preload ${code}` },
    ];
    const plain = run(['version']);
    for (const env of attempts) {
      assert.deepEqual(run(['version'], env), plain, JSON.stringify(env));
    }
    // Node itself ends here: this one cannot go together with a binary that takes no options.
    assert.equal(run(['version'], { NODE_REPL_EXTERNAL_MODULE: code }).status, 9);
    assert.throws(() => readFileSync(witness));
  });

  test('arguments of Node are arguments of ours', () => {
    for (const word of ['--inspect', '--eval=1', '--require=x', '-p']) {
      const { status, err } = run([word]);
      assert.equal(status, 2, `${word}: ${err}`);
    }
  });

  test('two packages of it are the same bytes; the scripts are sh, nothing is writable for others', () => {
    assert.ok(target);
    const small = join(folder, 'small'); // what is inside does not matter here
    writeFileSync(small, 'binary');
    const hashes = ['one', 'two'].map((name) => {
      const outputFolder = join(folder, name);
      mkdirSync(outputFolder);
      const request = {
        program: 'pilotfish',
        target,
        stamp,
        bundles,
        binary,
        outputFolder,
      } as const;
      const deb = buildDeb({ ...request, binary: small, quick: true });
      const files = spawnSync('dpkg-deb', ['--contents', deb]).stdout.toString();
      assert.doesNotMatch(files, /^.{5}w|^.{8}w/m);
      assert.match(files, /root\/root .* \.\/usr\/bin\/pilotfish$/m);
      return createHash('sha256').update(readFileSync(deb)).digest('hex');
    });
    assert.equal(hashes[0], hashes[1]);
  });

  test('the package of the publisher brings cluster_control, beside the one of Wazuh', () => {
    assert.ok(target);
    const small = join(folder, 'small-publisher');
    writeFileSync(small, 'binary');
    const program = 'pilotfish-publisher';
    const request = { program, target, stamp, bundles, binary: small, quick: true } as const;
    const deb = buildDeb({ ...request, outputFolder: folder });
    const files = spawnSync('dpkg-deb', ['--contents', deb]).stdout.toString();
    const link = /\.\/usr\/lib\/pilotfish-publisher\/bin\/cluster_control -> (\S+)$/m.exec(files);
    assert.equal(link?.[1], '../../../bin/pilotfish-publisher', files);
    assert.doesNotMatch(files, /usr\/bin\/cluster_control|var\/ossec/);
  });

  const noRpm = missingPackages(['rpmbuild']);
  test('so does its rpm', { skip: noRpm.length > 0 && `needs ${noRpm.join(' ')}` }, () => {
    assert.ok(target);
    const small = join(folder, 'small-rpm');
    writeFileSync(small, 'binary');
    const program = 'pilotfish-publisher';
    const request = { program, target, stamp, bundles, binary: small, quick: true } as const;
    const rpm = buildRpm({ ...request, outputFolder: folder });
    const files = spawnSync('rpm', ['-qlvp', rpm]).stdout.toString();
    const link = /^l\S+ .* \/usr\/lib\/pilotfish-publisher\/bin\/cluster_control -> (\S+)$/m;
    assert.equal(link.exec(files)?.[1], '../../../bin/pilotfish-publisher', files);
    assert.match(files, /^-rwxr-xr-x .* \/usr\/bin\/pilotfish-publisher$/m);
    assert.doesNotMatch(files, /usr\/bin\/cluster_control|var\/ossec/);
  });

  test('the binary of the publisher is cluster_control where a link of that name says so', () => {
    assert.ok(target);
    const publisher = join(folder, 'pilotfish-publisher');
    buildBinary({ program: 'pilotfish-publisher', target, output: publisher });
    const link = join(folder, 'bin', 'cluster_control');
    mkdirSync(join(folder, 'bin'));
    symlinkSync('../pilotfish-publisher', link);
    const call = (path: string) => {
      const { status, stdout, stderr } = spawnSync(path, ['-u'], { env: {}, timeout: 120_000 });
      return { status, out: stdout.toString(), err: stderr.toString() };
    };

    const tool = call(link);

    assert.match(tool.out, /^\n {4}cluster_control \[-h\]/, tool.err);
    assert.equal(tool.status, 0);
    assert.equal(call(publisher).status, 2, 'under its own name it has no -u');
  });
});
