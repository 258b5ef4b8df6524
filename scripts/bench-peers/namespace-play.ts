/** A play in namespaces of its own: a program that prints one result a line, as JSON. */
import { spawn } from 'node:child_process';

export interface Play {
  readonly program: string;
  readonly args: readonly string[];
  /** Beside its own network: options of `unshare`. */
  readonly more?: readonly string[];
}

/** Results in the order they were printed. Throws what the play said last when it failed. */
export function playInNamespace<Result>(
  { program, args, more = [] }: Play,
  note: (line: string) => void,
): Promise<readonly Result[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Result[]>();
  const argv = ['--net', ...more, process.execPath, program, ...args];
  const child = spawn('unshare', argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4_000);
  });
  child.once('error', reject);
  child.once('close', (code) => {
    const lines = out.split('\n').filter((line) => line !== '');
    for (const line of lines) note(line);
    if (code !== 0) reject(new Error(`the play failed: ${errors}`));
    else resolve(lines.map((line) => JSON.parse(line) as Result));
  });
  return promise;
}
