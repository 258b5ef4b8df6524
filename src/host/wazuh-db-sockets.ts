/** The real wazuh-db of this host, through both its sockets. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import {
  type WazuhDb,
  type WdbAnswer,
  WdbError,
  type WdbRequest,
  type WdbResponse,
} from '../cluster/store/wazuh-db.ts';
import { messageOf } from '../guards.ts';
import { wazuhDbPaths } from '../wazuh/wazuh-db.ts';
import { WazuhDbText } from './wazuh-db-text.ts';

/** Agents' data of a whole node, and room. */
const mostBodyBytes = 256 * 1024 * 1024;

export class WazuhDbSockets implements WazuhDb {
  readonly #text: WazuhDbText;
  readonly #httpPath: string;

  constructor(home: string) {
    this.#text = new WazuhDbText(join(home, wazuhDbPaths.text));
    this.#httpPath = join(home, wazuhDbPaths.http);
  }

  query(command: string, signal: AbortSignal): Promise<WdbAnswer> {
    return this.#text.ask(command, signal);
  }

  http({ method, path, body }: WdbRequest, signal: AbortSignal): Promise<WdbResponse> {
    const headers = {
      Accept: 'application/json',
      Host: 'localhost',
      ...(body === undefined
        ? {}
        : { 'Content-Type': 'application/json', 'Content-Length': body.length }),
    };
    return new Promise((resolve, reject) => {
      const fail = (error: unknown): void =>
        reject(signal.aborted ? signal.reason : new WdbError(2013, messageOf(error)));
      const asked = httpRequest(
        { socketPath: this.#httpPath, method, path, headers, signal, agent: false },
        (response) => {
          readBody(response).then(
            (bytes) => resolve({ status: response.statusCode ?? 0, body: bytes }),
            fail,
          );
        },
      );
      asked.on('error', fail);
      asked.end(body);
    });
  }

  close(): void {
    this.#text.close();
  }
}

async function readBody(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > mostBodyBytes) throw new Error(`the answer is longer than ${mostBodyBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
