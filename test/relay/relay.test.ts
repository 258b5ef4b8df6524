/** Who the agent gets, and what it sees when that changes. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../../src/host/system-clock.ts';
import { defaultRelaySettings } from '../../src/relay/settings.ts';
import { eventually } from '../fakes/processes.ts';
import { RelayWorld } from './world.ts';

let world: RelayWorld;
beforeEach(() => {
  world = new RelayWorld();
});
afterEach(() => world.close());

test('bytes pass both ways and are counted', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open();
  const agent = world.agent(port, 'hello');
  await agent.hears('a\nhello');
  const [sample] = relay.sessions;
  assert.equal(sample?.managerId, 'a');
  assert.equal(sample?.bytesUp, 5);
  assert.equal(sample?.bytesDown, 7);
  assert.equal(sample?.unansweredSinceAtMs, undefined);
});

test('a refused manager is passed over on the same accepted connection', async () => {
  world.managers = [await world.nobody('dead'), await world.echo('b')];
  const { port } = await world.open();
  const agent = world.agent(port);
  await agent.hears('b\n');
  assert.deepEqual(world.of('connected')[0]?.skipped, ['dead']);
  assert.deepEqual(world.of('suspect'), [
    { kind: 'suspect', managerId: 'dead', why: 'dial_refused' },
  ]);
});

test('a hung manager, whose kernel accepts, is passed over within the dial deadline', async () => {
  const hung = await world.serve('hung', (socket) => void socket.pause());
  world.managers = [hung, await world.echo('b')];
  const { port } = await world.open({ dialMs: 1_000 });
  const agent = world.agent(port, 'startup');
  await agent.hears('b\nstartup');
  assert.deepEqual(world.of('suspect'), [
    { kind: 'suspect', managerId: 'hung', why: 'dial_silent' },
  ]);
});

test('something that answers otherwise than a manager never gets the agent', async () => {
  const other = await world.serve('other', (socket) => void socket.write('HTTP/1.1 400\r\n\r\n'));
  const chatty = await world.serve('chatty', (socket) => {
    socket.write(Buffer.from('0500000023706f6e6700', 'hex'));
  });
  world.managers = [other, chatty, await world.echo('b')];
  const { port } = await world.open();
  await world.agent(port).hears('b\n');
  assert.deepEqual(world.of('connected')[0]?.skipped, ['other', 'chatty']);
});

test('a pong that comes byte by byte is a pong', async () => {
  const slow = await world.serve('slow', (socket) => {
    socket.once('data', async () => {
      for (const byte of Buffer.from('0500000023706f6e67', 'hex')) {
        await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
      }
      socket.pipe(socket);
    });
  });
  world.managers = [slow];
  const { port } = await world.open();
  await world.agent(port, 'x').hears('x');
});

test('with no manager up the agent is reset at once, never accepted into silence', async () => {
  const { port } = await world.open();
  await world.agent(port).is('reset');
  assert.deepEqual(world.of('refused'), [{ kind: 'refused', why: 'no_manager', tried: [] }]);
});

test('when none of the chosen managers answers the agent is reset within the whole deadline', async () => {
  const dialled: string[] = [];
  const hung = (id: string) => world.serve(id, () => void dialled.push(id));
  world.managers = [await hung('a'), await hung('b'), await hung('c'), await hung('d')];
  const { port } = await world.open({ dialMs: 100, dialAllMs: 250 });
  await world.agent(port).is('reset');
  assert.equal(world.of('refused')[0]?.why, 'none_answered');
  assert.ok(!dialled.includes('d'), 'its turn would come when the whole deadline is over');
});

test('switching away from a failed manager resets the agent, whose reconnect lands on the next', async () => {
  world.managers = [await world.echo('a'), await world.echo('b')];
  const { relay, port } = await world.open();
  const before = world.agent(port);
  await before.hears('a\n');
  relay.switchAway('a', 'failed');
  await before.is('reset');
  await world.agent(port).hears('b\n'); // although the chooser still puts `a` first
  assert.deepEqual(world.of('switched'), [{ kind: 'switched', managerId: 'a', sessions: 1 }]);
});

test('an agent blocked in sending to a hung manager is freed by the switch', async () => {
  const hung = await world.manager('hung', (socket) => void socket.pause());
  world.managers = [hung, await world.echo('b')];
  const { relay, port } = await world.open();
  const agent = world.agent(port);
  const event = Buffer.alloc(64 * 1024, 0x78);
  const pump = setInterval(() => agent.socket.writableLength < 1e6 && agent.socket.write(event), 1);
  await eventually('the relay waits for the manager', () => relay.sessions[0]?.waitingSinceAtMs);
  await eventually('the agent waits for the relay', () => agent.socket.writableLength >= 1e6);
  clearInterval(pump);
  relay.switchAway('hung', 'failed');
  await agent.is('reset');
  await world.agent(port).hears('b\n');
});

test('only the sessions of the named manager are cut', async () => {
  const [a, b] = [await world.echo('a'), await world.echo('b')];
  const { relay, port } = await world.open();
  world.managers = [a];
  const first = world.agent(port);
  await first.hears('a\n');
  world.managers = [b];
  const second = world.agent(port);
  await second.hears('b\n');
  relay.switchAway('a', 'failed');
  await first.is('reset');
  second.socket.write('still here');
  await second.hears('still here');
});

test('one session is ended and its manager dialled again, where it is now', async () => {
  const [old, moved] = [await world.echo('old'), await world.echo('moved')];
  world.managers = [{ ...old, id: 'a' }];
  const { relay, port } = await world.open();
  const agent = world.agent(port);
  await agent.hears('old\n');
  world.managers = [{ ...moved, id: 'a' }];
  relay.endSession(relay.sessions[0]?.session ?? 0, 'failed');
  await agent.is('reset');
  await world.agent(port).hears('moved\n');
});

test('a session that is stuck where its manager is no more is reset, one that is fine goes on', async () => {
  const stuck = await world.manager('a', (socket) => void socket.pause());
  const fine = await world.echo('b');
  const { port } = await world.open({
    stall: { ...defaultRelaySettings.stall, noFirstAnswerMs: 50 },
    watchMs: 20,
  });
  world.managers = [fine];
  const other = world.agent(port);
  await other.hears('b\n');
  world.managers = [stuck];
  const agent = world.agent(port);
  agent.socket.write('anybody there?');
  const isStuck = ({ managerId }: { readonly managerId: string }) => managerId === 'a';
  await eventually('the stall is told', () => world.of('suspect').find(isStuck));
  world.managers = [await world.echo('a')];
  await agent.is('reset');
  other.socket.write('still here');
  await other.hears('still here');
});

test('a planned switch loses nothing the agent sent before it saw the end', async () => {
  const got: Buffer[] = [];
  let ended = false;
  const sink = await world.manager('a', (socket) => {
    socket.on('data', (bytes: Buffer) => void got.push(bytes));
    socket.on('end', () => {
      ended = true;
      socket.end();
    });
  });
  world.managers = [sink];
  const { relay, port } = await world.open({ gentleMs: 10_000 });
  const agent = world.agent(port, '');
  agent.socket.on('end', () => agent.socket.end('last words'));
  const sent = Buffer.alloc(3_000_000, 0x2e);
  agent.socket.write(sent);
  await eventually('a first part arrived', () => got.length > 0);
  relay.drainAt('a', systemClock.nowMs() + 30);
  await agent.is('ended');
  await eventually('the manager saw the end', () => ended);
  assert.equal(Buffer.concat(got).length, sent.length + 'last words'.length);
  await eventually('the session is gone', () => relay.sessions.length === 0);
  assert.deepEqual(world.of('suspect'), []);
});

test('a manager that speaks while its agent is sent away loses nothing of what the agent says', async () => {
  let manager: Socket | undefined;
  let heard = '';
  const a = await world.manager('a', (socket) => {
    manager = socket;
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString('latin1');
      if (heard === 'hi') socket.write('welcome');
    });
    socket.on('end', () => socket.end());
  });
  world.managers = [a];
  const { relay, port } = await world.open({ gentleMs: 30_000 });
  const agent = world.agent(port, 'hi');
  await agent.hears('welcome');
  const downBefore = relay.sessions[0]?.bytesDown ?? 0;
  relay.switchAway('a', 'planned');
  manager?.write('acknowledged');
  await eventually(
    'the relay has it',
    () => (relay.sessions[0]?.bytesDown ?? 0) > downBefore || relay.sessions.length === 0,
  );
  agent.socket.end(' last words');
  await eventually('the session is gone', () => relay.sessions.length === 0);
  await agent.is('ended');
  assert.equal(heard, 'hi last words');
});

test('a planned switch that the agent does not follow is enforced', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open({ gentleMs: 100 });
  const agent = world.agent(port);
  await agent.hears('a\n');
  relay.switchAway('a', 'planned'); // this agent sees the end and keeps its own side open
  await agent.is('ended');
  agent.socket.on('close', () => undefined);
  await eventually('the session is gone', () => relay.sessions.length === 0);
});

test('a drain that is called off moves nobody', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open();
  const agent = world.agent(port);
  await agent.hears('a\n');
  relay.drainAt('a', systemClock.nowMs() + 60_000)();
  agent.socket.write('here');
  await agent.hears('here');
});

test('a drain whose relay closes first moves nobody and holds nothing up', async () => {
  const { relay } = await world.open();
  relay.drainAt('a', systemClock.nowMs() + 30);
  await relay.close();
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual(world.of('switched'), []);
});

test('a manager that closes makes itself suspect at once, and the agent hears of it', async () => {
  let upstream: Socket | undefined;
  const a = await world.manager('a', (socket) => {
    upstream = socket;
  });
  world.managers = [a, await world.echo('b')];
  const { port } = await world.open();
  const agent = world.agent(port);
  await eventually('the session is there', () => upstream);
  upstream?.end();
  await agent.is('ended');
  assert.deepEqual(world.of('suspect'), [{ kind: 'suspect', managerId: 'a', why: 'closed' }]);
  agent.socket.end();
  await world.agent(port).hears('b\n');
});

test('a manager that resets makes itself suspect at once, and the agent is reset', async () => {
  let upstream: Socket | undefined;
  const a = await world.manager('a', (socket) => {
    upstream = socket;
  });
  world.managers = [a, await world.echo('b')];
  const { port } = await world.open();
  const agent = world.agent(port);
  await eventually('the session is there', () => upstream);
  upstream?.resetAndDestroy();
  await agent.is('reset');
  assert.deepEqual(world.of('suspect'), [{ kind: 'suspect', managerId: 'a', why: 'reset' }]);
  await world.agent(port).hears('b\n');
});

test('an agent that leaves makes nobody suspect', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open();
  const [polite, rude] = [world.agent(port), world.agent(port)];
  await Promise.all([polite.hears('a\n'), rude.hears('a\n')]);
  polite.socket.end();
  rude.socket.resetAndDestroy();
  await eventually('both sessions are gone', () => relay.sessions.length === 0);
  assert.deepEqual(world.of('suspect'), []);
  assert.equal(world.of('closed').length, 2);
});

test('half-closes pass in both directions and the other direction goes on', async () => {
  const answerer = await world.manager('a', (socket) => {
    let heard = '';
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString();
    });
    socket.on('end', () => socket.end(`heard ${heard}`));
  });
  world.managers = [answerer];
  const { relay, port } = await world.open();
  const agent = world.agent(port, '');
  agent.socket.end('question');
  await agent.is('ended');
  assert.equal(agent.text, 'heard question');
  await eventually('the session is gone', () => relay.sessions.length === 0);
});
