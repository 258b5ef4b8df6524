/** A stock local server as it was recorded: each connection plays the next conversation. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { encodeFrame, FrameDecoder } from '../../../src/cluster/wire/frame.ts';
import { type RecordedFrame, recordedFrames } from '../recording.ts';

const answerWords = ['ok', 'err', 'ok-m', 'ok-c'];

export interface PlayedServer {
  readonly path: string;
  /** What the programs asked, in order: word, text. */
  readonly asked: [string, string][];
}

export function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'pf-local-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  return folder;
}

/** `connections`: which of the recorded ones, in the order in which they are to be played. */
export function playServer(
  t: TestContext,
  recording: string,
  connections: readonly number[],
): Promise<PlayedServer> {
  return playScripts(
    t,
    connections.map((conn) => scriptOf(recording, conn)),
  );
}

export function scriptOf(recording: string, conn: number): readonly RecordedFrame[] {
  return recordedFrames(recording).filter((frame) => frame.conn === conn);
}

/** `path`: where to listen; a folder of its own when absent. */
export async function playScripts(
  t: TestContext,
  scripts: readonly (readonly RecordedFrame[])[],
  path = join(folderOf(t), 's.sock'),
): Promise<PlayedServer> {
  const asked: [string, string][] = [];
  const left = [...scripts];
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    play(socket, left.shift() ?? [], asked);
  });
  server.listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
  return { path, asked };
}

/** Sends what the server sent after each frame of the program; ids of strings are translated. */
function play(
  socket: Socket,
  script: readonly RecordedFrame[],
  asked: PlayedServer['asked'],
): void {
  const decoder = new FrameDecoder();
  const ids = new Map<string, string>();
  let next = 0;
  let counter = 0;
  const speak = (): void => {
    for (let one = script[next]; one?.dir === 's>c'; one = script[++next]) {
      let payload = one.payload ?? Buffer.alloc(0);
      for (const [was, is] of ids) {
        if (!payload.toString('latin1').startsWith(was)) continue;
        payload = Buffer.concat([Buffer.from(is), payload.subarray(was.length)]);
      }
      const to = one.isRequest ? one.counter : counter;
      socket.write(encodeFrame({ counter: to, word: one.command, role: 'whole' }, payload));
    }
  };
  socket.on('data', (chunk: Buffer) => {
    decoder.push(chunk);
    for (let frame = decoder.next(1e6); frame !== undefined; frame = decoder.next(1e6)) {
      const expected = script[next++];
      const text = frame.payload.toString();
      if (!answerWords.includes(frame.word)) {
        counter = frame.counter;
        asked.push([frame.word, text]);
      } else if (/^\d+$/.test(text)) ids.set(expected?.payload?.toString() ?? '', text);
      speak();
    }
  });
}

/** Recorded connections whose first request is `word`. */
export function connectionsOf(recording: string, word: string): readonly number[] {
  const frames = recordedFrames(recording);
  return [...new Set(frames.map(({ conn }) => conn))].filter(
    (conn) => frames.find((frame) => frame.conn === conn)?.command === word,
  );
}
