/**
 * A stand-in for wazuh-authd of one host: gives out ids above every id in client.keys, removed ones
 * too, and appends the key, as the real one does. It runs while the file `authd-on` is there.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { framed } from '../cluster/system/daemon.ts';

export class StandInAuthd {
  readonly switchPath: string;
  readonly #keysPath: string;
  readonly #socketPath: string;
  #server: Server | undefined;

  constructor(home: string) {
    this.switchPath = join(home, 'authd-on');
    this.#keysPath = join(home, 'etc', 'client.keys');
    this.#socketPath = join(home, 'queue', 'sockets', 'auth');
  }

  get isOn(): boolean {
    return existsSync(this.switchPath);
  }

  async listen(): Promise<void> {
    const server = createServer((socket) => {
      let held = Buffer.alloc(0);
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk: Buffer) => {
        held = Buffer.concat([held, chunk]);
        if (held.length < 4 || held.length < 4 + held.readUInt32LE()) return;
        socket.write(framed(this.#answer(held.toString('utf8', 4))));
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.#socketPath, resolve));
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  /** As an agent enrols at this host's own port 1515. */
  add(name: string): { readonly id: string; readonly key: string } {
    const text = existsSync(this.#keysPath) ? readFileSync(this.#keysPath, 'utf8') : '';
    const ids = text.split('\n').map((line) => Number(/^(\d+) /.exec(line)?.[1] ?? 0));
    const id = String(Math.max(0, ...ids) + 1).padStart(3, '0');
    const key = randomBytes(32).toString('hex');
    appendFileSync(this.#keysPath, `${id} ${name} any ${key}\n`);
    return { id, key };
  }

  #answer(message: string): string {
    if (!this.isOn) return JSON.stringify({ error: 9009, message: 'authd does not run here' });
    const { name } = JSON.parse(message).arguments;
    return JSON.stringify({
      error: 0,
      message: 'ok',
      data: { name, ip: 'any', ...this.add(name) },
    });
  }
}
