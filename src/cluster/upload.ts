/**
 * Strings and files to the peer, over a link (cluster-protocol.md 3.1, 3.2): a few chunks are
 * under way at once, none above what a stock node takes, and every answer is looked at.
 */
import { createHash } from 'node:crypto';
import { PeerError } from '../errors.ts';
import type { Link, RequestOptions } from './link.ts';
import type { Answer } from './session/output.ts';
import { faultText } from './wire/fault.ts';
import { wireFormat } from './wire/limits.ts';

export interface UploadOptions extends RequestOptions {
  /** Plain bytes per message; smaller is kinder to slow paths and to stock receivers. */
  readonly chunkBytes?: number;
  /** Messages under way at once. */
  readonly window?: number;
}

export interface SentFile {
  readonly sentBytes: number;
  /** SHA-256 of what was sent. */
  readonly digest: Buffer;
}

const defaultChunkBytes = 1024 * 1024;
const defaultWindow = 4;

/** The payload of a good answer. Throws `PeerError` `peer_refused` for any other. */
export function expectOk(answer: Answer, what: string): Buffer {
  if (answer.kind === 'ok') return answer.payload;
  throw new PeerError('peer_refused', `${what}: ${faultText(answer.fault)}`);
}

/** Upload a string; resolves to the id under which the peer keeps it. */
export async function sendString(
  link: Link,
  bytes: Uint8Array,
  options: UploadOptions = {},
): Promise<string> {
  const reserved = await link.request('reserveString', bytes.length, options);
  const stringId = expectOk(reserved, 'a string was refused').toString('latin1');
  if (!/^[!-~]{1,64}$/.test(stringId)) {
    throw new PeerError('peer_refused', 'the peer answered new_str without an id');
  }
  const flight = new Flight(link, options.window ?? defaultWindow);
  const step = chunkSize(options, stringId);
  for (let start = 0; start < bytes.length; start += step) {
    const part = bytes.subarray(start, start + step);
    await flight.add(() => link.request('appendString', { stringId, bytes: part }, options));
  }
  await flight.landed();
  return stringId;
}

/**
 * Upload a file under the peer's `/queue/cluster/…` path. An abort ends the transfer on the peer
 * too (stock never closes an abandoned file), then rejects with the signal's reason.
 */
export async function sendFile(
  link: Link,
  path: string,
  source: AsyncIterable<Uint8Array>,
  options: UploadOptions = {},
): Promise<SentFile> {
  const { signal, ...untimed } = options;
  expectOk(await link.request('openFile', path, options), `the file ${path} was refused`);
  const hash = createHash('sha256');
  const flight = new Flight(link, options.window ?? defaultWindow);
  let sentBytes = 0;
  for await (const bytes of pieces(source, chunkSize(options, path))) {
    if (signal?.aborted) break;
    hash.update(bytes);
    sentBytes += bytes.length;
    await flight.add(() => link.request('appendFile', { path, bytes }, untimed));
  }
  await flight.landed();
  const digest = hash.digest();
  const ended = await link.request('endFile', { path, digest }, untimed);
  signal?.throwIfAborted();
  expectOk(ended, `the file ${path} was not taken`);
  return { sentBytes, digest };
}

function chunkSize(options: UploadOptions, name: string): number {
  const largest = wireFormat.requestChunkBytes - Buffer.byteLength(name) - 1;
  return Math.min(options.chunkBytes ?? defaultChunkBytes, largest);
}

async function* pieces(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    for (let start = 0; start < bytes.length; start += size) {
      yield bytes.subarray(start, start + size);
    }
  }
}

/** At most `window` requests under way; the first refusal stops the rest. */
export class Flight {
  readonly #link: Link;
  readonly #window: number;
  readonly #open: Promise<unknown>[] = [];

  constructor(link: Link, window: number) {
    this.#link = link;
    this.#window = window;
  }

  /** Send when there is room. Throws what an earlier request failed with. */
  async add(ask: () => Promise<Answer>): Promise<void> {
    await this.room();
    this.launch(ask());
  }

  /** Resolves when one more may be sent. Throws what an earlier request failed with. */
  async room(): Promise<void> {
    await this.#link.flushed();
    if (this.#open.length >= this.#window) await this.#open.shift();
  }

  launch(sent: Promise<Answer>): void {
    const landed = sent.then((answer) => expectOk(answer, 'a part was refused'));
    landed.catch(() => undefined); // looked at when its turn comes
    this.#open.push(landed);
  }

  async landed(): Promise<void> {
    await Promise.all(this.#open.splice(0));
  }
}
