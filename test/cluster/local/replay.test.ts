/**
 * What recorded programs asked stock's local servers, asked again of ours: every answer that does
 * not depend on the machine is the recorded one, byte by byte.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { encodeFrame, FrameDecoder } from '../../../src/cluster/wire/frame.ts';
import type { JsonObject } from '../../../src/guards.ts';
import { localSocketPath } from '../../../src/host/cluster-local-socket.ts';
import { type RecordedFrame, recordedFrames } from '../recording.ts';
import { echo, startDaemon } from '../system/daemon.ts';
import { AgentDatabase } from '../system/database.ts';
import { Home, startMaster, startWorker, until } from '../system/nodes.ts';

const ends: (() => unknown)[] = [];
const t = { after: (end: () => unknown) => void ends.push(end) };
/** The files that the recorded homes held, as far as `get_hash` tells of them. */
const homes = { m: new Home(t), w: new Home(t) };
const database = new AgentDatabase([1, 2, 3].map((id) => ({ id })));

before(async () => {
  const agents = database;
  const config = { port: 0 };
  const master = await startMaster(t, homes.m, { config, more: { agents } });
  const worker = startWorker(t, homes.w, { name: 'w', port: master.port, more: { agents } });
  for (const [daemon, socket] of [
    ['authd', 'queue/sockets/auth'],
    ['task-manager', 'queue/tasks/task'],
    ['remoted', 'queue/sockets/remote'],
  ] as const) {
    await startDaemon(t, homes.m.path, socket, echo(daemon));
  }
  await until('it is connected', () => worker.role.status().isConnected);
});

after(async () => {
  for (const end of ends.reverse()) await end();
});

interface Seen {
  readonly word: string;
  readonly isAnswer: boolean;
  readonly text: string;
}

/** Play one recorded program; what our node said to it, up to as many frames as were recorded. */
async function play(home: Home, script: readonly RecordedFrame[]): Promise<readonly Seen[]> {
  const wanted = script.filter(({ dir }) => dir === 's>c').length;
  const socket = connect(localSocketPath(home.path));
  socket.on('error', () => undefined);
  const [first] = script;
  const counter = first?.counter ?? 0;
  socket.write(frameOf(counter, first?.command ?? '', first?.payload));
  const decoder = new FrameDecoder();
  const seen: Seen[] = [];
  for await (const chunk of socket) {
    decoder.push(chunk as Buffer);
    for (let frame = decoder.next(1e6); frame !== undefined; frame = decoder.next(1e6)) {
      const isAnswer = frame.counter === counter;
      seen.push({ word: frame.word, isAnswer, text: frame.payload.toString() });
      const reply = frame.word === 'new_str' ? '4711' : 'ok';
      if (!isAnswer) socket.write(frameOf(frame.counter, 'ok', Buffer.from(reply)));
    }
    if (seen.length >= wanted) break;
  }
  socket.destroy();
  return seen;
}

function frameOf(counter: number, word: string, payload: Buffer | undefined): Buffer {
  return encodeFrame({ counter, word, role: 'whole' }, payload ?? Buffer.alloc(0));
}

/** Recorded programs by their first request. */
function scripts(recording: string): ReadonlyMap<string, readonly RecordedFrame[]> {
  const frames = recordedFrames(recording);
  const found = new Map<string, readonly RecordedFrame[]>();
  for (const conn of new Set(frames.map((frame) => frame.conn))) {
    const script = frames.filter((frame) => frame.conn === conn);
    const [first] = script;
    found.set(`${first?.command} ${first?.payload?.toString('utf8')}`, script);
  }
  return found;
}

/** What changes from run to run, taken out of both sides. */
function settled(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z|n\/a/g, 'DATE')
    .replace(/"n_synced_chunks": \d+|"(?:missing|extra|shared)": \d+/g, 'COUNT')
    .replace(/"port": \d+/, 'PORT')
    .replace(/\b47\d\d \{|^\d{5,10} \{/, 'ID {')
    .replace(/"(?:etc[^"]*)": "[0-9a-f]{128}"(?:, )?/g, '')
    .replace(/"sync_integrity_free": (?:true|false)/g, 'FREE');
}

const recordings = [
  ['09-cluster-control-master.local-m', 'm'],
  ['08-cluster-control-worker.local-w', 'w'],
  ['09-cluster-control-master.local-w', 'w'],
  ['10-sendsync.local-w', 'w'],
] as const;
/** Stock never answers these: the program waits until its patience ends. Ours says why. */
const unanswered = /not json|nosuch"\], "offset/;

for (const [recording, node] of recordings) {
  for (const [asked, script] of scripts(recording)) {
    if (unanswered.test(asked) && node === 'w') continue;
    if (asked.startsWith('dapi {')) continue; // the order of members is Python's; its own test below
    test(`${recording}: ${asked.slice(0, 90)}`, async () => {
      const seen = await play(homes[node], script);

      const recorded = script
        .filter(({ dir }) => dir === 's>c')
        .map((frame) => ({
          word: frame.command,
          isAnswer: !frame.isRequest,
          text: settled(frame.payload?.toString() ?? ''),
        }));
      assert.deepEqual(
        seen.map((one) => ({ ...one, text: settled(one.text) })),
        recorded,
      );
    });
  }
}

for (const [recording, node] of [recordings[0], recordings[1]]) {
  test(`${recording}: the agents that cluster_control -a asks for`, async () => {
    const all = [...scripts(recording)].filter(([asked]) => asked.startsWith('dapi {'));
    assert.ok(all.length > 0);
    for (const [, script] of all) {
      const seen = await play(homes[node], script);
      const recorded = script.filter(({ dir }) => dir === 's>c');
      const words = recorded.map(({ command }) => command);
      assert.deepEqual(
        seen.map(({ word }) => word),
        words,
      );
      const resultOf = (text: string): JsonObject => JSON.parse(text.slice(text.indexOf('{')));
      assert.deepEqual(
        resultOf(seen[2]?.text ?? ''),
        resultOf(recorded[2]?.payload?.toString() ?? ''),
      );
    }
  });
}

test('what stock leaves unanswered is answered with its reason', async () => {
  const all = [...scripts('08-cluster-control-worker.local-w')];
  const [, script = []] = all.find(([asked]) => asked.includes('["nosuch"]')) ?? [];

  const [direct, later] = await play(homes.w, script.slice(0, 2).concat(script.slice(1, 2)));

  assert.equal(direct?.text, 'Sent request to master node');
  assert.equal(later?.word, 'control_res');
  assert.equal(JSON.parse(later?.text ?? '').__wazuh_exception__.__object__.code, 1730);
});

/** The result that a program got in the end. */
function resultOf(seen: readonly { readonly text: string }[]): JsonObject {
  const [text = ''] = seen.map((one) => one.text).filter((one) => one.includes('{"__wazuh'));
  return JSON.parse(text.slice(text.indexOf('{')));
}

/** Shape and messages; values of this machine and stock's own hints are not compared. */
function shapeOf(result: JsonObject): unknown {
  return JSON.parse(JSON.stringify(result), (key, value) => {
    if (key === 'extra_remediation') return null;
    if (key === 'affected_items')
      return (value as JsonObject[]).map((one) => Object.keys(one).length > 0);
    return value;
  });
}

for (const [recording, node] of [
  ['24-dapi-distributed.local-w', 'w'],
  ['24-dapi-distributed.local-m', 'm'],
] as const) {
  for (const [asked, script] of scripts(recording)) {
    const isCall = /^dapi(?:_fwd)? /.test(asked);
    if (!isCall || asked.includes('"node_list": "*"') || asked.includes('"os"')) continue;
    test(`${recording}: ${asked.slice(0, 130)}`, async () => {
      const recorded = script.filter(({ dir }) => dir === 's>c');

      const seen = await play(homes[node], script);

      assert.deepEqual(
        seen.map(({ word }) => word),
        recorded.map(({ command }) => command),
      );
      const was = resultOf(recorded.map((frame) => ({ text: frame.payload?.toString() ?? '' })));
      assert.deepEqual(shapeOf(resultOf(seen)), shapeOf(was));
    });
  }
}

test('a function of another package is refused with stock’s text, in a form that programs read', async () => {
  const all = [...scripts('24-dapi-distributed.local-w')];
  const [, script = []] = all.find(([asked]) => asked.includes('"os"')) ?? [];
  const [failed] = script.filter(({ command }) => command === 'dapi_err');

  const seen = await play(homes.w, script.concat(script.slice(-1), script.slice(-2, -1)));

  const told = resultOf(seen) as { __wazuh_exception__: { __object__: JsonObject } };
  const { code, extra_message: text } = told.__wazuh_exception__.__object__;
  assert.equal(code, 1000);
  assert.equal(failed?.payload?.toString(), `Error 1000 - ${text}`);
});
