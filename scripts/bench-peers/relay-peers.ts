/** Starts what stands between agent and manager in the relay bench, each in a process of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { type BalancerPlace, haproxyConfig, nginxStreamConfig } from './balancers.ts';

export interface Peer {
  readonly subject: string;
  /** Where an agent dials. */
  readonly port: number;
  /** Undefined for the direct connection. */
  readonly pid: number | undefined;
}

type Start = (place: BalancerPlace) => { readonly argv: readonly string[] } | { why: string };

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
/** One file, as the product ships it: stripping types at start would cost 37 MB of memory. */
const bundled = (file: string, folder: string): string => {
  const outfile = join(folder, file.replace(/\.ts$/, '.mjs'));
  const target = { platform: 'node', format: 'esm', logLevel: 'warning' } as const;
  buildSync({ entryPoints: [here(file)], bundle: true, outfile, ...target });
  return outfile;
};
const nodeProgram =
  (file: string): Start =>
  ({ listenPort, targetPort, folder }) => ({
    argv: [process.execPath, bundled(file, folder), String(listenPort), String(targetPort)],
  });

const starts: Readonly<Record<string, Start>> = {
  'bare-splice': ({ listenPort, targetPort, folder }) => {
    const program = join(folder, 'bare-splice');
    const { status } = spawnSync('cc', ['-O2', '-o', program, here('bare-splice.c')]);
    if (status !== 0) return { why: 'no C compiler (Debian: apt-get install gcc libc6-dev)' };
    return { argv: [program, String(listenPort), String(targetPort)] };
  },
  haproxy: (place) => {
    const program = '/usr/sbin/haproxy';
    if (!existsSync(program)) return { why: 'not installed (Debian: apt-get install haproxy)' };
    const config = join(place.folder, 'haproxy.cfg');
    writeFileSync(config, haproxyConfig(place));
    return { argv: [program, '-db', '-f', config] };
  },
  'nginx-stream': (place) => {
    const program = '/usr/sbin/nginx';
    const module = '/usr/lib/nginx/modules/ngx_stream_module.so';
    if (!existsSync(program) || !existsSync(module)) {
      return { why: 'not installed (Debian: apt-get install nginx-light libnginx-mod-stream)' };
    }
    const config = join(place.folder, 'nginx.conf');
    writeFileSync(config, nginxStreamConfig(place));
    return { argv: [program, '-c', config, '-e', join(place.folder, 'nginx.err')] };
  },
  'node-pipe': nodeProgram('node-pipe.ts'),
  'pilotfish-relay': nodeProgram('relay-process.ts'),
};

/** All processes of one bench run. */
export class Peers {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pilotfish-bench-relay-'));
  readonly #children: ChildProcess[] = [];

  /** The manager, and a direct connection to it as the first peer. */
  async startManager(): Promise<Peer> {
    const port = await freePort();
    await this.#run([process.execPath, here('load-manager.ts'), String(port)], port);
    return { subject: 'direct', port, pid: undefined };
  }

  /** Every peer this host has; the others are named in `note` with the reason. */
  async startAll(targetPort: number, note: (line: string) => void): Promise<readonly Peer[]> {
    const peers: Peer[] = [];
    for (const [subject, start] of Object.entries(starts)) {
      const port = await freePort();
      const started = start({ listenPort: port, targetPort, folder: this.#folder });
      if ('why' in started) note(`${subject} left out: ${started.why}`);
      else peers.push({ subject, port, pid: await this.#run(started.argv, port) });
    }
    return peers;
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #run(argv: readonly string[], port: number): Promise<number> {
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#children.push(child);
    let errors = '';
    child.stderr?.on('data', (text: Buffer) => {
      errors = (errors + text.toString()).slice(-2000);
    });
    for (let tries = 0; tries < 200; tries += 1) {
      if (isListening(port)) return child.pid ?? 0;
      if (child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`${program} does not listen on ${port}: ${errors}`);
  }
}

/** Asked of the kernel's table: a connection would be the peer's first. */
function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const table = readFileSync('/proc/net/tcp', 'latin1');
  return new RegExp(`:${hex} 00000000:0000 0A`).test(table);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
