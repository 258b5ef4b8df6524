/** What a binary needs of its host, tried once: `version --selftest`. */
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, inflateSync } from 'node:zlib';
import { messageOf } from '../guards.ts';
import { runProgram } from './run-program.ts';

/** One thing that was tried; `why` is there when it failed. */
export interface SelfCheck {
  readonly name: string;
  readonly why?: string;
}

type Trial = () => Promise<void>;

const trials: Readonly<Record<string, Trial>> = {
  crypto: tryCrypto,
  compression: tryCompression,
  files: tryFiles,
  sockets: trySockets,
  'child process': tryProgram,
};

/** `Node.js v26.10.0 linux-x64`. */
export function runtimeText(): string {
  return `Node.js ${process.version} ${process.platform}-${process.arch}`;
}

const deadlineMs = 10_000;

/** Every check, in order; never rejects. */
export async function runSelfTest(): Promise<readonly SelfCheck[]> {
  const checks: SelfCheck[] = [];
  for (const [name, trial] of Object.entries(trials)) {
    checks.push(
      await within(trial).then(
        () => ({ name }),
        (error: unknown) => ({ name, why: messageOf(error) }),
      ),
    );
  }
  return checks;
}

async function within(trial: Trial): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no end in ${deadlineMs} ms`)), deadlineMs);
  await Promise.race([trial(), promise]).finally(() => clearTimeout(timer));
}

async function tryCrypto(): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const message = Buffer.from('pilotfish');
  const signature = sign(null, message, privateKey);
  if (!verify(null, message, publicKey, signature)) throw new Error('own signature refused');
  if (verify(null, Buffer.from('pilotfisj'), publicKey, signature)) {
    throw new Error('signature of another message accepted');
  }
}

async function tryCompression(): Promise<void> {
  const text = Buffer.from('list '.repeat(1000));
  if (!inflateSync(deflateSync(text)).equals(text)) throw new Error('not what went in');
}

async function tryFiles(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pilotfish-selftest-'));
  try {
    const handle = await open(join(folder, 'new'), 'wx', 0o600);
    try {
      await handle.writeFile('whole');
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(join(folder, 'new'), join(folder, 'file'));
    if ((await readFile(join(folder, 'file'), 'utf8')) !== 'whole') throw new Error('read back');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function trySockets(): Promise<void> {
  const server = createServer((socket) => void socket.end('pong'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const socket = connect({ host: '127.0.0.1', port });
  try {
    const [said] = await once(socket, 'data');
    if (String(said) !== 'pong') throw new Error('another answer');
  } finally {
    socket.destroy();
    server.close();
  }
}

async function tryProgram(): Promise<void> {
  const argv = process.platform === 'win32' ? ['cmd.exe', '/c', 'echo ok'] : ['/bin/echo', 'ok'];
  const { exit, stdout, startError } = await runProgram({ argv, timeoutMs: deadlineMs });
  if (exit !== 0 || stdout.toString().trim() !== 'ok') {
    throw new Error(startError ?? `exit ${exit}: ${stdout.toString().trim()}`);
  }
}
