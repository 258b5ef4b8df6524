/**
 * The sidecar is dead and a local user waits where the agent dials. What that user can reach, and
 * that the rule refuses exactly the settings in which it reaches something.
 */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { closesAtOnce, holdPort, readHolder, readPortFacts } from '../../src/host/relay-guard.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { type EnrollmentFacts, judgeRelay } from '../../src/relay/guard.ts';
import type { ListenAddress } from '../../src/relay/ports.ts';
import { freePort, type StandInProcess } from '../fakes/processes.ts';
import { Stage } from '../fakes/stage.ts';

const program = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const isRoot = process.geteuid?.() === 0;
const ports = { unprivilegedFrom: 1024, mayBindPrivileged: false };

interface Scene {
  readonly stage: Stage;
  readonly relay: ListenAddress;
  readonly enrollment: ListenAddress;
}

async function scene(context: TestContext): Promise<Scene> {
  const stage = new Stage(context);
  const address = stage.a;
  await stage.manager(stage.b);
  const [relayPort, enrollmentPort] = [await freePort(address), await freePort(address)];
  return {
    stage,
    relay: { address, port: relayPort },
    enrollment: { address, port: enrollmentPort },
  };
}

/** Where every user may read it, whoever may enter this checkout. */
function readableProgram(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pf-hostile-'));
  context.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  chmodSync(folder, 0o755);
  for (const name of ['relay/hostile.ts', 'fakes/life-line.ts']) {
    cpSync(program(`../${name}`), join(folder, name));
  }
  return join(folder, 'relay/hostile.ts');
}

/** Another user where this test may become one. */
async function hostileAt(
  context: TestContext,
  { stage, relay, enrollment }: Scene,
): Promise<StandInProcess> {
  const argv = [
    process.execPath,
    readableProgram(context),
    relay.address,
    `${relay.port}`,
    `${enrollment.port}`,
  ];
  const asNobody = isRoot && existsSync('/usr/bin/setpriv');
  const [command = '', ...rest] = asNobody
    ? ['/usr/bin/setpriv', '--reuid', '65534', '--clear-groups', ...argv]
    : argv;
  const hostile = stage.standIns.start(command, rest);
  await hostile.waitFor({ event: 'mode' });
  return hostile;
}

/** An agent whose first entry is the relay's, as the sidecar writes it. */
function startAgent({ stage, relay, enrollment }: Scene, enrollmentEnabled: boolean) {
  const home = stage.home({
    servers: [
      { address: relay.address, port: relay.port, maxRetries: 1, retryIntervalS: 1 },
      { address: stage.b },
    ],
    enrollment: enrollmentEnabled ? 'yes' : 'no',
    enrollmentPort: enrollment.port,
  });
  return stage.standIns.startAgent(home.path, ['--retry-interval-unit-ms', '100']);
}

async function permission({ enrollment }: Scene, enabled: boolean): Promise<string> {
  const facts: EnrollmentFacts = {
    enabled,
    port: enrollment.port,
    serverCaVerified: false,
    holder: readHolder(enrollment, false),
    closesAtOnce: await closesAtOnce(systemClock, enrollment, 2_000),
  };
  const answer = judgeRelay(914, facts, ports);
  return answer.kind === 'refused' ? answer.why : answer.kind;
}

describe('a dead sidecar and a hostile local listener', { concurrency: 3 }, () => {
  test('without a guard an agent enrols with whoever listens there: the rule refuses the relay', async (context) => {
    const place = await scene(context);
    assert.equal(await permission(place, true), 'enrollment_open');
    const hostile = await hostileAt(context, place);
    assert.equal(await permission(place, true), 'enrollment_taken');
    const agent = startAgent(place, true);
    await hostile.waitFor({ event: 'heard', on: 'relay' });
    await hostile.waitFor({ event: 'heard', on: 'enrollment' }); // the door that the rule shuts
    await agent.waitFor({ event: 'connected', index: 1 });
  });

  test('with enrollment off nobody asks there: the rule allows the relay', async (context) => {
    const place = await scene(context);
    assert.equal(await permission(place, false), 'allowed');
    const hostile = await hostileAt(context, place);
    const agent = startAgent(place, false);
    await agent.waitFor({ event: 'connected', index: 1 });
    assert.deepEqual(
      hostile.events.filter(({ event }) => event === 'heard').map(({ on }) => on),
      ['relay'],
    );
  });

  test('a guard of root keeps the port: hostile users cannot bind it and the agent hands nothing over', async (context) => {
    const place = await scene(context);
    const { address, port } = place.enrollment;
    const guard = place.stage.standIns.start(process.execPath, [
      program('guard-program.ts'),
      address,
      String(port),
    ]);
    await guard.waitFor({ event: 'mode' });
    // Only what root holds counts as a guard: under another user this is one more stranger.
    assert.equal(await permission(place, true), isRoot ? 'allowed' : 'enrollment_taken');
    const hostile = await hostileAt(context, place);
    await hostile.waitFor({ event: 'bind_failed', on: 'enrollment' });
    const agent = startAgent(place, true);
    await hostile.waitFor({ event: 'heard', on: 'relay' });
    await agent.waitFor({ event: 'connected', index: 1 });
    const heard = hostile.events.filter(({ event }) => event === 'heard').map(({ on }) => on);
    assert.deepEqual(heard, ['relay']);
  });

  test('the sidecar itself holds the port while it runs, closes at once, and says that this ends with it', async (context) => {
    const place = await scene(context);
    const held = await holdPort(place.enrollment);
    context.after(() => held.close());
    assert.equal(await closesAtOnce(systemClock, place.enrollment, 5_000), true);
    assert.equal(readHolder(place.enrollment, true), 'this_sidecar');
    await assert.rejects(holdPort(place.enrollment), { reason: 'listen_failed' });
    await held.close();
    assert.equal(readHolder(place.enrollment, false), 'nobody');
  });

  test('a listener at every address counts as a holder of this one', async (context) => {
    const place = await scene(context);
    const wildcard = place.stage.standIns.start(process.execPath, [
      program('hostile.ts'),
      '0.0.0.0',
      String(place.relay.port),
      String(place.enrollment.port),
    ]);
    await wildcard.waitFor({ event: 'mode' });
    assert.equal(readHolder(place.enrollment, false), isRoot ? 'root' : 'another_user');
    assert.equal(await closesAtOnce(systemClock, place.enrollment, 100), false);
  });

  test('only a loopback port can be held', async () => {
    await assert.rejects(holdPort({ address: '0.0.0.0', port: 0 }), { reason: 'listen_failed' });
  });

  test('this host says from which port on everybody may bind', () => {
    const facts = readPortFacts();
    assert.ok(Number.isInteger(facts.unprivilegedFrom) && facts.unprivilegedFrom >= 0);
    assert.equal(typeof facts.mayBindPrivileged, 'boolean');
  });
});
