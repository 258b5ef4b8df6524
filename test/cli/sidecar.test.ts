/** The commands over the real host: real files, real TLS, an agent home on disk, no network beyond loopback. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sha256Tag } from '../../src/bytes.ts';
import { acquireLock } from '../../src/host/lock.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import type { Root } from '../../src/list/model.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { renderToken } from '../../src/list/token.ts';
import {
  aList,
  aManager,
  aRoot,
  aToken,
  signedList,
  signedRoot,
  strangerKey,
} from '../list/documents.ts';
import type { Ran } from './publisher-fixture.ts';
import { runSidecar } from './run-sidecar.ts';

const conf = `<ossec_config>
  <!-- kept -->
  <client>
    <server>
      <address>10.20.0.9</address>
    </server>
  </client>
</ossec_config>
`;

class Desk {
  readonly folder: string;

  constructor(context: TestContext) {
    this.folder = mkdtempSync(join(tmpdir(), 'pf-cli-'));
    context.after(() => rmSync(this.folder, { recursive: true, force: true, maxRetries: 9 }));
    mkdirSync(this.at('home/etc'), { recursive: true });
    this.put('home/etc/ossec.conf', conf);
    this.put('home/etc/client.keys', '017 host any 00\n');
    this.put('pf.yml', this.config());
  }

  at(name: string): string {
    return join(this.folder, name);
  }

  put(name: string, content: string | Uint8Array): string {
    writeFileSync(this.at(name), content);
    return this.at(name);
  }

  config(extra = ''): string {
    return `agent:\n  home: ${this.at('home')}\nstateDir: ${this.at('state')}\nlog:\n  level: silent\n${extra}`;
  }

  run(...argv: readonly string[]): Promise<Ran> {
    return runSidecar(argv);
  }

  /** A command that reads this desk's configuration. */
  here(...argv: readonly string[]): Promise<Ran> {
    return this.run(...argv, '--config', this.at('pf.yml'));
  }

  /** Join by files carried here, as an air-gapped host does. */
  async join(root: Root = staticRoot, list = freshList()): Promise<Ran> {
    const token = renderToken(aToken({ rootHash: sha256Tag(renderRoot(root)), publishers: [] }));
    const rootFile = this.put('root.json', signedRoot(root));
    const listFile = this.put('list.json', list);
    return this.here('join', token, '--root', rootFile, '--list', listFile);
  }
}

const staticRoot = aRoot({ staticDelivery: true, publishers: [] });

function freshList(changes: object = {}): Uint8Array {
  const managers = ['1', '2'].map((id) => aManager(`wm-0${id}`, { address: `127.0.77.${id}` }));
  return signedList(aList({ managers, issuedAtMs: Date.now() - 60_000, ...changes }));
}

test('version, help and config-schema', async (context) => {
  const desk = new Desk(context);
  assert.deepEqual(await desk.run('version'), {
    exit: 0,
    out: 'pilotfish 0.1.0 (source)\n',
    err: '',
  });
  const help = await desk.run('--help');
  assert.equal(help.exit, 0);
  for (const word of ['Examples:', 'probe.deadline', 'apply.restartsPerHour', 'Exit codes']) {
    assert.ok(help.out.includes(word), word);
  }
  const schema = JSON.parse((await desk.run('config-schema')).out);
  assert.equal(schema.properties.probe.properties.fall.default, 2);
  assert.equal(schema.additionalProperties, false);
});

test('usage errors are 2', async (context) => {
  const desk = new Desk(context);
  assert.equal((await desk.run('jion')).exit, 2);
  assert.equal((await desk.run('join')).exit, 2);
  assert.equal((await desk.run('probe', '1.2.3.4:99999')).exit, 2);
  assert.equal((await desk.here('pause', '2', '--reason', 'x')).exit, 2);
  assert.equal((await desk.here('restore', '--to', '0')).exit, 2);
});

test('an unknown configuration key names the nearest known one, its file and line', async (context) => {
  const desk = new Desk(context);
  desk.put('pf.yml', desk.config('probe:\n  fal: 3\n'));
  const { exit, err } = await desk.here('list');
  assert.equal(exit, 2);
  assert.match(err, /E002.*pf\.yml:\d+: unknown key "probe\.fal" \(did you mean probe\.fall\?\)/);
});

test('a configuration file that is named must be there', async (context) => {
  const { exit, err } = await new Desk(context).run('list', '--config', '/nowhere/pf.yml');
  assert.equal(exit, 2);
  assert.match(err, /^E001/);
});

test('settings that contradict each other are refused', async (context) => {
  const desk = new Desk(context);
  desk.put('pf.yml', desk.config('apply:\n  control: command\n'));
  assert.match((await desk.here('list')).err, /E002.*needs apply\.restart/);
});

test('before joining every command says what to do', async (context) => {
  const desk = new Desk(context);
  for (const command of ['list', 'plan', 'once', 'status', 'run']) {
    const { exit, err } = await desk.here(command);
    assert.equal(exit, 2, command);
    assert.match(err, /E012 not_joined[\s\S]*pilotfish join TOKEN/);
  }
  const check = await desk.here('check');
  assert.equal(check.exit, 3);
  assert.match(check.out, /^PILOTFISH UNKNOWN/);
});

test('join by files proves root and list and writes nothing to the agent', async (context) => {
  const desk = new Desk(context);
  const { exit, out } = await desk.join();
  assert.equal(exit, 0);
  assert.match(out, /joined acme-7f3a \(group default, site eu-1\)/);
  assert.equal(readFileSync(desk.at('home/etc/ossec.conf'), 'utf8'), conf);
  const list = JSON.parse((await desk.here('list', '--json')).out);
  assert.deepEqual([...list.order].sort(), ['wm-01', 'wm-02']);
});

test('a token with a wrong letter is refused', async (context) => {
  const desk = new Desk(context);
  const token = renderToken(aToken());
  const { exit, err } = await desk.here('join', token.replace(/^pfj1\.../, 'pfj1.AA'));
  assert.equal(exit, 4);
  assert.match(err, /^E010/);
});

test('a root that the token does not pin is refused, and nothing is kept', async (context) => {
  const desk = new Desk(context);
  const token = renderToken(aToken());
  const rootFile = desk.put('root.json', signedRoot(staticRoot));
  const { exit, err } = await desk.here('join', token, '--root', rootFile);
  assert.equal(exit, 4);
  assert.match(err, /^E306/);
  assert.equal(existsSync(desk.at('state/memory.a')), false);
});

test('a first list that is forged, expired or for another group is refused, and nothing is kept', async (context) => {
  const desk = new Desk(context);
  const forged = signedList(aList({ issuedAtMs: Date.now() }), [strangerKey]);
  assert.match((await desk.join(staticRoot, forged)).err, /^E205/);
  const old = freshList({ issuedAtMs: Date.now() - 30 * 86_400_000 });
  assert.match((await desk.join(staticRoot, old)).err, /^E412/);
  const other = freshList({ aud: { group: 'web', site: 'eu-1' } });
  assert.match((await desk.join(staticRoot, other)).err, /^E402/);
  assert.equal(existsSync(desk.at('state/memory.a')), false);
});

test('a token of another organisation needs --reset', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  const { exit, err } = await desk.here('join', renderToken(aToken({ org: 'other' })));
  assert.equal(exit, 4);
  assert.match(err, /E011[\s\S]*--reset/);
  assert.equal((await desk.here('list')).exit, 0);
});

test('plan says what would change, exit 3, and changes nothing', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  const { exit, out } = await desk.here('plan', '--diff');
  assert.equal(exit, 3);
  assert.match(out, /^write wm-0/);
  assert.match(out, /-\s+<address>10\.20\.0\.9<\/address>\n\+\s+<address>127\.0\.77\./);
  assert.equal(readFileSync(desk.at('home/etc/ossec.conf'), 'utf8'), conf);
});

test('what a stranger wrote into ossec.conf is shown in the change, not obeyed', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  const hostile = conf.replace('    <server>', '    <!-- \u001b]0;x\u0007 -->\n    <server>');
  const file = desk.put('home/etc/ossec.conf', hostile);
  const plan = await desk.here('plan', '--diff');
  assert.match(plan.out, /\\u001b\]0;x\\u0007/);
  const render = await desk.run('render', '--servers', '10.0.0.1', '--diff', file);
  assert.ok(!`${plan.out}${render.out}`.includes('\u001b'));
});

test('once writes the list; a second once and plan have nothing to do; restore puts the original back', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  const first = JSON.parse((await desk.here('once', '--json')).out);
  assert.equal(first.step.kind, 'write', JSON.stringify(first.trace));
  assert.equal(first.lastResult.outcome, 'written', JSON.stringify(first.lastResult));
  const written = readFileSync(desk.at('home/etc/ossec.conf'), 'utf8');
  assert.match(written, /127\.0\.77\.1/);
  assert.match(written, /<!-- kept -->/);
  assert.equal((await desk.here('plan')).exit, 0);
  assert.equal(JSON.parse((await desk.here('once', '--json')).out).step.kind, 'stay');
  assert.equal((await desk.here('restore', '--original')).exit, 0);
  assert.equal(readFileSync(desk.at('home/etc/ossec.conf'), 'utf8'), conf);
});

test('a pause holds everything until resume', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  assert.equal((await desk.here('pause', '2h', '--reason', 'network maintenance')).exit, 0);
  assert.match((await desk.here('plan')).out, /hold: paused/);
  assert.equal((await desk.here('resume')).exit, 0);
  assert.match((await desk.here('plan')).out, /^write/);
});

test('an ossec.conf the agent itself could not load is left alone, with its line', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  const broken = conf.replace('</client>', '');
  desk.put('home/etc/ossec.conf', broken);
  const { exit, out } = await desk.here('once');
  assert.equal(exit, 3);
  assert.match(out, /hold: file refused[\s\S]*line \d+/);
  assert.equal(readFileSync(desk.at('home/etc/ossec.conf'), 'utf8'), broken);
  assert.equal((await desk.here('check')).exit, 2);
});

test('a second sidecar on this host is refused while the first works', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  const lock = await acquireLock({
    path: desk.at('state/run.lock'),
    reason: 'second_instance',
    clock: systemClock,
    random: systemRandom,
  });
  for (const command of ['once', 'run']) {
    const { exit, err } = await desk.here(command);
    assert.equal(exit, 1);
    assert.match(err, /^E030/);
  }
  assert.equal((await desk.here('status')).exit, 3, 'looking is allowed');
  await lock.release();
  assert.equal((await desk.here('once')).err, '');
});

test('a state damaged in both generations is an error; without a source nothing is forgotten', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  desk.put('state/memory.a', 'x');
  desk.put('state/memory.b', 'y');
  const { exit, err } = await desk.here('list');
  assert.equal(exit, 1);
  assert.match(err, /^E701/);
  assert.match((await desk.here('once')).err, /^E\d{3}/);
  assert.equal(readFileSync(desk.at('state/memory.a'), 'utf8'), 'x');
});

test('a state damaged in both generations is rebuilt from the pin of the token', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  mkdirSync(desk.at('share/root'), { recursive: true });
  desk.put('share/root/7', signedRoot(staticRoot));
  desk.put('share/list', freshList());
  desk.put('pf.yml', desk.config(`sources:\n  files: [${desk.at('share/list')}]\n`));
  desk.put('state/memory.a', 'x');
  desk.put('state/memory.b', 'y');
  const once = JSON.parse((await desk.here('once', '--json')).out);
  assert.equal(once.step.kind, 'write');
  assert.equal((await desk.here('list')).exit, 0);
});

test('render prints the new file, --check only says whether it would change', async (context) => {
  const desk = new Desk(context);
  const file = desk.at('home/etc/ossec.conf');
  const servers = ['--servers', '10.0.0.1,10.0.0.2:1515'];
  const rendered = await desk.run('render', ...servers, file);
  assert.equal(rendered.exit, 0);
  assert.match(rendered.out, /<address>10\.0\.0\.1<\/address>[\s\S]*<port>1515<\/port>/);
  assert.deepEqual(await desk.run('render', ...servers, '--check', file), {
    exit: 3,
    out: '',
    err: '',
  });
  const done = desk.put('done.conf', rendered.out);
  assert.equal((await desk.run('render', ...servers, '--check', done)).exit, 0);
  assert.equal((await desk.run('render', '--servers', 'a b', file)).exit, 2);
  assert.equal((await desk.run('render', ...servers, '/nowhere')).exit, 1);
});

test('probe of a closed port is 3 and says what was seen', async (context) => {
  const { exit, err } = await new Desk(context).run('probe', '127.0.77.9:9', '--deadline', '300');
  assert.equal(exit, 3);
  assert.match(err, /^E801.*nothing listens there/);
});

test('errors are one JSON object with --json', async (context) => {
  const { out } = await new Desk(context).here('list', '--json');
  assert.equal(JSON.parse(out).error.name, 'not_joined');
});

test('scripts/pilotfish runs from anywhere, through symlinks', async (context) => {
  const desk = new Desk(context);
  const script = fileURLToPath(new URL('../../scripts/pilotfish', import.meta.url));
  symlinkSync(script, desk.at('first'));
  symlinkSync('first', desk.at('second'));
  const text = await new Promise<string>((resolve, reject) => {
    execFile(desk.at('second'), ['version'], { cwd: '/', timeout: 20_000 }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });
  assert.match(text, /^pilotfish \d+\.\d+\.\d+/);
});

test('check is critical when no cycle of a sidecar ended lately, however good the last one was', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  const never = await desk.here('check');
  assert.equal(never.exit, 2);
  assert.match(never.out, /CRITICAL - no cycle of a sidecar ended ever/);
  await desk.here('once');
  const path = desk.at('state/status.json');
  const status = JSON.parse(readFileSync(path, 'utf8')) as { atMs: number };
  assert.doesNotMatch((await desk.here('check')).out, /no cycle/);
  desk.put('state/status.json', JSON.stringify({ ...status, atMs: status.atMs - 120_000 }));
  assert.match((await desk.here('check')).out, /CRITICAL - no cycle of a sidecar ended for 2 min/);
  assert.doesNotMatch((await desk.here('check', '--max-age', '10m')).out, /no cycle/);
});

test('check is unknown when it is mistyped, and its text holds no performance data', async (context) => {
  const desk = new Desk(context);
  assert.equal((await desk.here('check', '--max-aeg', '10m')).exit, 3);
  assert.equal((await desk.here('check', '--help')).exit, 0);
  assert.equal((await desk.here('status', '--wy')).exit, 2);
  await desk.join();
  await desk.here('once');
  const path = desk.at('state/status.json');
  const written = JSON.parse(readFileSync(path, 'utf8')) as object;
  const alarms = [{ level: 'critical', text: 'proxy: 503 a|managers_up=9' }];
  desk.put('state/status.json', JSON.stringify({ ...written, atMs: Date.now(), alarms }));
  const { out } = await desk.here('check');
  assert.match(out, /^PILOTFISH CRITICAL - proxy: 503 a\/managers_up=9 \| managers_up=0;;;0;2 /);
});

test('status tells that no sidecar works here, and how old is what it shows', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  assert.match((await desk.here('status')).out, /^critical: no cycle of a sidecar ended ever/m);
  await desk.here('once');
  const path = desk.at('state/status.json');
  const written = JSON.parse(readFileSync(path, 'utf8')) as { atMs: number };
  const well = { ...written, alarms: [] };
  const aged = (ms: number) =>
    desk.put('state/status.json', JSON.stringify({ ...well, atMs: Date.now() - ms }));
  aged(100_000);
  const recent = await desk.here('status');
  assert.equal(recent.exit, 0);
  assert.match(recent.out, /\(seen \d+ s ago\)/);
  aged(3_600_000);
  const silent = await desk.here('status');
  assert.equal(silent.exit, 3);
  assert.match(silent.out, /^critical: no cycle of a sidecar ended for 60 min/m);
});

test('doctor takes a sidecar that a timer starts every 75 seconds for one that works', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  await desk.here('once');
  const path = desk.at('state/status.json');
  const written = JSON.parse(readFileSync(path, 'utf8')) as { atMs: number };
  const well = { ...written, alarms: [], atMs: Date.now() - 80_000 };
  desk.put('state/status.json', JSON.stringify(well));
  assert.match((await desk.here('doctor')).out, /^ok +sidecar +runs, without alarms/m);
});

test('doctor tells that the metrics file cannot be written', async (context) => {
  const desk = new Desk(context);
  const file = desk.at('collector/pilotfish.prom');
  desk.put('pf.yml', desk.config(`metrics: {textfile: ${file}}\n`));
  await desk.join();
  await desk.here('once');
  assert.match((await desk.here('doctor')).out, /^WARN +metrics +.*pilotfish\.prom is not there/m);
  mkdirSync(desk.at('collector'));
  await desk.here('once');
  assert.match((await desk.here('doctor')).out, /^ok +metrics +.*pilotfish\.prom is written/m);
});

test('a status of another version of the program is as good as none', async (context) => {
  const desk = new Desk(context);
  await desk.join();
  desk.put('state/status.json', JSON.stringify({ atMs: Date.now(), state: 'fine' }));
  const told = await desk.here('status');
  assert.match(told.out, /no cycle of a sidecar ended ever/, told.err);
  assert.match((await desk.here('check')).out, /^PILOTFISH CRITICAL - no cycle of a sidecar/);
  assert.match((await desk.here('doctor')).out, /^WARN +sidecar +none has ended a cycle/m);
});

test('timeline of somebody who may not read the events says so', {
  skip: process.platform === 'win32' && 'no such modes',
}, async (context) => {
  const desk = new Desk(context);
  mkdirSync(desk.at('state'));
  const events = desk.put('state/events.json', '');
  assert.match((await desk.here('timeline')).out, /nothing happened/);
  chmodSync(events, 0);
  chmodSync(desk.folder, 0o755);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  const told = await desk.here('timeline').finally(() => isRoot && process.seteuid?.(0));
  assert.equal(told.exit, 1);
  assert.match(told.err, /^E704 state_inaccessible: .*events\.json/);
});

test('doctor tells every broken part with a fix, and goes on past each of them', async (t) => {
  const desk = new Desk(t);
  const fresh = await desk.here('doctor', '--json');
  assert.equal(fresh.exit, 1);
  const { findings, counts } = JSON.parse(fresh.out);
  const of = (check: string) => findings.find((one: { check: string }) => one.check === check);
  assert.equal(of('trust').level, 'fail');
  assert.match(of('trust').fix, /pilotfish join/);
  assert.equal(of('ossec.conf').level, 'ok');
  assert.equal(of('client.keys').level, 'fail');
  assert.ok(counts.fail >= 2);
  const amiss = findings.filter(({ level }: { level: string }) => /warn|fail/.test(level));
  assert.deepEqual(
    amiss.filter(({ fix }: { fix?: string }) => fix === undefined),
    [],
  );
});

test('doctor of a configuration with a mistake, and of a joined host', async (t) => {
  const desk = new Desk(t);
  assert.equal((await desk.join()).exit, 0);
  const joined = await desk.here('doctor');
  assert.match(joined.out, /^ok +root +root 7 is good until/m);
  assert.match(joined.out, /^FAIL +port wm-01 127\.0\.77\.1:1514/m);
  assert.doesNotMatch((await desk.here('doctor', '--quiet')).out, /^ok /m);
  desk.put('pf.yml', desk.config('appply: {}\n'));
  const wrong = await desk.here('doctor');
  assert.equal(wrong.exit, 1);
  assert.match(wrong.out, /^FAIL +configuration +E002 .*appply/m);
});
