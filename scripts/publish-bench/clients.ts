/** Many clients in one process: long polls that are told how late, or as many requests as answered. */
import { connect, type TLSSocket } from 'node:tls';
import { renderAgentReport, reportMac } from '../../src/list/agent-report.ts';
import { aReport } from '../../test/publisher/reports/report-fixture.ts';

interface Job {
  readonly kind: 'poll' | 'unchanged' | 'report';
  readonly port: number;
  readonly count: number;
  readonly etag: string;
  /** Of throughput jobs. */
  readonly forMs: number;
}

const now = (): number => performance.timeOrigin + performance.now();

async function dial(port: number): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  await new Promise<void>((resolve, reject) =>
    socket.once('secureConnect', resolve).once('error', reject),
  );
  return socket.setNoDelay(true);
}

async function dialMany(port: number, count: number): Promise<readonly TLSSocket[]> {
  const sockets: TLSSocket[] = [];
  while (sockets.length < count) {
    const batch = Math.min(50, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: batch }, () => dial(port)))));
  }
  return sockets;
}

/** Everybody waits; `told` once all are there; then the instants of receipt. */
async function poll({ port, count, etag }: Job): Promise<void> {
  const sockets = await dialMany(port, count);
  const request = `GET /v1/list?wait=55 HTTP/1.1\r\nHost: x\r\nIf-None-Match: "${etag}"\r\nPF-Nonce: ${'A'.repeat(22)}\r\n\r\n`;
  const received = sockets.map(
    (socket) =>
      new Promise<number>((resolve) => {
        socket.once('data', () => resolve(now()));
        socket.once('close', () => resolve(Number.NaN));
        socket.write(request);
      }),
  );
  process.send?.({ kind: 'waiting' });
  const atMs = await Promise.all(received);
  for (const socket of sockets) socket.destroy();
  process.send?.({ kind: 'received', atMs });
}

/** One request after the other on every connection. */
async function flood(job: Job): Promise<void> {
  const sockets = await dialMany(job.port, job.count);
  process.send?.({ kind: 'connected' });
  const endMs = now() + job.forMs;
  const answers: Record<string, number> = {};
  const one = (socket: TLSSocket, index: number) =>
    new Promise<void>((resolve) => {
      let seq = 0;
      const ask = (): void => {
        seq += 1;
        socket.write(
          job.kind === 'report' ? reportRequest(index + job.count * seq) : getRequest(job.etag),
        );
      };
      socket.on('data', (bytes) => {
        const status = bytes.toString('latin1', 9, 12);
        answers[status] = (answers[status] ?? 0) + 1;
        if (now() < endMs) ask();
        else resolve(void socket.destroy());
      });
      socket.on('close', () => resolve());
      ask();
    });
  const startMs = now();
  await Promise.all(sockets.map(one));
  process.send?.({ kind: 'flooded', answers, tookMs: now() - startMs });
}

function getRequest(etag: string): string {
  return `GET /v1/list HTTP/1.1\r\nHost: x\r\nIf-None-Match: "${etag}"\r\n\r\n`;
}

function reportRequest(number: number): string {
  const agent = `${number}`.padStart(3, '0');
  const body = renderAgentReport(aReport({ agent, place: agent }));
  const mac = reportMac(agent.padStart(64, 'a'), { org: 'acme', agent }, body);
  const head = `POST /v1/report HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nPF-Agent: ${agent}\r\nPF-Mac: ${mac}\r\n\r\n`;
  return head + Buffer.from(body).toString('latin1');
}

process.on('message', (job: Job) => void (job.kind === 'poll' ? poll(job) : flood(job)));
process.once('disconnect', () => process.exit(0));
