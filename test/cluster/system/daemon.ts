/** Daemons of a master that answer as the recorder's stand-ins did: the question back. */
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

type Answer = (message: string, socket: Socket) => string | undefined;

export function framed(text: string): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(Buffer.byteLength(text));
  return Buffer.concat([head, Buffer.from(text)]);
}

/** `answer` undefined: say nothing, ever. */
export async function startDaemon(
  t: Pick<TestContext, 'after'>,
  home: string,
  socket: string,
  answer: Answer,
): Promise<void> {
  const path = join(home, socket);
  mkdirSync(dirname(path), { recursive: true });
  const server = createServer((connection) => {
    let held = Buffer.alloc(0);
    connection.on('error', () => connection.destroy());
    connection.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < 4 || held.length < 4 + held.readUInt32LE()) return;
      const text = answer(held.toString('utf8', 4), connection);
      if (text !== undefined) connection.write(framed(text));
    });
    t.after(() => connection.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
}

export function echo(daemon: string): Answer {
  return (message) => {
    const data = { daemon, echo: JSON.parse(message) };
    return JSON.stringify({ error: 0, message: 'ok', data });
  };
}
