/**
 * Makes an address of this machine vanish: every packet to and from it is dropped where it arrives
 * (INPUT on lo), as a dead host or a cable would drop it. Dropping on the way out (OUTPUT) would
 * tell the sender's kernel (EPERM), which no network does. Needs root and iptables; every rule
 * carries the process id that made it, and rules of dead processes are swept away at the next use.
 */
import { spawnSync } from 'node:child_process';
import { isIPv6 } from 'node:net';
import { isAlive } from './life-line.ts';

const tag = 'pilotfish-blackhole';

const opened = new Set<Blackhole>();
process.once('exit', () => {
  for (const blackhole of opened) blackhole.close();
});

/** Why blackholes cannot be made here, or undefined when they can. For `skip` of node:test. */
export function canBlackhole(): string | undefined {
  if (process.getuid?.() !== 0) return 'a blackhole needs root';
  if (iptables('192.0.2.1', ['-V']).status !== 0) return 'a blackhole needs iptables';
  sweepBlackholes();
  // A documentation address, through lo: harms nobody.
  const probe = new Blackhole('192.0.2.1');
  try {
    probe.open();
    return undefined;
  } catch (error) {
    return `iptables does not work here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    probe.close();
  }
}

/** One vanishing address; `ports` limits it to some TCP ports, without them the whole host is gone. */
export class Blackhole {
  readonly #rules: readonly (readonly string[])[];
  readonly #address: string;
  #open: (readonly string[])[] = [];

  constructor(address: string, ports?: readonly number[]) {
    this.#address = address;
    this.#rules = rules(address, ports);
  }

  /** From now on nothing arrives. Throws with what iptables said. */
  open(): void {
    sweepBlackholes();
    opened.add(this);
    for (const rule of this.#rules) {
      const { status, stderr } = iptables(this.#address, ['-I', ...rule]);
      if (status !== 0) throw new Error(stderr.trim());
      this.#open.push(rule);
    }
  }

  /** Packets flow again; harmless twice. */
  close(): void {
    for (const rule of this.#open) iptables(this.#address, ['-D', ...rule]);
    this.#open = [];
    opened.delete(this);
  }
}

/** Removes the rules of processes that died before they could. */
export function sweepBlackholes(): void {
  for (const family of ['127.0.0.1', '::1']) {
    const { stdout } = iptables(family, ['-S', 'INPUT']);
    for (const line of stdout.split('\n')) {
      const pid = new RegExp(`${tag}:(\\d+)`).exec(line)?.[1];
      if (pid === undefined || isAlive(Number(pid))) continue;
      const [, ...rule] = line.replaceAll('"', '').split(' ');
      iptables(family, ['-D', ...rule]);
    }
  }
}

function rules(address: string, ports?: readonly number[]): readonly (readonly string[])[] {
  const comment = ['-m', 'comment', '--comment', `${tag}:${process.pid}`, '-j', 'DROP'];
  const rule = (...match: readonly string[]): string[] => [
    'INPUT',
    '-i',
    'lo',
    ...match,
    ...comment,
  ];
  if (ports === undefined) return [rule('-d', address), rule('-s', address)];
  return ports.flatMap((port) => [
    rule('-d', address, '-p', 'tcp', '--dport', String(port)),
    rule('-s', address, '-p', 'tcp', '--sport', String(port)),
  ]);
}

function iptables(
  address: string,
  args: readonly string[],
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const program = isIPv6(address) ? 'ip6tables' : 'iptables';
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  const { status, stdout, stderr } = spawnSync(program, ['-w', '5', ...args], {
    encoding: 'utf8',
    timeout: 10_000,
    env: { ...process.env, PATH: path },
  });
  return { status, stdout: stdout ?? '', stderr: stderr ?? '' };
}
