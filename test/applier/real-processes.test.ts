import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { apply } from '../../src/applier/apply.ts';
import { encodeApplyRequest } from '../../src/applier/request.ts';
import { restoreMissing, resume } from '../../src/applier/restore.ts';
import type { ApplierSettings } from '../../src/applier/settings.ts';
import { applySpool } from '../../src/applier/spool.ts';
import type { ApplierWorld } from '../../src/applier/world.ts';
import {
  openSpool,
  readReport,
  submitRequest,
  withdrawRequest,
} from '../../src/host/spool-directory.ts';
import type { StandInHome } from '../fakes/agent-home.ts';
import { control } from '../fakes/agent-home.ts';
import { eventually } from '../fakes/processes.ts';
import { Stage } from '../fakes/stage.ts';
import { failsWith } from '../host/config-fixture.ts';
import { listOf, realWorld } from './real-processes.ts';

interface Scene {
  readonly stage: Stage;
  readonly home: StandInHome;
  readonly world: ApplierWorld;
}

/** Two managers; the agent runs and is connected to the first. */
async function connectedAgent(
  context: TestContext,
  changes: Partial<ApplierSettings> = {},
): Promise<Scene> {
  const stage = new Stage(context);
  await stage.manager(stage.a);
  await stage.manager(stage.b);
  const home = stage.home({ agentFlags: ['--state-interval-ms', '100'] });
  const world = await realWorld(context, home, changes);
  control(home, 'start');
  await eventually('the agent is connected', () => home.readState('status') === 'connected');
  return { stage, home, world };
}

/** Events in megabytes for a small buffer: the agent blocks in its send soon after the hang. */
const wedging = [
  ['--events-per-second', 200],
  ['--event-bytes', 4000],
  ['--hung-buffer-bytes', 150_000],
  ['--state-interval-ms', 50],
]
  .flat()
  .map(String);

const endsOf = (peers: readonly { address: string; port: number }[]): readonly string[] =>
  peers.map(({ address, port }) => `${address}:${port}`);

const order = ['wm-01', 'wm-02'];
const outside = (config: Buffer): string =>
  config.toString().replace(/<server>[\s\S]*<\/server>/, '<servers/>');

describe('the applier with real files and processes', { concurrency: 3 }, () => {
  test('agentd mode moves the agent with one restart and changes server entries only', async (context) => {
    const { stage, home, world } = await connectedAgent(context);
    const facts = await world.agent.readFacts();
    assert.deepEqual(
      [facts.installed, facts.version, facts.running, facts.waiting, facts.status, facts.upgrade],
      [true, '4.14.8', true, false, 'connected', undefined],
    );
    assert.deepEqual([endsOf(facts.peers), facts.pids], [[`${stage.a}:1514`], home.pids]);
    const before = home.readConfig();
    const list = listOf([stage.b, stage.a]);
    const result = await apply(world, { listEnvelope: list, rootEnvelopes: [], order, move: true });
    assert.deepEqual([result.outcome, result.restarts], ['moved', 1], JSON.stringify(result));
    assert.ok((result.awayMs ?? 0) > 0, `away ${result.awayMs} ms`);
    const { peers } = await world.agent.readFacts();
    assert.deepEqual(endsOf(peers), [`${stage.b}:1514`]);
    assert.equal(outside(home.readConfig()), outside(before));
  });

  test('an agentd that ignores SIGTERM is killed and replaced', async (context) => {
    const { stage, home, world } = await connectedAgent(context);
    const [wedged = 0] = home.pids;
    process.kill(wedged, 'SIGSTOP');
    const list = listOf([stage.b, stage.a]);
    const result = await apply(world, { listEnvelope: list, rootEnvelopes: [], order, move: true });
    assert.equal(result.outcome, 'moved', JSON.stringify(result));
    assert.ok(!home.pids.includes(wedged));
  });

  test('an agentd wedged by a hung manager ignores SIGTERM: it is killed and moved all the same', async (context) => {
    const stage = new Stage(context);
    const hung = await stage.manager(stage.a);
    await stage.manager(stage.b);
    const home = stage.home({ agentFlags: wedging });
    const world = await realWorld(context, home);
    control(home, 'start');
    await eventually('the agent is connected', () => home.readState('status') === 'connected');
    await hung.waitFor({ event: 'events' });
    hung.stop();
    const sent = (): string | undefined => home.readState('msg_sent');
    const isFrozen = (): boolean => {
      const before = sent();
      execFileSync('sleep', ['0.3']);
      return before !== undefined && before === sent();
    };
    await eventually('the agent is wedged', isFrozen);
    const [wedged = 0] = home.pids;
    const list = listOf([stage.b, stage.a]);
    const request = { listEnvelope: list, rootEnvelopes: [], order, move: true, urgent: true };
    const startedMs = performance.now();
    const result = await apply(world, request);
    assert.deepEqual([result.outcome, result.restarts], ['moved', 1], JSON.stringify(result));
    assert.ok(performance.now() - startedMs >= world.settings.killAfterMs, 'SIGTERM was enough');
    assert.ok(!home.pids.includes(wedged));
    // While sockets come and go the kernel may list one twice.
    await eventually('it is there alone', async () => {
      const { peers } = await world.agent.readFacts();
      return endsOf(peers).join() === `${stage.b}:1514`;
    });
  });

  test('an agentd that cannot be started alone is restarted as a whole', async (context) => {
    const failing = { kind: 'command', restartAgentd: ['/bin/false'] } as const;
    const { stage, home, world } = await connectedAgent(context);
    const restart = [home.controlPath, 'restart'];
    const settings = { ...world.settings, control: { ...failing, restart } };
    const list = listOf([stage.b, stage.a]);
    const request = { listEnvelope: list, rootEnvelopes: [], order, move: true };
    const result = await apply({ ...world, settings }, request);
    assert.deepEqual([result.outcome, result.restarts], ['moved', 2], JSON.stringify(result));
    assert.match(result.notes.join(), /\/bin\/false: exit code 1/);
  });

  test('an agent that we had stopped when we were killed is started by resume', async (context) => {
    const { stage, home, world } = await connectedAgent(context);
    const dying: ApplierWorld = {
      ...world,
      control: {
        ...world.control,
        perform: (step, timeoutMs) =>
          step.kind === 'run'
            ? Promise.reject(new Error('killed here'))
            : world.control.perform(step, timeoutMs),
      },
    };
    const list = listOf([stage.b, stage.a]);
    const request = { listEnvelope: list, rootEnvelopes: [], order, move: true };
    await assert.rejects(apply(dying, request), /killed here/);
    assert.deepEqual(home.pids, []);
    const result = await resume(world);
    assert.deepEqual([result.outcome, result.connected], ['moved', true], JSON.stringify(result));
    assert.equal((await apply(world, request)).outcome, 'unchanged');
  });

  test('a removed ossec.conf comes back with the owner and mode it had; the next apply writes the list', async (context) => {
    const stage = new Stage(context);
    const home = stage.home();
    const world = await realWorld(context, home);
    chmodSync(home.configPath, 0o640);
    const { uid, gid, mode } = statSync(home.configPath);
    const original = home.readConfig();
    const list = listOf([stage.b, stage.a]);
    const request = { listEnvelope: list, rootEnvelopes: [], order, move: false };
    assert.equal((await apply(world, request)).outcome, 'written');
    rmSync(home.configPath);
    assert.equal((await apply(world, request)).reason?.name, 'not_found');
    const back = await restoreMissing(world);
    assert.equal(back.outcome, 'restored', JSON.stringify(back));
    const now = statSync(home.configPath);
    assert.deepEqual([now.uid, now.gid, now.mode], [uid, gid, mode]);
    assert.deepEqual(home.readConfig(), original);
    assert.equal((await apply(world, request)).outcome, 'written');
  });

  test('while another apply works this one is held, afterwards it is done', async (context) => {
    const stage = new Stage(context);
    const world = await realWorld(context, stage.home());
    const list = listOf([stage.b, stage.a]);
    const request = { listEnvelope: list, rootEnvelopes: [], order, move: true };
    const other = await world.lock();
    assert.equal((await apply(world, request)).reason?.code, 'E501');
    await other.release();
    assert.equal((await apply(world, request)).outcome, 'written');
  });

  test('the spool: a request laid down is applied, reported by its hash, and removed', async (context) => {
    const stage = new Stage(context);
    const world = await realWorld(context, stage.home());
    const spoolDirectory = mkdtempSync(join(tmpdir(), 'pf-spool-'));
    const resultDirectory = mkdtempSync(join(tmpdir(), 'pf-results-'));
    context.after(() => rmSync(spoolDirectory, { recursive: true, maxRetries: 9 }));
    context.after(() => rmSync(resultDirectory, { recursive: true, maxRetries: 9 }));
    const spool = openSpool(spoolDirectory, resultDirectory);
    const list = listOf([stage.b, stage.a]);
    const request = { listEnvelope: list, rootEnvelopes: [], order, move: false };
    const asked = await submitRequest(spoolDirectory, encodeApplyRequest(request));
    assert.equal(await readReport(resultDirectory, asked), undefined);
    const [result] = await applySpool(world, spool);
    assert.equal(result?.outcome, 'written');
    assert.deepEqual((await readReport(resultDirectory, asked))?.result, result);
    assert.deepEqual(await applySpool(world, spool), []);
  });

  test('the spool: a request that is taken back while it is watched is given up and reported', async (context) => {
    const { home, world } = await connectedAgent(context);
    const spoolDirectory = mkdtempSync(join(tmpdir(), 'pf-spool-'));
    context.after(() => rmSync(spoolDirectory, { recursive: true, maxRetries: 9 }));
    const list = listOf(['127.99.0.1', '127.99.0.2']); // nobody listens there
    const request = { listEnvelope: list, rootEnvelopes: [], order, move: true };
    const asked = await submitRequest(spoolDirectory, encodeApplyRequest(request));
    const ending = applySpool(world, openSpool(spoolDirectory, spoolDirectory));
    const isWritten = (): boolean => home.readConfig().includes('127.99.0.1');
    await eventually('the file is written', isWritten);
    await withdrawRequest(spoolDirectory);
    const [result] = await ending;
    assert.deepEqual([result?.outcome, result?.restarts], ['written', 1], JSON.stringify(result));
    assert.deepEqual((await readReport(spoolDirectory, asked))?.result, result);
    assert.equal(home.pids.length, 1);
  });

  test('the spool: rubbish is reported as refused, a symlink is not followed', async (context) => {
    const stage = new Stage(context);
    const world = await realWorld(context, stage.home());
    const directory = mkdtempSync(join(tmpdir(), 'pf-spool-'));
    context.after(() => rmSync(directory, { recursive: true, maxRetries: 9 }));
    const path = join(directory, 'request.json');
    writeFileSync(
      path,
      encodeApplyRequest({
        listEnvelope: Buffer.from('{}'),
        rootEnvelopes: [],
        order: [],
        move: true,
      }),
    );
    const [refused] = await applySpool(world, openSpool(directory, directory));
    assert.deepEqual([refused?.outcome, refused?.reason?.code], ['refused', 'E201']);
    writeFileSync(path, 'rubbish');
    const [rubbish] = await applySpool(world, openSpool(directory, directory));
    assert.equal(rubbish?.outcome, 'refused');
    symlinkSync('/etc/passwd', path);
    const spool = openSpool(directory, directory);
    await assert.rejects(applySpool(world, spool), failsWith('write_failed', /request\.json/));
  });
});
