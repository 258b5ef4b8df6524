/** A manager that does nothing but answer `#ping`, and comes and goes as a test says. */
import { createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export class PongManager {
  readonly address: string;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(t: Pick<TestContext, 'after'>, address: string) {
    this.address = address;
    t.after(() => this.leave());
  }

  /** Resolves when it listens on port 1514 of its address. */
  come(): Promise<void> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
      socket.on('data', () => socket.write(Buffer.from('\u0005\0\0\0#pong', 'latin1')));
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(1514, this.address, () => resolve());
    });
  }

  leave(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    return new Promise((resolve) =>
      server === undefined ? resolve() : server.close(() => resolve()),
    );
  }
}
