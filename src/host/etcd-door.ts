/** POSTs to etcd's gateway: kept connections, verified TLS, bounded answers, no redirects. */
import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent, request } from 'node:https';
import type { EtcdDoor } from '../leader/etcd/client.ts';

export interface EtcdTls {
  /** PEM. Absent: the authorities of the system. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** The shared state has at most 512 KiB, as base64 a third more. */
const maxAnswerBytes = 1024 * 1024;

export interface ClosableDoor extends EtcdDoor {
  close(): void;
}

export function buildEtcdDoor(tls: EtcdTls): ClosableDoor {
  const options = { keepAlive: true, maxSockets: 8, maxFreeSockets: 2, timeout: 60_000 };
  const secure = new Agent({ ...options, ...tls, minVersion: 'TLSv1.2' });
  const plain = new PlainAgent(options);
  return {
    post(endpoint, path, body, token, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<EtcdAnswer>();
      const url = new URL(path, endpoint);
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...(token === undefined ? {} : { authorization: token }),
      };
      const isSecure = url.protocol === 'https:';
      const start = isSecure ? request : plainRequest;
      const agent = isSecure ? secure : plain;
      const asked = start(url, { method: 'POST', headers, agent, signal }, (answer) => {
        readText(answer).then(
          (text) => resolve({ status: answer.statusCode ?? 0, text, ...dateOf(answer) }),
          (error: unknown) => {
            asked.destroy();
            reject(error);
          },
        );
      });
      asked.on('error', (error) => reject(signal.aborted ? signal.reason : error));
      asked.end(body);
      return promise;
    },
    close() {
      secure.destroy();
      plain.destroy();
    },
  };
}

type EtcdAnswer = Awaited<ReturnType<EtcdDoor['post']>>;

function dateOf({ headers }: IncomingMessage): { readonly dateMs?: number } {
  const dateMs = Date.parse(headers.date ?? '');
  return Number.isNaN(dateMs) ? {} : { dateMs };
}

async function readText(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxAnswerBytes) throw new Error(`an answer of more than ${maxAnswerBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
