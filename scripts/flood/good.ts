/** A good client: one question after the other, asked again until it is answered; how long each took. */
import { Agent, request } from 'node:https';

export interface Asked {
  readonly path: string;
  readonly tookMs: number;
  readonly status: number;
  /** Refused or cut before the answer came. */
  readonly again: number;
}

export interface Good {
  readonly port: number;
  readonly token: string;
  readonly questions: number;
  readonly pauseMs: number;
}

const paths = ['/v1/list', '/', '/v1/list', '/api/v1/overview', '/v1/list', '/api/v1/whoami'];
const giveUpMs = 60_000;

export async function askAll({ port, token, questions, pauseMs }: Good): Promise<readonly Asked[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const asked: Asked[] = [];
  try {
    for (let at = 0; at < questions; at += 1) {
      const path = paths[at % paths.length] ?? '/v1/list';
      asked.push(await untilAnswered(agent, port, path, token));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  } finally {
    agent.destroy();
  }
  return asked;
}

async function untilAnswered(
  agent: Agent,
  port: number,
  path: string,
  token: string,
): Promise<Asked> {
  const startedMs = performance.now();
  for (let again = 0; ; again += 1) {
    const status = await once(agent, port, path, token);
    const tookMs = performance.now() - startedMs;
    if (status === 200 || tookMs > giveUpMs) return { path, tookMs, status, again };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** 0: no answer. */
function once(agent: Agent, port: number, path: string, token: string): Promise<number> {
  return new Promise((resolve) => {
    const headers = path.startsWith('/api/') ? { authorization: `Bearer ${token}` } : {};
    const place = { host: '127.0.0.1', port, path };
    const sent = request({ ...place, agent, headers, rejectUnauthorized: false }, (response) => {
      response.on('error', () => resolve(0));
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.resume();
    });
    sent.setTimeout(10_000, () => sent.destroy());
    sent.on('error', () => resolve(0));
    sent.on('close', () => resolve(0));
    sent.end();
  });
}
