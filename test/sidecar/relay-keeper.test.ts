/** What the keeper makes of permissions, of sockets that are kept for it, of lists that speak UDP. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Clock } from '../../src/clock.ts';
import { relayNetwork } from '../../src/host/relay-sockets.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import { type RelayPermission, refuse } from '../../src/relay/guard.ts';
import type { ListenPlace, RelayManager, RelayNetwork } from '../../src/relay/ports.ts';
import { defaultRelaySettings } from '../../src/relay/settings.ts';
import { Bell } from '../../src/sidecar/bell.ts';
import { buildRelayKeeper, type RelayKeeper } from '../../src/sidecar/relay-keeper.ts';
import type { AgentPeer } from '../../src/wazuh/agent-facts.ts';
import { eventually } from '../fakes/processes.ts';
import { framedPing, framedPong, RelayWorld } from '../relay/world.ts';

/** Judgements come again at once, everything else in its time. */
const clock: Clock = {
  ...systemClock,
  after: (ms, task) => systemClock.after(ms === 5_000 || ms === 60_000 ? 20 : ms, task),
};
const nobody = refuse('enrollment_open', 'because of this test');

interface Scene {
  readonly keeper: RelayKeeper;
  permission: RelayPermission;
  protocol: 'tcp' | 'udp';
  managers: readonly RelayManager[];
  patienceMs: number;
  port(): number;
}

/** The inherited socket of a service manager is stood for by an ordinary one. */
function scene(context: TestContext, place: ListenPlace): Scene {
  let port = 0;
  const network: RelayNetwork = {
    ...relayNetwork,
    async listen(_place, accept) {
      const at = { kind: 'address', address: '127.0.0.1', port: 0 } as const;
      const listening = await relayNetwork.listen(at, accept);
      port = listening.port;
      return listening;
    },
  };
  const world: Omit<Scene, 'keeper'> = {
    permission: { kind: 'allowed' },
    protocol: 'tcp',
    managers: [],
    patienceMs: 0,
    port: () => port,
  };
  const keeper = buildRelayKeeper({
    clock,
    log: silentLog,
    bell: new Bell(),
    network,
    settings: { ...defaultRelaySettings, gentleMs: 50 },
    place,
    judge: async () => made.permission,
    hold: async () => undefined,
    protocol: () => made.protocol,
    choose: () => made.managers,
    admission: () => 0,
    patienceMs: () => made.patienceMs,
    isCrowd: () => false,
    suspect: () => undefined,
  });
  const made: Scene = Object.assign(world, { keeper });
  const stop = new AbortController();
  const running = keeper.run(stop.signal).catch(() => undefined);
  context.after(async () => {
    stop.abort();
    await running;
  });
  return made;
}

test('a refused relay with a kept socket sends the agent away at once, and opens when it may', async (context) => {
  const world = new RelayWorld();
  context.after(() => world.close());
  const one = scene(context, { kind: 'inherited', fd: 3 });
  one.permission = nobody;
  one.managers = [await world.echo('a')];
  await one.keeper.opened;
  await eventually('it is refused', () => one.keeper.seen([]).kind === 'refused');
  const agent = connect(one.port(), '127.0.0.1');
  const [error] = (await once(agent, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');

  one.permission = { kind: 'allowed' };
  await eventually('it is open', () => one.keeper.seen([]).kind === 'open');
  await world.agent(one.port(), 'hello').hears('a\nhello');
  const seen = one.keeper.seen([]);
  assert.ok(seen.kind === 'open');
  assert.deepEqual([seen.address, seen.port, seen.managerId], ['127.0.0.1', one.port(), 'a']);
  assert.deepEqual([seen.session?.number, seen.session?.address], [1, '127.0.0.1']);

  one.permission = nobody; // an operator turned enrollment on meanwhile
  await eventually('its session ends', () => world.events.length >= 0 && !isLed(one.keeper));
  assert.equal(one.keeper.seen([]).kind, 'refused');
});

test('an agent that is kept is told as such, and only one that is turned away is lost', async (context) => {
  const world = new RelayWorld();
  context.after(() => world.close());
  const one = scene(context, { kind: 'inherited', fd: 3 });
  await one.keeper.opened;
  const turned = connect(one.port(), '127.0.0.1');
  await once(turned, 'error');
  const refused = one.keeper.seen([]);
  assert.ok(refused.kind === 'open' && refused.refusedAtMs !== undefined);

  one.patienceMs = 300_000;
  const agent = world.agent(one.port(), 'hello');
  const kept = () => one.keeper.seen([]);
  await eventually('it is kept', () => 'keptUntilMs' in kept());
  const seen = kept();
  assert.ok(seen.kind === 'open' && (seen.keptUntilMs ?? 0) > Date.now());
  one.managers = [await world.echo('a')];
  await agent.hears('a\nhello');
  const led = one.keeper.seen([]);
  assert.ok(led.kind === 'open');
  assert.deepEqual([led.managerId, led.keptUntilMs, led.refusedAtMs], ['a', undefined, undefined]);

  const later = scene(context, { kind: 'inherited', fd: 3 });
  later.patienceMs = 300_000;
  later.permission = nobody;
  await later.keeper.opened;
  const barred = connect(later.port(), '127.0.0.1');
  const [error] = (await once(barred, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET', 'a relay that may not be keeps nobody');
});

test('a stranger whom no manager answers is not taken for the agent', async (context) => {
  const world = new RelayWorld();
  context.after(() => world.close());
  const one = scene(context, { kind: 'inherited', fd: 3 });
  one.managers = [await world.echo('a')];
  await one.keeper.opened;
  await eventually('it is open', () => one.keeper.seen([]).kind === 'open');
  await world.agent(one.port(), 'startup').hears('a\nstartup');

  let isStrangerLed = false;
  const b = await world.manager('b', (socket) => {
    socket.on('data', () => {
      isStrangerLed = true;
    });
  });
  one.managers = [b]; // `a` is not offered for a moment
  world.agent(one.port(), 'no key');
  await eventually('the stranger is led', () => isStrangerLed);
  const seen = one.keeper.seen([]);
  assert.ok(seen.kind === 'open');
  assert.deepEqual([seen.managerId, seen.session?.number], ['a', 1]);
});

test('a stranger who was given a pong is not taken for the agent', async (context) => {
  const world = new RelayWorld();
  context.after(() => world.close());
  const one = scene(context, { kind: 'inherited', fd: 3 });
  one.managers = [await world.echo('a')];
  await one.keeper.opened;
  await eventually('it is open', () => one.keeper.seen([]).kind === 'open');
  await world.agent(one.port(), 'startup').hears('a\nstartup');
  one.managers = [
    await world.manager('b', (socket) => socket.on('data', () => socket.write(framedPong))),
  ];
  const stranger = world.agent(one.port(), '');
  for (const pongs of [1, 2]) {
    stranger.socket.write(framedPing);
    await eventually('a pong', () => stranger.received.length === pongs * framedPong.length);
  }
  const seen = one.keeper.seen([]);
  assert.ok(seen.kind === 'open');
  assert.deepEqual([seen.managerId, seen.session?.number], ['a', 1]);
});

test('the kernel tells which session is that of the agent, where several are answered', async (context) => {
  const world = new RelayWorld();
  context.after(() => world.close());
  const one = scene(context, { kind: 'address', address: '127.0.0.1', port: 0 });
  one.managers = [await world.echo('a')];
  await one.keeper.opened;
  const own = world.agent(one.port(), 'startup');
  await own.hears('a\nstartup');
  one.managers = [await world.echo('b')];
  const other = world.agent(one.port(), 'another agent, with a key of its own');
  await other.hears('b\n');
  const localPort = own.socket.localPort ?? 0;
  const here = { address: '127.0.0.1', port: one.port(), localPort };
  const managerOf = (peers: readonly AgentPeer[]) => {
    const seen = one.keeper.seen(peers);
    return seen.kind === 'open' ? seen.managerId : seen.why;
  };
  assert.equal(managerOf([here]), 'a');
  assert.equal(managerOf([{ ...here, port: one.port() - 1 }]), 'b', 'an end of something else');
  assert.equal(managerOf([{ address: here.address, port: here.port }]), 'b', 'not told');
});

test('a kept socket is TCP: while the list speaks UDP it sends the agent away at once, and leads it after', async (context) => {
  const world = new RelayWorld();
  context.after(() => world.close());
  const one = scene(context, { kind: 'inherited', fd: 3 });
  one.managers = [await world.echo('a')];
  await one.keeper.opened;
  await world.agent(one.port(), 'hello').hears('a\nhello');
  const port = one.port();

  one.protocol = 'udp';
  await eventually('it is refused', () => one.keeper.seen([]).kind === 'refused');
  const agent = connect(port, '127.0.0.1');
  const [error] = (await once(agent, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');

  one.protocol = 'tcp';
  await eventually('it is open', () => one.keeper.seen([]).kind === 'open');
  await world.agent(port, 'again').hears('a\nagain');
  assert.equal(one.port(), port, 'such a socket cannot be opened twice');
});

function isLed(keeper: RelayKeeper): boolean {
  const seen = keeper.seen([]);
  return seen.kind === 'open' && seen.managerId !== undefined;
}

test('a list that speaks UDP gets a relay for UDP, and another one when it changes', async (context) => {
  const manager = createSocket('udp4').on('message', (bytes, from) =>
    manager.send(`a:${bytes}`, from.port, from.address),
  );
  manager.bind(0, '127.0.0.1');
  await once(manager, 'listening');
  context.after(() => manager.close());
  const agent = createSocket('udp4');
  agent.bind(0, '127.0.0.1');
  await once(agent, 'listening');
  context.after(() => agent.close());

  const one = scene(context, { kind: 'address', address: '127.0.0.1', port: 0 });
  one.protocol = 'udp';
  one.managers = [{ id: 'a', address: '127.0.0.1', port: manager.address().port, protocol: 'udp' }];
  await eventually('a relay for UDP', () => {
    const seen = one.keeper.seen([]);
    return seen.kind === 'open' && seen.protocol === 'udp';
  });
  const seen = one.keeper.seen([]);
  assert.ok(seen.kind === 'open');
  const answered = once(agent, 'message');
  agent.send('hello', seen.port, seen.address);
  assert.equal(String((await answered)[0]), 'a:hello');
  assert.ok(isLed(one.keeper));

  one.protocol = 'tcp';
  await eventually('a relay for TCP', () => {
    const now = one.keeper.seen([]);
    return now.kind === 'open' && now.protocol === undefined;
  });
});
