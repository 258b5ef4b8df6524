/** Runs one program by argv, never through a shell, with a deadline and bounded output. */
import { spawn } from 'node:child_process';
import { messageOf, systemCodeOf } from '../guards.ts';

export interface ProgramRequest {
  /** Absolute path or a name found in PATH, then its arguments. */
  readonly argv: readonly string[];
  readonly timeoutMs: number;
  /** Output beyond this is dropped (default 64 KiB each of stdout and stderr). */
  readonly maxOutputBytes?: number;
  /** Descriptors that the program finds as 3, 4, … */
  readonly descriptors?: readonly number[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface ProgramResult {
  /** Exit code; undefined when it did not start, was killed or ran out of time. */
  readonly exit: number | undefined;
  readonly timedOut: boolean;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Why it could not be started (`ENOENT` …). */
  readonly startError?: string;
}

const plainEnvironment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
/** A daemon may keep our pipes open after its parent left; this is how long we still read. */
const drainMs = 50;

/** Never rejects: a program that cannot start is a result like any other. */
export async function runProgram(request: ProgramRequest): Promise<ProgramResult> {
  try {
    return await run(request);
  } catch (error) {
    // Node throws what it does not expect of the kernel, such as ENOMEM, out of `spawn`.
    const startError = systemCodeOf(error) ?? messageOf(error);
    const nothing = Buffer.alloc(0);
    return { exit: undefined, timedOut: false, stdout: nothing, stderr: nothing, startError };
  }
}

function run(request: ProgramRequest): Promise<ProgramResult> {
  const [program = '', ...parameters] = request.argv;
  const limit = request.maxOutputBytes ?? 64 * 1024;
  return new Promise((resolve) => {
    const child = spawn(program, parameters, {
      stdio: ['ignore', 'pipe', 'pipe', ...(request.descriptors ?? [])],
      env: environmentOf(request),
      windowsHide: true,
    });
    const stdout = collect(child.stdout, limit);
    const stderr = collect(child.stderr, limit);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, request.timeoutMs);
    const finish = (exit: number | undefined, startError?: string): void => {
      clearTimeout(timer);
      child.stdout?.destroy();
      child.stderr?.destroy();
      const failed = startError === undefined ? {} : { startError };
      resolve({ exit, timedOut, stdout: stdout(), stderr: stderr(), ...failed });
    };
    child.once('error', (error) =>
      finish(undefined, 'code' in error ? String(error.code) : error.message),
    );
    child.once('exit', (code) => {
      const drain = setTimeout(() => finish(code ?? undefined), drainMs);
      child.once('close', () => {
        clearTimeout(drain);
        finish(code ?? undefined);
      });
    });
  });
}

function environmentOf(request: ProgramRequest): Record<string, string> {
  const windows = process.platform === 'win32';
  // Windows programs need SystemRoot and the like; elsewhere nothing of ours leaks into a child.
  const inherited = windows ? (process.env as Record<string, string>) : plainEnvironment;
  return { ...inherited, ...request.environment };
}

function collect(stream: NodeJS.ReadableStream | null, limit: number): () => Buffer {
  const chunks: Buffer[] = [];
  let length = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (length >= limit) return;
    chunks.push(chunk.subarray(0, limit - length));
    length += chunk.length;
  });
  return () => Buffer.concat(chunks);
}
