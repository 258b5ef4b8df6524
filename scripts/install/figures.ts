/** What the installed binary costs: start time, memory, CPU over a minute, exposure of its units. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Container } from './container.ts';

const starts = 10;
const idleS = 60;

export async function measureInstallation(
  host: Container,
  print: (line: string) => void,
): Promise<void> {
  for (const program of ['pilotfish', 'pilotfish-publisher']) {
    print(`${program}: version in ${startMs(host, `${program} version`)} ms (median of ${starts})`);
    const before = readCpuMs(host, program);
    await sleep(idleS * 1000);
    const cpuMs = readCpuMs(host, program) - before;
    print(`${program}: ${readMemory(host, program)}; CPU ${cpuMs} ms in ${idleS} s`);
  }
  const units =
    'pilotfish.service pilotfish-apply.service pilotfish-once.service pilotfish-publisher.service';
  for (const unit of units.split(' ')) {
    const { out } = host.try(
      `systemd-analyze security --offline=true /usr/lib/systemd/system/${unit}`,
    );
    print(out.trim().split('\n').at(-1) ?? '');
  }
}

function startMs(host: Container, command: string): number {
  const times = Array.from({ length: starts }, () => {
    const since = performance.now();
    host.run(command);
    return performance.now() - since;
  });
  return Math.round(times.toSorted((left, right) => left - right)[starts / 2] ?? 0);
}

function mainPid(host: Container, program: string): string {
  return host.run(`systemctl show -P MainPID ${program}`).trim();
}

function readCpuMs(host: Container, program: string): number {
  const stat = host.run(`cat /proc/${mainPid(host, program)}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Private: what would come back if it ended; resident counts shared pages of the file too. */
function readMemory(host: Container, program: string): string {
  const rollup = host.run(`cat /proc/${mainPid(host, program)}/smaps_rollup`);
  const of = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
  const mb = (kib: number): string => (kib / 1024).toFixed(1);
  const ours = of('Private_Dirty');
  return `resident ${mb(of('Rss'))} MB, proportional ${mb(of('Pss'))}, anonymous ${mb(of('Anonymous'))}, private dirty ${mb(ours)}`;
}
