/** `POST /v1/report`: the bytes as they came, judged by the desk; nothing is parsed before its proof. */
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../clock.ts';
import { maxReportBytes } from '../../list/agent-report.ts';
import type { IncomingReport, ReportTaker } from './report-desk.ts';

const path = '/v1/report';

/** One of the two requests that may have a body. */
export function isReportRequest({ method, url, headers }: IncomingMessage): boolean {
  const length = Number(headers['content-length']);
  return method === 'POST' && url === path && length <= maxReportBytes;
}

export function addReportRoute(
  app: FastifyInstance<Server>,
  desk: ReportTaker,
  clock: Clock,
): void {
  app.post(path, async (request, reply) => {
    const report = readReport(
      request.headers,
      request.body,
      request.raw.socket.remoteAddress ?? '',
    );
    if (report === undefined) {
      reply.code(400);
      return { error: { name: 'bad_report', message: 'PF-Agent, PF-Mac and a body are needed' } };
    }
    const verdict = await desk.take(report, clock.nowMs(), clock.monotonicMs());
    if (verdict.kind === 'taken') return { nextSec: verdict.nextSec };
    const { status, name, message, seq } = verdict;
    reply.code(status);
    return { error: { name, message }, ...(seq === undefined ? {} : { seq }) };
  });
}

function readReport(
  headers: Readonly<Record<string, unknown>>,
  body: unknown,
  ip: string,
): IncomingReport | undefined {
  const agent = headers['pf-agent'];
  const mac = headers['pf-mac'];
  if (typeof agent !== 'string' || !/^[0-9]{1,12}$/.test(agent)) return undefined;
  if (typeof mac !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(mac)) return undefined;
  const { 'pf-hops': told } = headers;
  const passed = typeof told === 'string' && /^\d$/.test(told) ? { hops: Number(told) } : {};
  return Buffer.isBuffer(body) ? { agent, mac, body, ip, ...passed } : undefined;
}
