/** Clusters to be measured, ours and stock: homes, processes, what /proc tells of them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const key = 'c98b62a9b6169ac5f67dae55ae4a9088';

/** How nodes of one make are set up and started. */
export interface Make {
  readonly subject: 'ours' | 'stock' | 'stock as shipped';
  prepare(home: string, type: 'master' | 'worker', name: string, port: number): void;
  start(home: string, type: 'master' | 'worker', name: string, port: number): ChildProcess;
}

/** Ours as it is shipped: bundled into `folder`, without type stripping at the start. */
export async function oursIn(folder: string): Promise<Make> {
  return oursFrom(await bundled(folder, 'scripts/bench-peers/cluster-node.ts'));
}

/** Path of a program that is bundled as ours are shipped, beside the thread that it starts. */
export async function bundled(folder: string, entry: string): Promise<string> {
  const entryPoints = [entry, 'src/host/cluster-files-thread.ts'];
  const absWorkingDir = fileURLToPath(new URL('../..', import.meta.url));
  const banner = {
    js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;',
  };
  await build({
    ...{ entryPoints, absWorkingDir, banner, outdir: folder, entryNames: '[name]' },
    ...{ bundle: true, minify: true, platform: 'node', format: 'cjs', target: 'node26' },
    define: { 'import.meta.url': '__moduleUrl' },
    outExtension: { '.js': '.cjs' },
    logLevel: 'error',
  });
  return join(folder, `${basename(entry, '.ts')}.cjs`);
}

const oursFrom = (runner: string): Make => ({
  subject: 'ours',
  prepare: makeFolders,
  start: (home, type, name, port) =>
    spawn(process.execPath, [runner, home, type, name, String(port)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
});

/**
 * `template`: a home of the stock daemon that runs (see the note of the bench). With short polls it
 * looks for work each second, else as it is shipped.
 */
export function stockFrom(template: string, polls: 'short' | 'shipped'): Make {
  return {
    subject: polls === 'short' ? 'stock' : 'stock as shipped',
    prepare(home, type, name, port) {
      cpSync(template, home, { recursive: true, preserveTimestamps: true }); // compiled Python stays good
      for (const folder of ['etc', 'queue/cluster', 'logs', 'var']) {
        rmSync(join(home, folder), { recursive: true, force: true });
      }
      makeFolders(home);
      for (const folder of ['queue/cluster', 'logs/cluster', 'var/run', 'queue/db', 'tmp']) {
        mkdirSync(join(home, folder), { recursive: true });
      }
      writeFileSync(join(home, 'etc/ossec.conf'), stockConfig(type, name, port));
      for (const file of ['internal_options.conf', 'local_internal_options.conf']) {
        writeFileSync(join(home, 'etc', file), 'wazuh_clusterd.debug=0\n');
      }
      if (polls === 'short') shorten(join(home, 'framework/wazuh/core/cluster/cluster.json'));
    },
    start(home) {
      const script = join(home, 'framework/scripts/wazuh_clusterd.py');
      const PYTHONPATH = `${join(home, 'pylib')}:${join(home, 'framework')}`;
      const env = { ...process.env, PYTHONPATH };
      const options = { cwd: home, env, stdio: 'ignore' as const };
      return spawn('/usr/bin/python3', [script, '-f', '-r'], options);
    },
  };
}

/** The folders of a Wazuh home that a node looks into. */
export function makeFolders(home: string): void {
  for (const item of ['shared', 'rules', 'decoders', 'lists']) {
    mkdirSync(join(home, 'etc', item), { recursive: true });
  }
  mkdirSync(join(home, 'var/multigroups'), { recursive: true });
  mkdirSync(join(home, 'logs'), { recursive: true });
}

function stockConfig(type: string, name: string, port: number): string {
  return (
    `<ossec_config><cluster><name>wazuh</name><node_name>${name}</node_name>` +
    `<node_type>${type}</node_type><key>${key}</key><port>${port}</port>` +
    '<bind_addr>127.0.0.1</bind_addr><nodes><node>127.0.0.1</node></nodes>' +
    '<hidden>no</hidden><disabled>no</disabled></cluster></ossec_config>\n'
  );
}

/** Polls of one second: what is measured shall be work, not waiting. */
function shorten(path: string): void {
  const json = JSON.parse(readFileSync(path, 'utf8'));
  json.intervals.worker.sync_integrity = 1;
  json.intervals.master.recalculate_integrity = 1;
  writeFileSync(path, JSON.stringify(json));
}

export type Load = (home: string) => number;

/** `count` files of 2 KB in folders of a hundred. Returns the number of files. */
export function smallFiles(count: number): Load {
  return (home) => {
    for (let index = 0; index < count; index++) {
      const path = join(home, `etc/shared/g${Math.floor(index / 100)}/f${index}.conf`);
      if (index % 100 === 0) mkdirSync(dirname(path), { recursive: true });
      writeFileSync(
        path,
        `${index}\n${'<agent_config os="linux"/>\n'.repeat(72)}${randomBytes(24).toString('hex')}\n`,
      );
    }
    return count;
  };
}

/** One file of 200 MB and a hundred of 1 MB, random. */
export const largeFiles: Load = (home) => {
  mkdirSync(join(home, 'etc/shared/large'), { recursive: true });
  writeFileSync(join(home, 'etc/shared/large/big.bin'), randomBytes(200_000_000));
  for (let index = 0; index < 100; index++) {
    writeFileSync(join(home, `etc/shared/large/${index}.bin`), randomBytes(1_000_000));
  }
  return 101;
};

export function countFiles(home: string): number {
  const entries = readdirSync(join(home, 'etc/shared'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && !entry.name.endsWith('.tmp')).length;
}

export function logOf(home: string): string {
  const path = join(home, 'logs/cluster.log');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

export interface Usage {
  readonly cpuS: number;
  readonly peakMb: number;
}

/** Of a process and all its children, those that ended too. */
export function usageOf(pid: number): Usage {
  const children = readText(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean);
  const below = children.map((child) => usageOf(Number(child)));
  const fields = readText(`/proc/${pid}/stat`)
    .replace(/^.*\) /, '')
    .split(' ');
  const ticks = [11, 12, 13, 14].map((index) => Number(fields[index] ?? 0));
  const peakKb = Number(/VmHWM:\s+(\d+)/.exec(readText(`/proc/${pid}/status`))?.[1] ?? 0);
  return {
    cpuS: ticks.reduce((sum, one) => sum + one, 0) / 100 + sum(below, 'cpuS'),
    peakMb: peakKb / 1024 + sum(below, 'peakMb'),
  };
}

function sum(list: readonly Usage[], member: keyof Usage): number {
  return list.reduce((total, one) => total + one[member], 0);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(timer);
}
