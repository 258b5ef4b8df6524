/**
 * A Windows of one campaign's own: a Wine prefix, with stand-ins for what Wine lacks (`tasklist`,
 * `netstat`) and for the agent's service. Wine takes no socket for a pipe, so output goes to files.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../package/bundles.ts';

const compiler = 'x86_64-w64-mingw32-gcc';
const commandMs = 300_000;
const waitMs = 120_000;

export interface Said {
  readonly status: number | null;
  readonly out: string;
}

export class Wine {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;

  /** `folder` takes the prefix and the logs. */
  constructor(folder: string) {
    this.#folder = folder;
    // What Wine does not do is told by its services program: recovery actions, above all.
    this.#env = {
      ...process.env,
      WINEPREFIX: join(folder, 'prefix'),
      WINEDEBUG: '-all,fixme+service',
      WINEDLLOVERRIDES: 'tasklist.exe,netstat.exe=n;mscoree,mshtml=',
    };
  }

  /** A minute: an empty Windows 10, the agent's service installed and not started. */
  setUp(agentConfig: string): void {
    this.must('wineboot', '-i');
    this.must('winecfg', '-v', 'win10');
    const program = join(this.#folder, 'stand-in.exe');
    const source = join(root, 'test/fakes/windows/stand-in.c');
    const libraries = ['-lws2_32', '-liphlpapi', '-ladvapi32'];
    execFileSync(compiler, ['-O2', '-s', '-static', '-o', program, source, ...libraries]);
    for (const name of ['tasklist.exe', 'netstat.exe']) {
      const at = this.path('windows/system32', name);
      rmSync(at, { force: true }); // a link into Wine's own files
      copyFileSync(program, at);
    }
    mkdirSync(this.path(agentFolder), { recursive: true });
    copyFileSync(program, this.path(agentFolder, 'wazuh-agent.exe'));
    writeFileSync(this.path(agentFolder, 'ossec.conf'), agentConfig, 'latin1');
    writeFileSync(this.path(agentFolder, 'VERSION.json'), '{"version":"4.14.8"}');
    writeFileSync(this.path(agentFolder, 'client.keys'), '007 host any 0123\r\n');
    const binary = 'C:\\Program Files (x86)\\ossec-agent\\wazuh-agent.exe';
    copyFileSync(program, this.path('keeper.exe'));
    // It starts the session, so what Wine's services say goes where this one's errors go.
    const errors = openSync(this.log, 'a');
    const stdio = ['ignore', 'ignore', errors] as const;
    spawn('wine', ['C:\\keeper.exe'], { env: this.#env, stdio: [...stdio] }).unref();
    closeSync(errors);
    this.must('sc', 'create', 'WazuhSvc', 'binPath=', binary, 'start=', 'demand');
  }

  /** Of drive C, seen from Linux. */
  path(...names: readonly string[]): string {
    return join(this.#folder, 'prefix/drive_c', ...names);
  }

  read(...names: readonly string[]): string {
    try {
      return readFileSync(this.path(...names), 'latin1');
    } catch {
      return '';
    }
  }

  /** Standard output; what Wine itself says is in `wine.log`. */
  run(...words: readonly string[]): Said {
    const said = join(this.#folder, 'said');
    const output = openSync(said, 'w');
    const errors = openSync(this.log, 'a');
    const stdio = ['ignore', output, errors] as const;
    const options = { env: this.#env, stdio: [...stdio], timeout: commandMs };
    const { status } = spawnSync('wine', [...words], options);
    closeSync(output);
    closeSync(errors);
    return { status, out: readFileSync(said, 'latin1') };
  }

  must(...words: readonly string[]): string {
    const { status, out } = this.run(...words);
    if (status !== 0) throw new Error(`${words.join(' ')}: exit ${status}\n${out}`);
    return out;
  }

  get log(): string {
    return join(this.#folder, 'wine.log');
  }

  /** RUNNING, STOPPED, …; empty when there is no such service. */
  stateOf(service: string): string {
    return /STATE\s*:\s*\d+\s+(\w+)/.exec(this.run('sc', 'query', service).out)?.[1] ?? '';
  }

  /**
   * `sc` also fails for a service that runs already: what counts is the state. Wine gives up on one
   * that takes a busy machine ten seconds to start (1053); it is told again.
   */
  async start(service: string): Promise<void> {
    await this.until(`${service} runs`, () => {
      const state = this.stateOf(service);
      if (state === 'STOPPED') this.run('sc', 'start', service);
      return state === 'RUNNING';
    });
  }

  async stopService(service: string): Promise<void> {
    this.run('sc', 'stop', service);
    await this.until(`${service} is stopped`, () => this.stateOf(service) === 'STOPPED');
  }

  async until(what: string, isSo: () => boolean): Promise<void> {
    for (const end = Date.now() + waitMs; Date.now() < end; await sleep(500)) {
      if (isSo()) return;
    }
    throw new Error(`${what}: not within ${waitMs / 1000} s`);
  }

  stop(): void {
    spawnSync('wineserver', ['-k'], { env: this.#env });
    spawnSync('wineserver', ['-w'], { env: this.#env, timeout: 30_000 });
  }
}

export const agentFolder = 'Program Files (x86)/ossec-agent';

/** The same file as Windows names it. */
export function windowsPath(path: string): string {
  return `Z:${path.replaceAll('/', '\\')}`;
}
