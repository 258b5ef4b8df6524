/**
 * One balancer kept in step with the list: file first (so that a restart finds it), then the running
 * process, over its runtime API where that is enough, else by a checked reload. A file that the
 * balancer itself refuses is put back, and the running one is left alone.
 */
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import type { BalancedServer } from './balanced-server.ts';
import { parseServersState, runtimeCommands } from './haproxy-runtime.ts';

/** Port: this host. Everything has a deadline. */
export interface BalancerHost {
  /** Undefined when absent. */
  readText(path: string): Promise<string | undefined>;
  /** Whole or not at all, durable. Throws HostError `write_failed`. */
  writeText(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** No shell. Rejects when the program cannot be run. */
  run(argv: readonly string[]): Promise<{ readonly code: number; readonly output: string }>;
  /** One command over HAProxy's admin socket. Rejects when nobody answers. */
  ask(socket: string, command: string): Promise<string>;
}

export interface Balancer {
  readonly name: string;
  readonly file: string;
  /** Program and arguments that check the whole configuration, `haproxy -c -f …` or `nginx -t`. */
  readonly check: readonly string[];
  readonly reload: readonly string[];
  /** HAProxy's admin socket and the backend in it; undefined: reload at every change. */
  readonly runtime?: { readonly socket: string; readonly backend: string };
}

export interface Followed {
  readonly kind: 'unchanged' | 'runtime' | 'reloaded';
  /** Commands that were needed. */
  readonly commands: number;
}

/**
 * Throws HostError `balancer_failed` with the balancer's own words; then the old file is back and the
 * running process as it was.
 */
export async function followList(
  host: BalancerHost,
  balancer: Balancer,
  wanted: { readonly servers: readonly BalancedServer[]; readonly text: string },
): Promise<Followed> {
  if (wanted.servers.length === 0) {
    throw new HostError('balancer_failed', `${balancer.name}: the list names no server to balance`);
  }
  const before = await host.readText(balancer.file);
  const isSameFile = before === wanted.text;
  if (!isSameFile) await replaceChecked(host, balancer, before, wanted.text);
  const byRuntime = await overRuntime(host, balancer, wanted.servers);
  if (byRuntime !== undefined) {
    return { kind: byRuntime > 0 ? 'runtime' : 'unchanged', commands: byRuntime };
  }
  if (isSameFile && balancer.runtime === undefined) return { kind: 'unchanged', commands: 0 };
  await mustRun(host, balancer, balancer.reload);
  return { kind: 'reloaded', commands: 0 };
}

async function replaceChecked(
  host: BalancerHost,
  balancer: Balancer,
  before: string | undefined,
  text: string,
): Promise<void> {
  await host.writeText(balancer.file, text);
  try {
    await mustRun(host, balancer, balancer.check);
  } catch (error) {
    if (before === undefined) await host.remove(balancer.file);
    else await host.writeText(balancer.file, before);
    throw error;
  }
}

async function mustRun(
  host: BalancerHost,
  { name }: Balancer,
  argv: readonly string[],
): Promise<void> {
  const { code, output } = await host.run(argv);
  if (code === 0) return;
  throw new HostError(
    'balancer_failed',
    `${name}: ${argv.join(' ')}: ${output.trim().slice(-500)}`,
  );
}

/** How many commands it took; undefined when a reload must do it. */
async function overRuntime(
  host: BalancerHost,
  { runtime }: Balancer,
  servers: readonly BalancedServer[],
): Promise<number | undefined> {
  if (runtime === undefined) return undefined;
  const { socket, backend } = runtime;
  try {
    const state = await host.ask(socket, `show servers state ${backend}`);
    const commands = runtimeCommands(backend, parseServersState(state, backend), servers);
    for (const { text, isVital } of commands) {
      const said = (await host.ask(socket, text)).trim();
      if (isVital && isRefusal(said)) return undefined;
    }
    return commands.length;
  } catch (error) {
    if (error instanceof HostError || error instanceof TypeError) return undefined;
    throw new HostError('balancer_failed', `${socket}: ${messageOf(error)}`, { cause: error });
  }
}

/** HAProxy says nothing, or what it did; trouble it puts in a sentence of its own. */
function isRefusal(said: string): boolean {
  return (
    said !== '' &&
    !/^(?:New server registered|no need to change|IP changed|port changed|.*changed from|Server deleted)/i.test(
      said,
    )
  );
}
