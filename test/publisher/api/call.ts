/** One question to the API of a publisher that runs. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { TestPublisher } from '../../cli/publisher-fixture.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Asked again while the publisher sheds because this process is busy. */
export async function call(
  publisher: TestPublisher,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const endAtMs = performance.now() + 60_000;
  for (;;) {
    const answer = await callOnce(publisher, method, path, headers);
    const isShed = answer.status === 503 && answer.text.includes('"busy"');
    if (!isShed || performance.now() > endAtMs) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function callOnce(
  { directory, port }: TestPublisher,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const ca = readFileSync(join(directory, 'ca.crt'));
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, ca, method, path, headers, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    sent.end();
  });
}

export const as = (token: string) => ({ authorization: `Bearer ${token}` });
