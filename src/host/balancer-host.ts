/** Balancers on this host: their files, programs and HAProxy's admin socket. */
import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import type { BalancerHost } from '../balancer/follow-list.ts';
import { type Clock, deadline } from '../clock.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { runProgram } from './run-program.ts';
import { writeDurably } from './two-generation-file.ts';

const limits = { askMs: 3_000, runMs: 20_000, maxAnswerBytes: 1024 * 1024 } as const;

export function buildBalancerHost(clock: Clock): BalancerHost {
  return {
    async readText(path) {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if (systemCodeOf(error) === 'ENOENT') return undefined;
        throw new HostError('balancer_failed', `${path}: ${messageOf(error)}`, { cause: error });
      }
    },
    writeText: (path, text) => writeDurably(path, Buffer.from(text)),
    remove: (path) => rm(path, { force: true }),
    run: (argv) => run(argv),
    ask: (socket, command) => ask(clock, socket, command),
  };
}

async function run(argv: readonly string[]) {
  const done = await runProgram({ argv, timeoutMs: limits.runMs });
  if (done.startError !== undefined) {
    throw new HostError('balancer_failed', `${argv[0]}: cannot be started (${done.startError})`);
  }
  const output = `${done.stdout.toString('utf8')}${done.stderr.toString('utf8')}`;
  return { code: done.exit ?? -1, output: done.timedOut ? `${output} (out of time)` : output };
}

/** HAProxy answers one command and closes. Rejects with HostError `balancer_failed`. */
function ask(clock: Clock, path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const limit = deadline(clock, limits.askMs);
    const socket = connect({ path });
    let answer = '';
    const end = (settle: () => void): void => {
      limit.cancel();
      socket.destroy();
      settle();
    };
    const fail = (why: unknown): void =>
      end(() => reject(new HostError('balancer_failed', `${path}: ${messageOf(why)}`)));
    socket.setEncoding('utf8');
    socket.on('error', fail);
    limit.signal.addEventListener('abort', () => fail(limit.signal.reason), { once: true });
    socket.on('data', (text: string) => {
      answer += text;
      if (answer.length > limits.maxAnswerBytes) fail(new Error('the answer does not end'));
    });
    socket.on('end', () => end(() => resolve(answer)));
    socket.write(`${command.replace(/[\r\n;]/g, ' ')}\n`);
  });
}
