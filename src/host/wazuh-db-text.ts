/**
 * Connections to wazuh-db's text socket: a few, each with one question at a time. One that was
 * given up on is closed, so that its late answer is never taken for the next one's.
 */
import { connect, type Socket } from 'node:net';
import { decodeWdbAnswer, encodeWdbText, WdbFrames } from '../cluster/store/text-codec.ts';
import { type WdbAnswer, WdbError } from '../cluster/store/wazuh-db.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';

interface Waiting {
  /** False: it was given up meanwhile, and takes nothing. */
  readonly give: (connection: TextConnection) => boolean;
  readonly refuse: (error: unknown) => void;
}

const mostConnections = 4;
const mostWaiting = 256;

export class WazuhDbText {
  readonly #path: string;
  readonly #idle: TextConnection[] = [];
  readonly #waiting: Waiting[] = [];
  #open = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** See `WazuhDb.query`. */
  async ask(command: string, signal: AbortSignal): Promise<WdbAnswer> {
    const frame = encodeWdbText(command);
    const connection = await this.#take(signal);
    try {
      return decodeWdbAnswer(await connection.ask(frame, signal));
    } finally {
      this.#giveBack(connection);
    }
  }

  close(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  async #take(signal: AbortSignal): Promise<TextConnection> {
    signal.throwIfAborted();
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isOpen) return idle;
      this.#open -= 1;
    }
    if (this.#open < mostConnections) return this.#dial(signal);
    if (this.#waiting.length >= mostWaiting) {
      throw new HostError('database_failed', 'too many questions to wazuh-db wait for their turn');
    }
    return this.#queue(signal);
  }

  #queue(signal: AbortSignal): Promise<TextConnection> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const index = this.#waiting.indexOf(waiting);
        if (index >= 0) this.#waiting.splice(index, 1);
        reject(signal.reason);
      };
      const waiting: Waiting = {
        give: (connection) => {
          signal.removeEventListener('abort', onAbort);
          resolve(connection);
          return !signal.aborted;
        },
        refuse: (error) => {
          signal.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }

  async #dial(signal: AbortSignal): Promise<TextConnection> {
    this.#open += 1;
    try {
      return await TextConnection.open(this.#path, signal);
    } catch (error) {
      this.#open -= 1;
      throw error;
    }
  }

  #giveBack(connection: TextConnection): void {
    if (!connection.isOpen) {
      this.#open -= 1;
      this.#dialNext();
      return;
    }
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.give(connection)) return;
    }
    this.#idle.push(connection);
  }

  /** For whoever waits longest; what cannot be dialled for one is tried for the next. */
  #dialNext(): void {
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#dial(AbortSignal.timeout(dialMs)).then(
      (connection) => {
        if (!next.give(connection)) this.#giveBack(connection);
      },
      (error: unknown) => {
        next.refuse(error);
        this.#dialNext();
      },
    );
  }
}

const dialMs = 5_000;

class TextConnection {
  readonly #socket: Socket;
  readonly #frames = new WdbFrames();
  #asked: PromiseWithResolvers<string> | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('error', (error) => this.#fail(lost(error)));
    socket.on('close', () => this.#fail(new WdbError(2010)));
    socket.unref();
  }

  static open(path: string, signal: AbortSignal): Promise<TextConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      const onAbort = (): void => {
        socket.destroy();
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('error', (error) => {
        signal.removeEventListener('abort', onAbort);
        reject(lost(error));
      });
      socket.once('connect', () => {
        signal.removeEventListener('abort', onAbort);
        socket.removeAllListeners('error');
        resolve(new TextConnection(socket));
      });
    });
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  ask(frame: Buffer, signal: AbortSignal): Promise<string> {
    const asked = Promise.withResolvers<string>();
    this.#asked = asked;
    const onAbort = (): void => {
      this.#fail(signal.reason);
      this.#socket.destroy();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    this.#socket.ref();
    this.#socket.write(frame);
    return asked.promise.finally(() => {
      signal.removeEventListener('abort', onAbort);
      this.#socket.unref();
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #received(chunk: Buffer): void {
    try {
      for (const text of this.#frames.push(chunk)) this.#answered(text);
    } catch (error) {
      this.#fail(error);
      this.#socket.destroy();
    }
  }

  #answered(text: string): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked === undefined)
      this.#socket.destroy(); // an answer to nothing
    else asked.resolve(text);
  }

  #fail(error: unknown): void {
    const asked = this.#asked;
    this.#asked = undefined;
    asked?.reject(error);
  }
}

/** System errors as Python prints them, because stock lines carry them so. */
const pythonTexts: Readonly<Record<string, string>> = {
  ENOENT: '[Errno 2] No such file or directory',
  EACCES: '[Errno 13] Permission denied',
  EPIPE: '[Errno 32] Broken pipe',
  ECONNRESET: '[Errno 104] Connection reset by peer',
  ECONNREFUSED: '[Errno 111] Connection refused',
};

function lost(error: Error): WdbError {
  const text = pythonTexts[systemCodeOf(error) ?? ''] ?? messageOf(error);
  return new WdbError(2005, text, { cause: error });
}
