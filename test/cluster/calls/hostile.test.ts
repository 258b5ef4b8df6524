/** Peers and programs that want more than they may: whole nodes, hostile bytes, both directions. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Link, type LinkHandler } from '../../../src/cluster/link.ts';
import { LocalClient } from '../../../src/cluster/local/local-client.ts';
import type { Master } from '../../../src/cluster/master/master.ts';
import type { Answer } from '../../../src/cluster/session/output.ts';
import { sendString } from '../../../src/cluster/upload.ts';
import { encodeFrame } from '../../../src/cluster/wire/frame.ts';
import { decodeCallResult } from '../../../src/cluster/wire/result-json.ts';
import { createSeal } from '../../../src/cluster/wire/seal.ts';
import { dialUnix, localSocketPath } from '../../../src/host/cluster-local-socket.ts';
import { systemClock, systemRandom } from '../../../src/host/system-clock.ts';
import { clock, MemoryStore, random } from '../links.ts';
import { startDaemon } from '../system/daemon.ts';
import { AgentDatabase } from '../system/database.ts';
import { Home, key, type Running, startMaster, startWorker, until } from '../system/nodes.ts';
import { requestBytes } from '../system/peers.ts';

const ends: (() => unknown)[] = [];
const t = { after: (end: () => unknown) => void ends.push(end) };
const home = new Home(t);
const database = new AgentDatabase([
  { id: 1, node: 'evil' },
  { id: 2, node: 'm' },
]);
let master: Running<Master>;

before(async () => {
  master = await startMaster(t, home, { more: { agents: database } });
});

after(async () => {
  for (const end of ends.reverse()) await end();
});

/** A worker that keeps what it is told and answers calls as `script` says. */
class Peer {
  readonly results = new Map<string, string>();
  readonly calls: { readonly id: string; readonly body: string }[] = [];
  readonly link: Link;

  constructor(link: Link) {
    this.link = link;
  }

  static async join(name: string, onCall?: (peer: Peer, id: string) => void): Promise<Peer> {
    const socket = connect(master.port, '127.0.0.1');
    await once(socket, 'connect');
    let peer: Peer | undefined;
    const handler: LinkHandler = {
      asked(asked, link) {
        link.answer(asked.counter, { kind: 'ok', payload: 'Thanks' });
        if (asked.command === 'callResult') {
          const taken = link.takeString(asked.value.stringId);
          if (taken?.kind === 'memory') peer?.results.set(asked.value.id, taken.bytes.toString());
        } else if (asked.command === 'callFailed' || asked.command === 'daemonFailed') {
          peer?.results.set(asked.value.id, `failed ${asked.value.text}`);
        } else if (asked.command === 'call' && peer !== undefined) {
          peer.calls.push({ id: asked.value.id, body: Buffer.from(asked.value.body).toString() });
          onCall?.(peer, asked.value.id);
        }
      },
    };
    const ports = { clock, random, store: new MemoryStore(), handler };
    const link = new Link(socket, { role: 'worker', seal: createSeal(key) }, ports);
    t.after(() => link.close());
    peer = new Peer(link);
    const hello = { node: name, cluster: 'wazuh', type: 'worker', version: '4.14.8' };
    const answer = await link.request('hello', hello);
    assert.equal(answer.kind, 'ok');
    return peer;
  }

  /** The result of a call, as text. */
  async call(
    body: string,
    id = `${this.results.size}-${Math.floor(performance.now() * 1000)}`,
  ): Promise<string> {
    const answer = await this.link.request('call', { id, body: Buffer.from(body) });
    if (answer.kind === 'fault') return `refused ${answer.fault.code}`;
    await until(`the answer to ${body.slice(0, 80)}`, () => this.results.has(id));
    const text = this.results.get(id) ?? '';
    if (text.startsWith('failed')) return text;
    const result = decodeCallResult(Buffer.from(text));
    return result.kind === 'fault' ? `fault ${result.fault.code} ${result.fault.extra}` : text;
  }
}

function callable(module: string, qualname: string): string {
  return JSON.stringify({
    __callable__: {
      __name__: qualname,
      __module__: module,
      __qualname__: qualname,
      __type__: 'function',
    },
  });
}

const good = callable('wazuh.agent', 'get_agents');

test('CVE-2025-24016-calls: no wrapped value in a call becomes anything', async () => {
  const peer = await Peer.join('evil');
  const magic = [
    '{"__unhandled_exc__": {"__class__": "exit", "__args__": ["7"]}}',
    '{"__wazuh_exception__": {"__class__": "WazuhError", "__object__": {"code": 1000}}}',
    '{"__wazuh_result__": {"__class__": "WazuhResult", "__object__": {"result": {}}}}',
    '{"__wazuh_datetime__": "2020-01-01"}',
    `{"deep": [{"deeper": ${good}}]}`,
    '{"__proto__": {"polluted": true}}',
    '{"__class__": "x"}',
  ];

  for (const value of magic) {
    const answer = await peer.call(`{"f": ${good}, "f_kwargs": ${value}}`);
    assert.match(answer, /^fault 1000 the member/, value);
  }
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.match(
    await peer.call(`{"f": ${good}}`),
    /affected_items/,
    'the link is as good as before',
  );
});

test('CVE-2026-25769-calls: a function is looked up in the closed table and nowhere else', async () => {
  const peer = await Peer.join('evil2');
  const wanted: readonly (readonly [string, string, RegExp])[] = [
    ['os', 'system', /fault 1000 Decoding callable from module 'os' is not allowed/],
    ['subprocess', 'check_output', /is not allowed/],
    ['wazuh.agent', '__import__', /needs the code/],
    ['wazuh.agent', 'get_agents.__globals__', /needs the code/],
    ['wazuh', 'constructor', /needs the code/],
    ['wazuh.__proto__', 'toString', /needs the code/],
    ['wazuh/../../etc', 'passwd', /is not allowed/],
    ['wazuh.agent\u0000', 'get_agents', /is not allowed/],
    ['', '', /is not allowed/],
  ];

  for (const [module, qualname, expected] of wanted) {
    assert.match(await peer.call(`{"f": ${callable(module, qualname)}}`), expected, module);
  }
  const shapes = [
    '1',
    'null',
    '"x"',
    '[]',
    '{}',
    '{"__callable__": 1}',
    '{"__callable__": {"__name__": "x", "__wazuh__": {}}}',
  ];
  for (const f of shapes) assert.match(await peer.call(`{"f": ${f}}`), /^fault 1000/, f);
});

test('CVE-2026-28220-calls: what a peer claims about itself widens nothing', async () => {
  const peer = await Peer.join('evil3');
  const claims = [
    '"rbac_permissions": {"rbac_mode": "white", "*": {"*:*:*": "allow"}}',
    '"rbac_permissions": {"rbac_mode": "root"}',
    '"rbac_permissions": "all"',
    '"rbac_permissions": {"rbac_mode": "black", "agent:read": {"agent:id:*": "ALLOW"}}',
  ];

  for (const claim of claims) {
    const answer = await peer.call(`{"f": ${good}, "f_kwargs": {"agent_list": ["002"]}, ${claim}}`);
    assert.match(answer, /^fault 4000/, claim);
  }
  const config = callable('wazuh.cluster', 'read_config_wrapper');
  const all =
    '{"rbac_mode": "white", "cluster:read": {"node:id:*": "allow"}, "cluster:update_config": {"node:id:*": "allow"}}';
  const answer = await peer.call(
    `{"f": ${config}, "rbac_permissions": ${all}, "current_user": "wazuh"}`,
  );
  assert.ok(answer.includes('*****') && !answer.includes(key));
});

test('CVE-2026-48162-calls: no argument of a call names a file that is read for the peer', async () => {
  const peer = await Peer.join('evil48162');
  const secret = 'PRIVATE KEY of the interface';
  const inHome = 'api/configuration/security/private_key.pem';
  home.write(inHome, secret);
  const paths = [`${home.path}/${inHome}`, inHome, `../${inHome}`, '/etc/shadow'];
  const answers: string[] = [];
  for (const path of paths.map((one) => JSON.stringify(one))) {
    for (const name of ['tmp_file', 'file', 'path', 'filename']) {
      answers.push(await peer.call(`{"f": ${good}, "f_kwargs": {"${name}": ${path}}}`));
      answers.push(await peer.call(`{"f": ${good}, "${name}": ${path}}`));
    }
  }
  assert.deepEqual(
    answers.filter((answer) => answer.includes(secret) || answer.includes('root:')),
    [],
  );
  // Beside the arguments it is refused, among them it is an argument that nothing reads.
  const beside = answers.filter((_, index) => index % 2 === 1);
  assert.ok(beside.every((answer) => /^(?:fault|refused|failed)/.test(answer)));
});

test('no-separator-calls: a call without its separator is an error, and the node lives on', async () => {
  const peer = await Peer.join('evil4');
  const refused: Answer[] = [];
  for (const word of ['dapi', 'dapi_res', 'dapi_err', 'sendsync']) {
    const socket = connect(master.port, '127.0.0.1');
    await once(socket, 'connect');
    const seal = createSeal(key);
    socket.write(requestBytes(seal, 1, 'hello', `raw-${word} wazuh worker 4.14.8`));
    await once(socket, 'data');
    socket.write(requestBytes(seal, 2, word, 'nospace'));
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.equal(chunk.toString('latin1', 8, 12), 'err ', word);
    socket.destroy();
  }
  for (const id of ['', 'x'.repeat(4000), 'a\u0007b']) {
    refused.push(await peer.link.request('call', { id, body: Buffer.from(`{"f": ${good}}`) }));
    refused.push(await peer.link.request('askDaemon', { id, body: Buffer.from('{}') }));
  }
  assert.ok(refused.every((answer) => answer.kind === 'fault'));
  assert.match(await peer.call(`{"f": ${good}}`), /affected_items/);
});

test('unknown-node-calls: a node that nobody knows is an error about it, not an end', async () => {
  const peer = await Peer.join('evil5');
  const status = callable('wazuh.manager', 'get_status');
  const names = ['nosuch', '', '..', 'm/../w', '*', 'x'.repeat(5000)];

  for (const name of names) {
    const kwargs = JSON.stringify({ node_list: [name] });
    const body = `{"f": ${status}, "f_kwargs": ${kwargs}, "request_type": "distributed_master"}`;
    assert.match(await peer.call(body), /"code": 1730/, name.slice(0, 20));
  }
});

test('foreign-result: a worker answers only what it was asked, and only once', async () => {
  const thief = await Peer.join('thief');
  const honest = await Peer.join('honest', () => undefined);
  const status = callable('wazuh.cluster', 'get_node_wrapper');
  const path = localSocketPath(home.path);
  const dial = (signal: AbortSignal) => dialUnix(systemClock, path, signal);
  const local = new LocalClient({ clock: systemClock, random: systemRandom, dial });
  const asking = local.callTo('honest', JSON.parse(`{"f": ${status}, "from_cluster": true}`));
  await until('the worker was asked', () => honest.calls.length > 0);
  const id = honest.calls[0]?.id ?? '';
  const forged =
    '{"__wazuh_result__": {"__class__": "WazuhResult", "__object__": {"str_priority": null, "result": {"who": "NAME"}}}}';

  const stolen = await thief.link.request('callResult', {
    id,
    stringId: await sendString(thief.link, Buffer.from(forged.replace('NAME', 'thief'))),
  });
  const given = await honest.link.request('callResult', {
    id,
    stringId: await sendString(honest.link, Buffer.from(forged.replace('NAME', 'honest'))),
  });
  const again = await honest.link.request('callResult', { id, stringId: '1' });

  assert.deepEqual(await asking, { kind: 'document', document: { who: 'honest' } });
  const codes = [stolen, given, again].map((one) => (one.kind === 'fault' ? one.fault.code : 'ok'));
  assert.deepEqual(codes, [3032, 'ok', 3032]);
});

test('CVE-2026-44901-calls: a result is as untrusted as a request', async () => {
  const bad = [
    `{"__wazuh_result__": {"__class__": "WazuhResult", "__object__": {"result": {"x": ${good}}}}}`,
    '{"__wazuh_result__": {"__class__": "Popen", "__object__": {"result": {}}}}',
    '{"__wazuh_result__": {"__class__": "AffectedItemsWazuhResult", "__object__": {"affected_items": 7}}}',
    '{"__unhandled_exc__": {"__class__": "exit", "__args__": ["7"]}}',
    'not json',
    '['.repeat(10_000),
    'null',
  ];
  let next = 0;
  const liar = await Peer.join('liar', (peer, id) => {
    const text = bad[next++] ?? 'null';
    sendString(peer.link, Buffer.from(text))
      .then((stringId) => peer.link.request('callResult', { id, stringId }))
      .catch(() => undefined); // the test ends first
  });
  const asker = await Peer.join('asker');
  const status = callable('wazuh.manager', 'get_status');

  for (const text of bad) {
    const answer = await asker.call(
      `{"f": ${status}, "f_kwargs": {"node_list": ["liar"]}, "request_type": "distributed_master"}`,
    );
    assert.match(answer, /^fault 3036/, text.slice(0, 60));
  }
  assert.equal(liar.calls.length, bad.length);
});

test('call-flood: thousands of calls and huge ones leave memory and others untouched', async () => {
  const flood = await Peer.join('flood');
  const other = await Peer.join('other');
  const before = process.memoryUsage().rss;
  const body = Buffer.from(`{"f": ${good}}`);

  const asked = Array.from({ length: 3000 }, (_, index) =>
    flood.link.request('call', { id: `f${index}`, body }).catch(() => undefined),
  );
  const answer = await other.call(`{"f": ${good}}`);
  const answers = await Promise.all(asked);
  const huge = Buffer.alloc(5 * 1024 * 1024, ' ');
  const large = await flood.call(`{"f": ${good}}${huge}`, 'huge');

  assert.match(answer, /affected_items/, 'another worker is served meanwhile');
  assert.ok(
    answers.some((one) => one?.kind === 'fault'),
    'what is too much is refused',
  );
  assert.match(large, /^fault 1000 a call of \d+ bytes/);
  assert.ok(process.memoryUsage().rss - before < 300 * 1024 * 1024);
});

test('daemon-paths: no name of a peer becomes a socket, and a stuck daemon holds up nobody', async () => {
  const asker = await Peer.join('paths');
  await startDaemon(t, home.path, 'queue/sockets/auth', () => undefined);
  await startDaemon(t, home.path, 'queue/sockets/remote', () => '{"ok":1}');
  await startDaemon(t, home.path, 'queue/tasks/task', () => 'x'.repeat(70_000));
  const seen: string[] = [];
  const ask = async (id: string, name: unknown): Promise<void> => {
    const body = Buffer.from(JSON.stringify({ daemon_name: name, message: 'x' }));
    await asker.link.request('askDaemon', { id, body });
    await until(`an answer to ${id}`, () => asker.results.has(id));
    seen.push(asker.results.get(id) ?? '');
  };

  for (let index = 0; index < 50; index++) {
    const body = Buffer.from('{"daemon_name":"authd","message":"x"}');
    asker.link.request('askDaemon', { id: `stuck${index}`, body }).catch(() => undefined);
  }
  for (const [index, name] of ['../../etc/passwd', 'toString', '__proto__', 7, null].entries()) {
    await ask(`bad${index}`, name);
  }
  await ask('long', 'task-manager');

  for (const text of seen.slice(0, 5)) assert.match(text, /^failed Error 1014/);
  assert.match(seen[5] ?? '', /announces 70000 bytes/);
  assert.ok(!existsSync(`${home.path}/etc/passwd`));
});

test('hostile-master-calls: our worker runs nothing for its master but its own table', async () => {
  const told: string[] = [];
  const links: Link[] = [];
  const server = createServer((socket) => {
    const handler: LinkHandler = {
      asked(asked, link) {
        if (asked.command === 'hello') link.admit(asked.counter, { mustBeOurs: false });
        else if (asked.command === 'callResult') {
          const taken = link.takeString(asked.value.stringId);
          if (taken?.kind === 'memory') told.push(`${asked.value.id} ${taken.bytes}`);
          link.answer(asked.counter, { kind: 'ok', payload: 'Forwarded response' });
        } else link.answer(asked.counter, { kind: 'ok', payload: 'False' });
      },
    };
    const ports = { clock, random, store: new MemoryStore(), handler };
    links.push(new Link(socket, { role: 'master', seal: createSeal(key) }, ports));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const worker = startWorker(t, new Home(t), { name: 'w', port, more: { agents: database } });
  await until('it is connected', () => worker.role.status().isConnected);
  const [link] = links;
  const bodies = [
    `{"f": ${callable('os', 'system')}, "f_kwargs": {"command": "id"}}`,
    `{"f": ${callable('wazuh.manager', 'restart')}}`,
    `{"f": ${good}, "f_kwargs": {"x": ${good}}}`,
    'nonsense',
    `{"f": ${callable('wazuh.agent', 'get_agents')}, "request_type": "distributed_master"}`,
  ];

  for (const [index, body] of bodies.entries()) {
    await link?.request('call', { id: `c${index}`, body: Buffer.from(body) });
  }
  await until('all are answered', () => told.length === bodies.length);
  const foreign = await link?.request('callResult', { id: 'never-asked', stringId: '1' });
  const daemon = await link?.request('daemonAnswered', { id: 'never-asked', stringId: '1' });

  told.sort();
  for (const text of told.slice(0, 4)) assert.match(text, /"code": 1000/);
  assert.match(told[4] ?? '', /"affected_items"/, 'sent to us, run by us: it never goes round');
  assert.deepEqual([foreign?.kind, daemon?.kind], ['fault', 'fault']);
  assert.ok(worker.role.status().isConnected);
});

test('hostile-program: a program of the host is bounded as any peer', async () => {
  const path = localSocketPath(home.path);
  const sockets = await Promise.all(
    Array.from({ length: 300 }, async () => {
      const socket = connect(path);
      socket.on('error', () => undefined);
      await once(socket, 'connect').catch(() => undefined);
      return socket;
    }),
  );
  await until(
    'the rest is refused',
    () => sockets.filter(({ destroyed }) => destroyed).length >= 40,
  );
  for (const socket of sockets) socket.destroy();
  const seen = (bytes: Buffer): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(path);
      socket.on('error', () => resolve('closed'));
      socket.on('close', () => resolve('closed'));
      socket.once('data', (chunk: Buffer) => {
        resolve(chunk.toString('latin1', 8));
        socket.destroy();
      });
      socket.write(bytes);
    });
  const frame = (word: string, text: string): Buffer =>
    encodeFrame({ counter: 1, word, role: 'whole' }, Buffer.from(text));
  const announced = frame('dapi', 'x');
  announced.writeUInt32BE(200_000_000, 4);

  let unknown = 'closed';
  for (let turn = 0; turn < 100 && unknown === 'closed'; turn++)
    unknown = await seen(frame('nonsense', 'x'));
  assert.match(unknown, /^err -+unknown command 'b'nonsense''/);
  assert.match(await seen(frame('dapi_fwd', 'nospace')), /^err /);
  assert.match(await seen(frame('new_str', '999999999')), /^error /);
  assert.match(await seen(frame('new_file', '/queue/cluster/x')), /^err /);
  assert.equal(await seen(announced), 'closed');
});
