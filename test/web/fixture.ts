/** A publisher with a large fleet in its store, as a process of its own, and tokens for its page. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openReports } from '../../src/host/report-database.ts';
import type { AgentReport } from '../../src/list/agent-report.ts';
import { runPublisher } from '../cli/publisher-fixture.ts';
import { eventually } from '../fakes/processes.ts';

const main = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));

/** Markup wherever a stranger may say something. */
export const hostileText = '<img src=x onerror=alert(1)>"\'</script><b>';

export interface Fleet {
  readonly directory: string;
  readonly port: number;
  readonly managers: number;
}

/** One command line, to its end; its JSON. */
export async function command(
  { directory }: Pick<Fleet, 'directory'>,
  ...words: readonly string[]
) {
  const { exit, out, err } = await runPublisher([...words, '--dir', directory, '--json']);
  if (exit !== 0) throw new Error(`${words.join(' ')}: ${err}`);
  return JSON.parse(out);
}

/** Initialised, with its first list and a fleet that reported. */
export async function makeFleet(
  directory: string,
  { port, managers, agents }: Omit<Fleet, 'directory'> & { readonly agents: number },
): Promise<Fleet> {
  const url = `127.0.0.1:${port}`;
  const named = Array.from({ length: managers }, (_, at) => [
    ...['--manager', `wm${at + 1}=127.0.0.${at + 1}:9`],
  ]).flat();
  const fleet = { directory, port, managers };
  await command(
    fleet,
    'init',
    '--org',
    'acme',
    '--url',
    `https://${url}`,
    '--listen',
    url,
    ...named,
  );
  const { hash } = await command(fleet, 'publish');
  seedAgents(fleet, agents, hash);
  const path = join(directory, 'publisher.yml');
  writeFileSync(path, readFileSync(path, 'utf8').replace('level: info', 'level: silent'));
  return fleet;
}

/** A new token, once the running publisher knows it. Asked seldom: wrong ones have a rate. */
export async function mintToken(fleet: Fleet, role: string, name = `the ${role}`): Promise<string> {
  const flags = ['--name', name, '--role', role];
  const { token } = await command(fleet, 'api-token', 'create', ...flags);
  const headers = { authorization: `Bearer ${token}` };
  await eventually('the token is known', async () => {
    if ((await statusOf(fleet.port, '/api/v1/whoami', { headers })) === 200) return true;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return false;
  });
  return token;
}

/** Most agents fare well; every 50th is silent, away, behind or failed, every 1000th is hostile. */
function seedAgents({ directory, managers }: Fleet, agents: number, listHash: string): void {
  const store = openReports(join(directory, 'reports.db'));
  const nowMs = Date.now();
  try {
    const batch = 10_000;
    for (let from = 1; from <= agents; from += batch) {
      const rows = Array.from({ length: Math.min(batch, agents - from + 1) }, (_, at) => {
        const number = from + at;
        const silentMs = number % 50 === 7 ? 3_600_000 : 0;
        const report = reportOf(number, managers, listHash, nowMs);
        return { report, receivedAtMs: nowMs - silentMs };
      });
      store.save({ rows, events: [] });
    }
    const change = {
      agent: '002',
      atMs: nowMs - 60_000,
      kind: 'errors',
      text: hostileText,
    } as const;
    store.save({ rows: [], events: [change] });
  } finally {
    store.close();
  }
}

const sites = ['eu-1', 'eu-2', 'us-1', 'ap-1'];

function reportOf(number: number, managers: number, hash: string, at: number): AgentReport {
  const agent = `${number}`.padStart(3, '0');
  const isAway = number % 50 === 13;
  const isOld = number % 50 === 23;
  const isHostile = number % 1_000 === 2;
  const manager = `wm${1 + ((number * 7) % managers)}`;
  return {
    ...{ agent, place: isHostile ? '<script>alert(1)</script>' : agent, seq: 1, at, everySec: 300 },
    ...{ sidecar: '0.1.0', agentVersion: `v4.14.${number % 9}`, group: 'default', root: 1 },
    os: number % 3 === 0 ? 'windows' : 'linux',
    site: sites[number % sites.length] ?? 'eu-1',
    list: { position: { epoch: 1, term: 1, version: isOld ? 0 : 1 }, hash },
    ...{ stalePolls: 0, connected: !isAway, mode: 'agentd', step: 'stay:current_is_up' },
    ...(isAway ? {} : { manager }),
    why: isHostile ? hostileText : `${manager} is up`,
    errors: number % 500 === 33 ? ['E610'] : [],
    health: [{ id: manager, verdict: isAway ? 'unknown' : 'up' }],
  };
}

export interface Serving {
  readonly origin: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** `run` in a process of its own, once it answers. */
export async function serveFleet(fleet: Fleet, withinMs = 200_000): Promise<Serving> {
  const argv = [main, 'run', '--dir', fleet.directory];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  await eventually(
    'the publisher serves',
    async () => {
      if (child.exitCode !== null) throw new Error(`run ended with ${child.exitCode}`);
      return (await statusOf(fleet.port, '/livez')) === 200;
    },
    withinMs,
  );
  return {
    origin: `https://127.0.0.1:${fleet.port}`,
    pid: child.pid ?? 0,
    async stop() {
      process.off('exit', kill);
      child.kill('SIGTERM');
      const timer = setTimeout(kill, 20_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** 0: no answer. */
export function statusOf(
  port: number,
  path: string,
  options: Pick<RequestOptions, 'method' | 'headers'> = {},
): Promise<number> {
  return new Promise((resolve) => {
    const place = { host: '127.0.0.1', port, path };
    const to = { ...options, ...place, rejectUnauthorized: false, agent: false };
    const sent = request(to, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', () => resolve(0));
    sent.end();
  });
}

/** An order to the API; asked again while the publisher sheds. */
export async function post({ port }: Fleet, token: string, path: string): Promise<void> {
  await eventually(`POST ${path}`, async () => {
    const status = await statusOf(port, `/api/v1/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
    if (status === 200) return true;
    if (status === 503 || status === 429 || status === 0) return false;
    throw new Error(`${path}: ${status}`);
  });
}

export const chromium = '/usr/bin/chromium';
export const missingBrowser = existsSync(chromium)
  ? false
  : `${chromium} is missing: scripts/setup --tests installs it`;

export const browserFlags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];
