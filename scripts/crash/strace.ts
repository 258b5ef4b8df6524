/**
 * Runs the victim under strace, attached only once it is ready, so that "the third openat" is the
 * third of the replace and not of the runtime's start.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';

/** Undefined when strace works here, else why not. */
export function straceObstacle(): string | undefined {
  const { status, error, stderr } = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']);
  if (error !== undefined) return 'strace is not installed';
  return status === 0 ? undefined : `strace may not trace here: ${stderr.toString().trim()}`;
}

/** Calls of the replace path that touch files; the runtime's own waiting is left out. */
const tracedCalls = [
  'openat,open,close,read,pread64,write,pwrite64,fsync,fdatasync,ftruncate,truncate',
  'fstat,lstat,stat,newfstatat,statx,fchown,chown,fchmod,chmod,rename,renameat,renameat2',
  'unlink,unlinkat,mkdir,mkdirat,getdents64,readlink,lseek,fsetxattr,setxattr,flistxattr',
  'clone,clone3,vfork,execve',
].join(',');

export interface Fault {
  readonly call: string;
  /** n-th call of that name in any one thread or process. */
  readonly when: number;
  /** `signal=KILL`, `error=ENOSPC`, `retval=100`. */
  readonly effect: string;
}

export interface VictimRun {
  readonly bundle: string;
  readonly directory: string;
  readonly mode: string;
  readonly tools: 'gnu' | 'none';
}

export interface Traced {
  /** `done`, `failed …`, or `killed`. */
  readonly ended: string;
}

const runTimeoutMs = 60_000;

/** One run with these faults; `log` receives the trace. */
export async function runTraced(
  run: VictimRun,
  faults: readonly Fault[],
  log = '/dev/null',
): Promise<Traced> {
  const child = spawn(process.execPath, [run.bundle, run.directory, run.mode, run.tools], {
    stdio: ['pipe', 'pipe', 'ignore'], // an injected error may make the runtime itself abort
    env: { PATH: process.env.PATH ?? '', UV_THREADPOOL_SIZE: '1' },
  });
  const killer = setTimeout(() => child.kill('SIGKILL'), runTimeoutMs);
  const exited = once(child, 'exit');
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await once(child.stdout, 'data');
  const injections = faults.flatMap(({ call, when, effect }) => [
    '-e',
    `inject=${call}:${effect}:when=${when}`,
  ]);
  const options = ['-f', '-o', log, '-e', `trace=${tracedCalls}`, '-e', 'signal=none'];
  const argv = [...options, ...injections, '-p', String(child.pid)];
  const tracer = spawn('strace', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  await attached(tracer);
  const untraced = once(tracer, 'exit');
  child.stdin.on('error', () => undefined); // it may be dead already
  child.stdin.write('go\n');
  await exited;
  clearTimeout(killer);
  await untraced;
  return { ended: said.split('\n')[1] || 'killed' };
}

async function attached(tracer: ChildProcess): Promise<void> {
  let text = '';
  const { stderr } = tracer;
  if (stderr === null) throw new Error('strace has no stderr');
  for await (const chunk of stderr.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.includes('attached')) {
      stderr.resume();
      return;
    }
  }
  throw new Error(`strace did not attach: ${text}`);
}

/** For each call the most often that one thread or process made it: the points worth a fault. */
export async function countCalls(log: string): Promise<ReadonlyMap<string, number>> {
  const perTask = new Map<string, number>();
  const most = new Map<string, number>();
  for (const line of (await readFile(log, 'latin1')).split('\n')) {
    const match = /^(\d+)\s+([a-z0-9_]+)\(/.exec(line);
    if (match?.[2] === undefined) continue;
    const key = `${match[1]} ${match[2]}`;
    const count = (perTask.get(key) ?? 0) + 1;
    perTask.set(key, count);
    most.set(match[2], Math.max(most.get(match[2]) ?? 0, count));
  }
  return most;
}
