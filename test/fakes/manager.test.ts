/** The stand-in manager shows a sidecar what remoted shows (real-agent-lab.md 5). */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { encodeFrame } from './frames.ts';
import { freePort, ownAddress, StandIns } from './processes.ts';

const host = ownAddress(0);
const standIns = new StandIns();
after(() => standIns.stopAll());

const framedPing = Buffer.from('050000002370696e67', 'hex');
const framedPong = Buffer.from('0500000023706f6e67', 'hex');

async function open(port: number): Promise<Socket> {
  const socket = connect(port, host);
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** The next bytes, or `silent` after `withinMs`, or `closed`. */
function answer(socket: Socket, withinMs = 5000): Promise<Buffer | 'silent' | 'closed'> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve('silent'), withinMs);
    const settle = (value: Buffer | 'closed') => (): void => {
      clearTimeout(timer);
      resolve(value);
    };
    socket.once('data', (bytes: Buffer) => settle(bytes)());
    socket.once('close', settle('closed'));
  });
}

describe('the stand-in manager', { concurrency: 4 }, () => {
  test('a framed #ping gets a framed #pong, again and again on one connection', async () => {
    const port = await freePort(host);
    await standIns.startManager(`${host}:${port}`);
    const socket = await open(port);

    socket.write(framedPing);
    assert.deepEqual(await answer(socket), framedPong);
    socket.write(framedPing.subarray(0, 3));
    socket.write(framedPing.subarray(3));
    assert.deepEqual(await answer(socket), framedPong);
    socket.write(encodeFrame('#ping and more'));
    assert.deepEqual(await answer(socket), framedPong);
    socket.destroy();
  });

  test('unframed text on TCP closes the connection', async () => {
    const port = await freePort(host);
    await standIns.startManager(`${host}:${port}`);
    const socket = await open(port);

    socket.write('#ping');

    assert.equal(await answer(socket), 'closed');
  });

  test('a bare #ping on UDP gets a bare #pong', async () => {
    const port = await freePort(host);
    await standIns.startManager(`${host}:${port}`);
    const socket = createSocket('udp4');

    socket.send('#ping', port, host);
    const [message] = (await once(socket, 'message')) as [Buffer];

    assert.equal(message.toString(), '#pong');
    socket.close();
  });

  test('a stopped manager takes connections and says nothing, a killed one refuses', async () => {
    const port = await freePort(host);
    const manager = await standIns.startManager(`${host}:${port}`);

    manager.stop();
    const hung = await open(port);
    hung.write(framedPing);
    assert.equal(await answer(hung, 300), 'silent');
    manager.cont();
    assert.deepEqual(await answer(hung), framedPong);
    await manager.kill();

    const refused = connect(port, host);
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  });

  test('modes switch at run time: hung-app and no-pong are silent, closed refuses, normal recovers', async () => {
    const port = await freePort(host);
    const manager = await standIns.startManager(`${host}:${port}`);
    const switchTo = async (mode: string): Promise<void> => {
      const after = manager.mark;
      manager.send(`mode ${mode}`);
      await manager.waitFor({ event: 'mode', mode }, { after });
    };

    for (const mode of ['hung-app', 'no-pong']) {
      await switchTo(mode);
      const socket = await open(port);
      socket.write(framedPing);
      assert.equal(await answer(socket, 200), 'silent', mode);
      socket.destroy();
    }
    await switchTo('closed');
    const refused = connect(port, host);
    await once(refused, 'error');
    await switchTo('normal');
    const socket = await open(port);
    socket.write(framedPing);
    assert.deepEqual(await answer(socket), framedPong);
    socket.destroy();
  });

  test('an event is told as it is taken in, before a kill can hide it', async () => {
    const port = await freePort(host);
    const manager = await standIns.startManager(`${host}:${port}`, ['--report-interval-ms', '0']);
    const socket = await open(port);
    const event = (seq: number) => encodeFrame(`{"standin":"event","seq":${seq}}\0`);
    socket.write(encodeFrame('{"standin":"startup","agent":"007"}'));
    await answer(socket);
    socket.write(Buffer.concat([event(1), event(2)]));
    await manager.waitFor({ event: 'events', total: 1, lastSeq: 1 });
    await manager.waitFor({ event: 'events', total: 2, lastSeq: 2 });
    socket.destroy();
  });

  test('a session is acknowledged, counted, and reported when it is lost', async () => {
    const port = await freePort(host);
    const args = ['--name', 'm1', '--report-interval-ms', '20'];
    const manager = await standIns.startManager(`${host}:${port}`, args);
    const socket = await open(port);

    socket.write(encodeFrame('{"standin":"startup","agent":"007"}'));
    assert.deepEqual(await answer(socket), encodeFrame('{"standin":"ack"}'));
    await manager.waitFor({ event: 'agent_connected', agent: '007', name: 'm1' });
    socket.write(encodeFrame('{"standin":"event","seq":1}\0xxxx'));
    await manager.waitFor({ event: 'events', agent: '007', total: 1, lastSeq: 1 });
    socket.resetAndDestroy();

    await manager.waitFor({ event: 'agent_lost', agent: '007', reason: 'reset' });
  });

  test('a draining manager keeps its agent and turns a new one away', async () => {
    const port = await freePort(host);
    const manager = await standIns.startManager(`${host}:${port}`);
    const old = await open(port);
    old.write(encodeFrame('{"standin":"startup","agent":"001"}'));
    await answer(old);

    manager.send('mode drain');
    await manager.waitFor({ event: 'mode', mode: 'drain' });
    const young = await open(port);
    young.write(encodeFrame('{"standin":"startup","agent":"002"}'));

    await manager.waitFor({ event: 'agent_refused', agent: '002' });
    old.write(encodeFrame('{"standin":"keepalive"}'));
    assert.deepEqual(await answer(old), encodeFrame('{"standin":"ack"}'));
    old.destroy();
  });

  test('an agent id that was just heard of on another connection is refused', async () => {
    const port = await freePort(host);
    const manager = await standIns.startManager(`${host}:${port}`, ['--overtake-ms', '3000']);
    const first = await open(port);
    first.write(encodeFrame('{"standin":"startup","agent":"053"}'));
    await manager.waitFor({ event: 'agent_connected' });

    const second = await open(port);
    second.write(encodeFrame('{"standin":"startup","agent":"053"}'));
    const refused = await manager.waitFor({ event: 'agent_refused' });

    assert.equal(refused.reason, "Agent key already in use: agent ID '053'");
    await new Promise((resolve) => setTimeout(resolve, 3_100));
    const third = await open(port);
    third.write(encodeFrame('{"standin":"startup","agent":"053"}'));
    assert.deepEqual(await answer(third), encodeFrame('{"standin":"ack"}'));
    first.destroy();
    third.destroy();
  });

  test('the control socket takes the commands of stdin and answers with the state', async (context) => {
    const port = await freePort(host);
    const directory = mkdtempSync(join(tmpdir(), 'pilotfish-standin-'));
    context.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 9 }));
    const control = join(directory, 'control.sock');
    const manager = await standIns.startManager(`${host}:${port}`, ['--control', control]);

    const socket = connect(control);
    socket.write('mode no-pong');
    const [bytes] = (await once(socket, 'data')) as [Buffer];

    assert.match(bytes.toString(), /"mode":"no-pong","agents":\[\]/);
    await manager.waitFor({ event: 'mode', mode: 'no-pong' });
  });

  test('a stand-in ends with the standard input of whoever started it', async () => {
    const port = await freePort(host);
    const manager = await standIns.startManager(`${host}:${port}`);

    manager.closeInput();

    assert.deepEqual(await manager.ended, { code: 0, signal: null });
  });
});
