/** The Wazuh API as a source: a small server that logs in, forgets tokens, refuses and hangs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../../src/host/system-clock.ts';
import { buildWazuhApi } from '../../../src/host/wazuh-api.ts';
import { leafPin, startTlsServer, type TlsServer } from '../../fakes/tls-server.ts';

const span = { date_start_master: 'n/a', date_end_master: '2026-11-21T00:00:00.000000Z' };
const chunks = { date_start: 'n/a', date_end: 'n/a', n_synced_chunks: 0 };
const worker = {
  info: { name: 'w1', type: 'worker', version: '4.14.8', ip: '172.21.0.7', n_active_agents: 3 },
  status: {
    sync_integrity_free: true,
    last_check_integrity: span,
    last_sync_integrity: { ...span, total_files: { missing: 0, extra: 0, shared: 0 } },
    sync_agent_info_free: true,
    last_sync_agentgroup: chunks,
    last_sync_full_agentgroup: chunks,
    last_sync_agentinfo: { ...span, n_synced_chunks: 0 },
    last_keep_alive: '2026-11-21T00:00:00.000000Z',
  },
};
const master = { info: { name: 'm', type: 'master', version: '4.14.8', ip: 'wazuh-master' } };

class Api {
  readonly items: unknown[] = [master, worker];
  token = 'first.token';
  logins = 0;
  mode: 'well' | 'hangs' | 'too_long' = 'well';

  answer(socket: TLSSocket, head: string): void {
    const [status, body] = this.#answerTo(head);
    if (this.mode !== 'hangs') reply(socket, status, body);
  }

  #answerTo(head: string): readonly [number, string] {
    if (this.mode === 'too_long') return [200, 'x'.repeat(3 * 1024 * 1024)];
    if (head.startsWith('POST /security/user/authenticate ')) {
      this.logins += 1;
      const basic = Buffer.from('reader:pass word').toString('base64');
      if (!head.includes(basic)) return [401, '{"detail": "Invalid credentials"}'];
      return [200, JSON.stringify({ data: { token: this.token }, error: 0 })];
    }
    if (!head.startsWith('GET /cluster/healthcheck ')) return [404, '{}'];
    if (!head.includes(`Bearer ${this.token}\r`)) return [401, '{}'];
    return [200, JSON.stringify({ data: { affected_items: this.items }, error: 0 })];
  }
}

function reply(socket: TLSSocket, status: number, body: string): void {
  socket.on('error', () => undefined); // the reader may have had enough
  socket.end(`HTTP/1.1 ${status} x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
}

function apiOf({ port }: TlsServer, password = 'pass word', pin = leafPin('publisher')) {
  let nowMs = 0;
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const options = { url: `https://127.0.0.1:${port}`, user: 'reader', pins: [pin], clock };
  const api = buildWazuhApi({ ...options, readPassword: async () => password });
  return { api, later: () => (nowMs += 3_000) };
}

async function startApi(t: { after(work: () => Promise<void>): void }) {
  const fake = new Api();
  const server = await startTlsServer((socket, head) => fake.answer(socket, head));
  t.after(() => server.stop());
  return { fake, server };
}

const patient = new AbortController().signal;

test('nodes and their sync come from the API; one answer serves for a while, an ended token is renewed', async (t) => {
  const { fake, server } = await startApi(t);
  const { api, later } = apiOf(server);
  const health = await api.health(patient);
  assert.deepEqual(
    health.nodes.map(({ name, type, sync }) => [name, type, sync?.lastKeepAlive]),
    [
      ['m', 'master', undefined],
      ['w1', 'worker', '2026-11-21T00:00:00.000000Z'],
    ],
  );
  assert.equal(await api.health(patient), health);
  assert.equal(server.requests.length, 2);
  later();
  fake.token = 'second.token';
  fake.items.pop();
  assert.equal((await api.health(patient)).nodes.length, 1);
  assert.equal(fake.logins, 2);
});

test('wrong password, wrong key, no rights, nonsense, too much and silence are each told', async (t) => {
  const { fake, server } = await startApi(t);
  await assert.rejects(
    apiOf(server, 'guess').api.health(patient),
    /status 401: Invalid credentials/,
  );
  const wrongPin = apiOf(server, 'pass word', leafPin('elsewhere')).api;
  await assert.rejects(wrongPin.health(patient), { reason: 'pin_mismatch' });
  fake.items.length = 0;
  await assert.rejects(apiOf(server).api.health(patient), /may this user read the cluster/);
  fake.items.push({ info: 7 });
  await assert.rejects(apiOf(server).api.health(patient), /cannot be read/);
  fake.mode = 'too_long';
  await assert.rejects(apiOf(server).api.health(patient), { reason: 'too_big' });
  fake.mode = 'hangs';
  await assert.rejects(apiOf(server).api.health(AbortSignal.timeout(300)));
});
