/** What a peer with the cluster key, or a stranger without it, could try on wire and session. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Output } from '../../../src/cluster/session/output.ts';
import type { Session } from '../../../src/cluster/session/session.ts';
import { commands, findCommand, type Role } from '../../../src/cluster/wire/command.ts';
import { defaultLimits } from '../../../src/cluster/wire/limits.ts';
import { callableMembers, parsePlainJson } from '../../../src/cluster/wire/plain-json.ts';
import { decodeCallResult } from '../../../src/cluster/wire/result-json.ts';
import { decodeFault } from '../../../src/cluster/wire/wazuh-json.ts';
import {
  CountingRandom,
  newSession,
  ofKind,
  opened,
  readyMaster,
  sentBytes,
  wireBytes,
} from '../pair.ts';

const magic = [
  '{"__callable__": {"__name__": "system", "__module__": "os", "__qualname__": "system", "__type__": "function"}}',
  '{"__wazuh_exception__": {"__class__": "__import__", "__object__": {"code": 1}}}',
  '{"__wazuh_result__": {"__class__": "constructor", "__object__": {}}}',
  '{"__wazuh_datetime__": "2024-01-01"}',
  '{"__unhandled_exc__": {"__class__": "__import__(\'os\').system", "__args__": ["id"]}}',
  '{"__proto__": {"polluted": true}}',
];

function nested(json: string, depth: number): string {
  return depth === 0
    ? json
    : nested(depth % 2 === 0 ? `[1, ${json}]` : `{"a": ${json}}`, depth - 1);
}

function polluted(): boolean {
  return 'polluted' in {};
}

test('CVE-2025-24016: no magic member is revived, at any depth, in any body', () => {
  for (const json of magic) {
    for (const depth of [0, 1, 2, 5, 40]) {
      const bytes = Buffer.from(nested(json, depth));
      assert.throws(() => parsePlainJson(bytes), /is not allowed here/);
      const outputs = readyMaster().receive(wireBytes(7, 'get_nodes', bytes), 0);
      assert.match(opened(outputs)[0]?.text ?? '', /^\{"__wazuh_exception__".*"code": 1000/);
      assert.equal(ofKind(outputs, 'asked').length, 0);
    }
  }
  assert.equal(polluted(), false);
});

test('json-flood: millions of tiny values are refused before they are parsed', () => {
  const flood = (start: string, one: string, end: string): Buffer =>
    Buffer.from(`${start}${one.repeat(4_000_001)}${end}`);
  const floods = [flood('[', '1,', '1]'), flood('{"a":0', ',"":0', '}'), flood('', '[]', '')];
  for (const bytes of floods)
    assert.throws(() => parsePlainJson(bytes), /more than 4000000 values/);
  assert.deepEqual(parsePlainJson(Buffer.from('["a,a,{[\\",",1]')), ['a,a,{[",', 1]);
});

test('CVE-2026-25769: a callable stays data, and only where a call is expected', () => {
  const [callable = ''] = magic;
  const value = parsePlainJson(Buffer.from(callable), callableMembers);
  assert.deepEqual(value, JSON.parse(callable));
  assert.throws(
    () => parsePlainJson(Buffer.from('{"__init__": 1}'), callableMembers),
    /not allowed/,
  );
  assert.throws(
    () => parsePlainJson(Buffer.from('{"__wazuh__": {}}'), callableMembers),
    /not allowed/,
  );
});

test('CVE-2026-44901: an answer is as untrusted as a request', () => {
  for (const json of magic) {
    const fault = decodeFault(Buffer.from(json));
    assert.equal(fault.code, 3000);
    assert.equal(fault.extra, json);
    assert.throws(() => decodeCallResult(Buffer.from(json)));
    const session = readyMaster();
    const { counter } = session.request('integrityUnchanged', undefined, 0);
    const [answered] = ofKind(session.receive(wireBytes(counter, 'err', json), 0), 'answered');
    assert.equal(answered?.answer.kind, 'fault');
  }
  assert.equal(polluted(), false);
});

test('CVE-2026-28220: a call keeps no claim of the peer beyond its bytes', () => {
  const body = '{"f": 1, "rbac_permissions": {"rbac_mode": "black"}, "current_user": "root"}';
  const [asked] = ofKind(readyMaster().receive(wireBytes(7, 'dapi', `9 ${body}`), 0), 'asked');
  assert.deepEqual(Object.keys(asked ?? {}).sort(), ['command', 'counter', 'kind', 'value']);
  assert.deepEqual(Object.keys(asked?.value ?? {}).sort(), ['body', 'id']);
  assert.equal(asked?.command === 'call' && Buffer.from(asked.value.body).toString(), body);
});

const hostilePaths: readonly string[] = JSON.parse(
  readFileSync(new URL('../../cases/cluster/hostile-paths.json', import.meta.url), 'utf8'),
);

function noStore(outputs: readonly Output[]): void {
  assert.deepEqual(ofKind(outputs, 'store'), []);
  assert.deepEqual(ofKind(outputs, 'close'), []);
}

test('CVE-2026-30893: no upload path of the peer reaches the store', () => {
  const session = readyMaster();
  for (const [index, path] of hostilePaths.entries()) {
    const outputs = session.receive(wireBytes(100 + index, 'new_file', path), 0);
    noStore(outputs);
    assert.equal(opened(outputs)[0]?.text, 'Write path not allowed', JSON.stringify(path));
  }
  const good = session.receive(wireBytes(50, 'new_file', '/queue/cluster/w/w-1.2-ab.zip'), 0);
  const [store] = ofKind(good, 'store');
  assert.deepEqual(store?.step, { action: 'open', transfer: 1 }, 'a number, never a path');
});

test('CVE-2026-74040: spellings that collapse to nothing or climb are refused', () => {
  const session = readyMaster();
  const tails = [
    '',
    '/',
    '//',
    '/.',
    '/..',
    '/../',
    '/x/..',
    '/x/../..',
    '/x//',
    '/x/./y',
    '/\u0000',
    '/ ',
  ];
  for (const [index, tail] of tails.entries()) {
    noStore(session.receive(wireBytes(100 + index, 'new_file', `/queue/cluster${tail}`), 0));
  }
});

test('CVE-2026-74034: every command from every other origin does not exist', () => {
  const roles: readonly Role[] = ['master', 'worker', 'localServer', 'localClient'];
  for (const [name, { wire, from }] of Object.entries(commands)) {
    for (const role of roles) {
      const found = findCommand(role, wire);
      const isAllowed = (from as readonly Role[]).includes(role);
      if (isAllowed) assert.equal(found, name);
      else assert.notEqual(found, name);
    }
  }
  for (const word of ['constructor', '__proto__', 'toString', 'hasOwn', '']) {
    assert.equal(findCommand('worker', word), undefined);
  }
});

test('PR-36060: unknown ids cause no store step', () => {
  const session = readyMaster();
  const path = '/queue/cluster/w/unknown.zip';
  const bodies = [
    ['file_upd', `${path} data`],
    ['file_end', `${path} ${'x'.repeat(32)}`],
    ['str_upd', '123 data'],
    ['err_str', '10'],
    ['cancel_task', 'nosuch {"a":1}'],
    ['syn_i_w_m_e', 'nosuch queue/cluster/w/x.zip'],
    ['syn_i_w_m_r', 'None {"a":1}'],
  ] as const;
  for (const [index, [word, body]] of bodies.entries()) {
    noStore(session.receive(wireBytes(100 + index, word, body), 0));
  }
  assert.equal(session.takeFile(path), undefined);
  assert.equal(session.takeString('123'), undefined);
});

test('PR-37280: a huge announced length costs nothing and ends the session', () => {
  const header = Buffer.alloc(20, ' ');
  for (const length of [65 * 2 ** 20, 2 ** 28, 2 ** 31, 2 ** 32 - 1]) {
    header.writeUInt32BE(length, 4);
    const before = process.memoryUsage().arrayBuffers;
    const outputs = readyMaster().receive(header, 0);
    assert.equal(ofKind(outputs, 'close')[0]?.error.reason, 'wire_limit');
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  }
});

test('CVE-2026-28221: what we say about hostile bytes is short and printable', () => {
  const session = readyMaster();
  const noise = Buffer.from(Array.from({ length: 5000 }, (_, index) => index % 256));
  for (const [index, word] of ['new_str', 'str_upd', 'err_str', '\x1b[2J', 'a\r\nb'].entries()) {
    for (const { text } of opened(session.receive(wireBytes(100 + index, word, noise), 0))) {
      assert.match(text, /^[ -~]{1,2000}$/);
    }
  }
  const close = newSession('master').receive(Buffer.from('GET / HTTP/1.0\r\nHost: x\r\n\r\n'), 0);
  assert.ok((ofKind(close, 'close')[0]?.error.message.length ?? 999) < 200);
});

test('PR-35193: every length from 0 to 128 of every command is survived', () => {
  const session = readyMaster({ limits: { ...defaultLimits, openAsks: 1e6 } });
  let counter = 1000;
  for (const { wire, from } of Object.values(commands)) {
    if (!(from as readonly Role[]).includes('worker')) continue;
    for (let length = 0; length <= 128; length++) {
      const fill = length % 3 === 0 ? '1' : 'x y';
      const body = Buffer.alloc(length, fill);
      const outputs = session.receive(wireBytes(counter++, wire, body), 0);
      assert.deepEqual(ofKind(outputs, 'close'), [], `${wire} ${length}`);
    }
  }
});

interface OwnPair {
  readonly worker: Session;
  readonly master: Session;
}

function ownPair(): OwnPair {
  const offer = { node: 'w1', features: [], mustBeOurs: true };
  const worker = newSession('worker', { offer });
  const random = new CountingRandom(77);
  const master = newSession('master', { offer: { ...offer, node: 'm' }, random });
  const hello = { node: 'w1', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  const [asked] = ofKind(
    master.receive(sentBytes(worker.request('hello', hello, 0).outputs), 0),
    'asked',
  );
  const admitted = master.admit(asked?.counter ?? 0, { mustBeOurs: true }, 0);
  const offered = worker.receive(sentBytes(admitted), 0);
  worker.receive(sentBytes(master.receive(sentBytes(offered), 0)), 0);
  return { worker, master };
}

test('wire-replay: between our own nodes a repeated message is refused', () => {
  const { worker, master } = ownPair();
  const bytes = sentBytes(worker.request('mayCheckIntegrity', undefined, 0).outputs);
  assert.equal(ofKind(master.receive(bytes, 0), 'asked').length, 1);
  assert.equal(ofKind(master.receive(bytes, 0), 'close')[0]?.error.reason, 'wire_unsealed');
});

test('wire-relabel: between our own nodes a relabelled token is refused', () => {
  const changes: readonly ((bytes: Buffer) => void)[] = [
    (bytes) => void bytes.write('syn_a_w_m_p', 8, 'latin1'),
    (bytes) => void bytes.writeUInt32BE(bytes.readUInt32BE(0) ^ 1, 0),
    (bytes) => void bytes.write('A', bytes.length - 2, 'latin1'),
    (bytes) => void bytes.write('A', 60, 'latin1'),
  ];
  for (const change of changes) {
    const { worker, master } = ownPair();
    const bytes = sentBytes(worker.request('mayCheckIntegrity', undefined, 0).outputs);
    change(bytes);
    assert.equal(ofKind(master.receive(bytes, 0), 'close')[0]?.error.reason, 'wire_unsealed');
  }
  const { worker, master } = ownPair();
  const bytes = sentBytes(worker.request('mayCheckIntegrity', undefined, 0).outputs);
  assert.equal(
    ofKind(worker.receive(bytes, 0), 'close')[0]?.error.reason,
    'wire_unsealed',
    'reflected',
  );
  const plain = wireBytes(5, 'syn_i_w_m_p', '');
  assert.equal(ofKind(master.receive(plain, 0), 'close')[0]?.error.reason, 'wire_unsealed', 'bare');
});

test('second-hello: a second hello on one connection is refused', () => {
  const session = readyMaster();
  for (const [index, name] of ['worker1', 'worker2'].entries()) {
    const outputs = session.receive(
      wireBytes(50 + index, 'hello', `${name} wazuh worker 4.14.8`),
      0,
    );
    assert.deepEqual(ofKind(outputs, 'asked'), []);
    assert.match(opened(outputs)[0]?.text ?? '', /"code": 3028, "extra_message": "worker1"/);
  }
});

test('lone-header: a header that arrives alone is not misread', () => {
  const session = readyMaster();
  const bytes = wireBytes(7, 'echo', 'A'.repeat(64));
  assert.deepEqual(session.receive(bytes.subarray(0, 20), 0), []);
  assert.equal(opened(session.receive(bytes.subarray(20), 0))[0]?.text, 'A'.repeat(64));
});

test('undecodable-error: an error answer of any shape leaves the session usable', () => {
  const session = readyMaster();
  const shapes = [
    '',
    'text',
    '{',
    '[]',
    'null',
    '{"a": 1}',
    '\xff\xfe',
    '['.repeat(100_000),
    ...magic,
  ];
  for (const shape of shapes) {
    const { counter } = session.request('integrityUnchanged', undefined, 0);
    const outputs = session.receive(wireBytes(counter, 'err', Buffer.from(shape, 'latin1')), 0);
    assert.equal(ofKind(outputs, 'answered')[0]?.answer.kind, 'fault');
    assert.equal(outputs.length, 1);
  }
  assert.equal(
    opened(session.receive(wireBytes(7, 'echo', 'still here'), 0))[0]?.text,
    'still here',
  );
});

test('no-separator: a body without its separator is an error answer, not an end', () => {
  const session = readyMaster();
  const words = [
    'dapi',
    'sendsync',
    'dapi_res',
    'dapi_err',
    'str_upd',
    'file_upd',
    'file_end',
    'cancel_task',
    'syn_i_w_m_e',
    'syn_i_w_m_r',
    'syn_e_w_m_e',
  ];
  for (const [index, word] of words.entries()) {
    const outputs = session.receive(wireBytes(100 + index, word, 'nospace'), 0);
    assert.match(
      opened(outputs)[0]?.text ?? '',
      /not enough values to unpack \(expected 2, got 1\)/,
      word,
    );
    assert.deepEqual(ofKind(outputs, 'close'), []);
  }
});
