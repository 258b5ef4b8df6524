/**
 * A stand-in must not outlive the test that started it. Spawned ones end when their standard
 * input closes; daemons watch the process they were made for.
 */
import { readFileSync } from 'node:fs';

const lookMs = 500;

/** Calls `end` once stdin closes; hands every line read before that to `onLine`. */
export function endWithInput(end: () => void, onLine?: (line: string) => void): void {
  let kept = '';
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', (chunk: string) => {
    const lines = (kept + chunk).split('\n');
    kept = lines.pop() ?? '';
    for (const line of lines.filter((text) => text.trim() !== '')) onLine?.(line.trim());
  });
  process.stdin.on('end', end);
  process.stdin.on('error', end);
}

/** Calls `end` once process `pid` is gone. */
export function endWithProcess(pid: number, end: () => void): void {
  const timer = setInterval(() => {
    if (isAlive(pid)) return;
    clearInterval(timer);
    end();
  }, lookMs);
  timer.unref();
}

/** A zombie is dead: only its parent has not looked yet. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== 'linux') return true;
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** One JSON line on stdout. A closed pipe ends nothing: a daemon has nobody to tell. */
export function report(event: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ ...event, atMs: Date.now() })}\n`);
}

export function ignoreClosedOutput(): void {
  process.stdout.on('error', () => process.stdout.destroy());
}

/**
 * What `read` made of the arguments. Undefined after the help text was printed (exit code 0 when
 * asked for, else 2) or the wrong flag was named (exit code 2).
 */
export function optionsOrHelp<Options>(
  argv: readonly string[],
  help: string,
  read: (argv: readonly string[]) => Options | undefined,
): Options | undefined {
  try {
    const options = read(argv);
    if (options === undefined) console.log(help);
    process.exitCode = options !== undefined || argv.includes('--help') ? 0 : 2;
    return options;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\nTry --help.\n`);
    process.exitCode = 2;
    return undefined;
  }
}
