/**
 * One question to a Wazuh daemon of this host: a unix socket, lengths of four bytes little-endian,
 * one answer. Bounded in time and in what the daemon may say.
 */
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { DaemonPort } from '../cluster/calls/daemon-desk.ts';
import { dialUnix } from './cluster-local-socket.ts';

const headBytes = 4;

export function daemonSockets(clock: Clock, home: string): DaemonPort {
  return {
    async exchange({ socket, message, timeoutMs, maxAnswerBytes }) {
      const connection = await dialUnix(clock, join(home, socket));
      const cancel = clock.after(timeoutMs, () =>
        connection.destroy(new Error(`'${socket}' did not answer within ${timeoutMs} ms`)),
      );
      try {
        const answer = readAnswer(connection, socket, maxAnswerBytes);
        connection.write(framed(message));
        return await answer;
      } finally {
        cancel();
        connection.destroy();
      }
    },
  };
}

function framed(message: string): Buffer {
  const body = Buffer.from(message, 'utf8');
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(body.length);
  return Buffer.concat([head, body]);
}

function readAnswer(connection: Socket, name: string, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let held = Buffer.alloc(0);
    connection.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < headBytes) return;
      const bytes = held.readUInt32LE();
      if (bytes > maxBytes) reject(new Error(`'${name}' announces ${bytes} bytes`));
      else if (held.length >= headBytes + bytes) {
        resolve(held.toString('utf8', headBytes, headBytes + bytes));
      }
    });
    connection.on('error', reject);
    connection.on('close', () => reject(new Error(`'${name}' hung up without an answer`)));
  });
}
