/** HAProxy and nginx follow the list under load: agents on other managers keep their sessions. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { balancedServers } from '../../src/balancer/balanced-server.ts';
import { type Balancer, followList } from '../../src/balancer/follow-list.ts';
import { renderHaproxy } from '../../src/balancer/haproxy-config.ts';
import { renderNginx } from '../../src/balancer/nginx-config.ts';
import { buildBalancerHost } from '../../src/host/balancer-host.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import type { Manager } from '../../src/list/model.ts';
import { eventually, freePort } from '../fakes/processes.ts';

const haproxy = '/usr/sbin/haproxy';
const nginx = '/usr/sbin/nginx';
const host = buildBalancerHost(systemClock);

/** Answers the ping, echoes anything else with its own name, and counts sessions. */
interface FakeManager {
  readonly entry: Manager;
  sessions(): number;
}

async function startManager(t: TestContext, id: string): Promise<FakeManager> {
  const open = new Set<Socket>();
  const sessions = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      open.delete(socket);
      sessions.delete(socket);
    });
    socket.on('data', (bytes: Buffer) => {
      if (bytes.includes('#ping'))
        return void socket.write(Buffer.from('\x05\0\0\0#pong', 'latin1'));
      sessions.add(socket);
      socket.write(id);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const entry: Manager = {
    ...{ id, address: '127.0.0.1', port: address.port, protocol: 'tcp', zone: 'default' },
    ...{ prio: 0, weight: 100, state: 'up' },
  };
  return { entry, sessions: () => sessions.size };
}

/** A session through the balancer, and which manager it reached. */
class Agent {
  readonly socket: Socket;
  manager = '';
  answers = 0;
  isCut = false;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('error', () => undefined);
    this.socket.on('data', (bytes) => {
      this.manager ||= bytes.toString('latin1').slice(0, 3);
      this.answers += 1;
    });
    this.socket.on('close', () => {
      this.isCut = true;
    });
    this.socket.write('hello');
  }
}

async function agentsThrough(
  t: TestContext,
  port: number,
  count: number,
): Promise<readonly Agent[]> {
  const agents = Array.from({ length: count }, () => new Agent(port));
  t.after(() => {
    for (const { socket } of agents) socket.destroy();
  });
  await eventually(
    'every agent reaches a manager',
    () => agents.every(({ manager }) => manager !== '') || undefined,
  );
  return agents;
}

/** Events without a pause, on every session that is there. */
function startLoad(t: TestContext, agents: readonly Agent[]): void {
  const timer = setInterval(() => {
    for (const { isCut, socket } of agents) if (!isCut) socket.write('event');
  }, 5);
  t.after(() => clearInterval(timer));
}

async function allServed(agents: readonly Agent[]): Promise<void> {
  const before = agents.map(({ answers }) => answers);
  await eventually('every session goes on', () =>
    agents.every(({ answers }, index) => answers > (before[index] ?? 0)),
  );
  assert.ok(agents.every(({ isCut }) => !isCut));
}

function startProgram(t: TestContext, argv: readonly string[]): ChildProcess {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { stdio: 'ignore' });
  t.after(async () => {
    const ended = once(child, 'close');
    child.kill('SIGTERM');
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2_000).unref())]);
    child.kill('SIGKILL');
  });
  return child;
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pf-balancer-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  return folder;
}

function marked(
  managers: readonly FakeManager[],
  states: Readonly<Record<string, Manager['state']>>,
) {
  return balancedServers(
    managers.map(({ entry }) => ({ ...entry, state: states[entry.id] ?? 'up' })),
  );
}

const names = { backend: 'wazuh', balance: 'roundrobin' } as const;

test('HAProxy: drain, addition and removal over the runtime API, no reload, nobody else is cut', {
  skip: existsSync(haproxy) ? false : 'needs haproxy',
}, async (t) => {
  const folder = folderOf(t);
  const [a, b, c] = [
    await startManager(t, 'wm1'),
    await startManager(t, 'wm2'),
    await startManager(t, 'wm3'),
  ];
  const port = await freePort('127.0.0.1');
  const socket = join(folder, 'admin.sock');
  const file = join(folder, 'backend.cfg');
  const main = join(folder, 'main.cfg');
  writeFileSync(
    main,
    `global\n  stats socket ${socket} level admin\ndefaults\n  mode tcp\n  timeout client 1m\n  timeout server 1m\n  timeout connect 1s\nfrontend f\n  bind 127.0.0.1:${port}\n  default_backend wazuh\n`,
  );
  const balancer: Balancer = {
    ...{ name: 'haproxy', file, check: [haproxy, '-c', '-f', main, '-f', file] },
    ...{ reload: ['/bin/false'], runtime: { socket, backend: 'wazuh' } },
  };
  const follow = (
    managers: readonly FakeManager[],
    states: Readonly<Record<string, Manager['state']>> = {},
  ) => {
    const servers = marked(managers, states);
    return followList(host, balancer, { servers, text: renderHaproxy(servers, names) });
  };
  writeFileSync(file, renderHaproxy(marked([a, b], {}), names));
  startProgram(t, [haproxy, '-f', main, '-f', file]);
  await eventually('haproxy answers', () =>
    host.ask(socket, 'show info').then(
      () => true,
      () => undefined,
    ),
  );
  assert.equal((await follow([a, b])).kind, 'unchanged');
  const agents = await agentsThrough(t, port, 20);
  assert.deepEqual([a.sessions(), b.sessions()], [10, 10]);
  startLoad(t, agents);

  assert.equal((await follow([a, b], { wm2: 'drain' })).kind, 'runtime');
  const later = await agentsThrough(t, port, 6);
  assert.ok(later.every(({ manager }) => manager === 'wm1'));
  await allServed(agents);

  assert.equal((await follow([a, b, c], { wm2: 'drain' })).kind, 'runtime');
  await eventually(
    'the added server takes agents',
    async () =>
      (await agentsThrough(t, port, 2)).some(({ manager }) => manager === 'wm3') || undefined,
  );

  assert.equal((await follow([a, c])).kind, 'runtime');
  await eventually(
    'agents of the removed one are cut',
    () =>
      agents.filter(({ manager }) => manager === 'wm2').every(({ isCut }) => isCut) || undefined,
  );
  await allServed(agents.filter(({ manager }) => manager === 'wm1'));
  assert.equal((await follow([a, c])).kind, 'unchanged');
});

test('HAProxy: a file it refuses is put back, the running one goes on', {
  skip: existsSync(haproxy) ? false : 'needs haproxy',
}, async (t) => {
  const folder = folderOf(t);
  const a = await startManager(t, 'wm1');
  const file = join(folder, 'backend.cfg');
  const good = renderHaproxy(marked([a], {}), names);
  writeFileSync(file, good);
  const balancer: Balancer = {
    name: 'haproxy',
    file,
    check: [haproxy, '-c', '-f', file],
    reload: ['/bin/true'],
  };
  const servers = marked([a], {});
  await assert.rejects(followList(host, balancer, { servers, text: `${good}  nonsense here\n` }), {
    reason: 'balancer_failed',
    message: /unknown keyword 'nonsense'/,
  });
  assert.equal(readFileSync(file, 'utf8'), good);
  await assert.rejects(followList(host, balancer, { servers: [], text: good }), /names no server/);
  const absent: Balancer = { ...balancer, file: join(folder, 'new.cfg'), check: ['/bin/false'] };
  await assert.rejects(followList(host, absent, { servers, text: good }));
  assert.equal(existsSync(absent.file), false);
});

test('nginx: drain and removal by reload, old sessions stay', {
  skip: existsSync(nginx) ? false : 'needs nginx',
}, async (t) => {
  const folder = folderOf(t);
  const [a, b] = [await startManager(t, 'wm1'), await startManager(t, 'wm2')];
  const port = await freePort('127.0.0.1');
  const file = join(folder, 'upstream.conf');
  const main = join(folder, 'nginx.conf');
  writeFileSync(file, renderNginx(marked([a, b], {}), 'wazuh'));
  writeFileSync(
    main,
    `load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nuser root; daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/err;\nevents { worker_connections 256; }\nstream { include ${file}; server { listen 127.0.0.1:${port}; proxy_pass wazuh; } }\n`,
  );
  const balancer: Balancer = {
    ...{ name: 'nginx', file, check: [nginx, '-t', '-c', main, '-e', `${folder}/err`] },
    reload: [nginx, '-s', 'reload', '-c', main, '-e', `${folder}/err`],
  };
  startProgram(t, [nginx, '-c', main, '-e', `${folder}/err`]);
  await eventually(
    'nginx listens',
    () =>
      new Promise<true | undefined>((resolve) => {
        const probe = connect(port, '127.0.0.1');
        probe.once('connect', () => {
          probe.destroy();
          resolve(true);
        });
        probe.once('error', () => resolve(undefined));
      }),
  );
  const agents = await agentsThrough(t, port, 10);
  assert.deepEqual([a.sessions(), b.sessions()], [5, 5]);
  startLoad(t, agents);
  const servers = marked([a, b], { wm2: 'drain' });
  const followed = await followList(host, balancer, {
    servers,
    text: renderNginx(servers, 'wazuh'),
  });
  assert.equal(followed.kind, 'reloaded');
  await eventually(
    'new sessions go to the other one',
    async () =>
      (await agentsThrough(t, port, 4)).every(({ manager }) => manager === 'wm1') || undefined,
  );
  await allServed(agents);
  const again = await followList(host, balancer, { servers, text: renderNginx(servers, 'wazuh') });
  assert.equal(again.kind, 'unchanged');
  const left = marked([a], {});
  const removed = await followList(host, balancer, {
    servers: left,
    text: renderNginx(left, 'wazuh'),
  });
  assert.equal(removed.kind, 'reloaded');
  await allServed(agents); // those of the removed one too: nginx leaves old sessions to old workers
  await eventually(
    'new sessions go to what is left',
    async () =>
      (await agentsThrough(t, port, 4)).every(({ manager }) => manager === 'wm1') || undefined,
  );
});
