/**
 * Two hosts in network namespaces of their own, joined by a bridge, with a virtual IP that Debian's
 * keepalived moves between them. To be run inside a fresh network namespace (`unshare --net`): it has
 * no name, so nothing of it is left when the processes end. Root only.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, type StandInProcess, StandIns } from '../../test/fakes/processes.ts';

export const vip = '10.231.77.100';
const managerPath = fileURLToPath(new URL('../../test/fakes/manager.ts', import.meta.url));

/** Why it cannot be had here, or undefined. */
export function missingForVip(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const argv of [
    ['unshare', '--net', 'ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'],
    ['keepalived', '--version'],
    ['openssl', 'version'],
  ]) {
    const [program = '', ...args] = argv;
    if (spawnSync(program, args, { stdio: 'ignore' }).status !== 0)
      return `needs ${argv[0] === 'unshare' ? 'network namespaces and ip' : program}`;
  }
  return undefined;
}

export interface VipHost {
  readonly name: string;
  readonly manager: StandInProcess;
  readonly keepalived: StandInProcess;
  /** Argv that runs in this host's namespace. */
  inside(...argv: readonly string[]): readonly string[];
}

/** How the address leaves the host that has it. */
export type VipMove = 'clean' | 'unclean' | 'silent';

export class VipNetwork {
  readonly #folder: string;
  readonly #standIns = new StandIns();
  readonly hosts: VipHost[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(): Promise<void> {
    run('ip', 'link', 'set', 'lo', 'up');
    run('ip', 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
    run('ip', 'address', 'add', '10.231.77.1/24', 'dev', 'br0');
    run('ip', 'link', 'set', 'br0', 'up');
    this.hosts.push(await this.#startHost('a', 11, 150));
    await eventually('the first host has the address', () => this.#has(0), 60_000);
    this.hosts.push(await this.#startHost('b', 12, 100));
  }

  /** The instant at which it was done, wall clock. */
  move(kind: VipMove): number {
    const [from, to] = this.hosts;
    if (from === undefined || to === undefined) throw new Error('not started');
    if (kind === 'silent')
      run(
        ...to.inside(
          'iptables',
          '-A',
          'OUTPUT',
          '-p',
          'tcp',
          '--tcp-flags',
          'RST',
          'RST',
          '-j',
          'DROP',
        ),
      );
    const atMs = Date.now();
    if (kind === 'clean') from.keepalived.signal('SIGTERM');
    else run(...from.inside('ip', 'link', 'set', 'eth0', 'down'));
    return atMs;
  }

  stop(): Promise<void> {
    return this.#standIns.stopAll();
  }

  async #startHost(name: string, octet: number, priority: number): Promise<VipHost> {
    const anchor = this.#standIns.start('unshare', ['--net', 'sleep', 'infinity']);
    await eventually('its namespace is there', () => isApart(anchor.pid));
    const inside = (...argv: readonly string[]) => [
      'nsenter',
      '-t',
      String(anchor.pid),
      '-n',
      ...argv,
    ];
    run(
      'ip',
      'link',
      'add',
      `v${name}`,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      String(anchor.pid),
    );
    run('ip', 'link', 'set', `v${name}`, 'master', 'br0', 'up');
    run(...inside('ip', 'link', 'set', 'lo', 'up'));
    run(...inside('ip', 'address', 'add', `10.231.77.${octet}/24`, 'dev', 'eth0'));
    run(...inside('ip', 'link', 'set', 'eth0', 'up'));
    const folder = join(this.#folder, name);
    mkdirSync(folder, { recursive: true });
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    run(
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      key,
      '-out',
      certificate,
    );
    this.#start(
      inside('openssl', 's_server', '-accept', '1515', '-www', '-key', key, '-cert', certificate),
    );
    const manager = this.#start(
      inside(
        process.execPath,
        managerPath,
        '--listen',
        '0.0.0.0:1514',
        '--name',
        `wm-${name}`,
        '--overtake-ms',
        '0',
      ),
    );
    await manager.waitFor({ event: 'mode' });
    writeFileSync(join(folder, 'keepalived.conf'), keepalivedConfig(name, priority));
    const files = [
      '-f',
      join(folder, 'keepalived.conf'),
      '-p',
      join(folder, 'pid'),
      '-r',
      join(folder, 'vrrp.pid'),
    ];
    const keepalived = this.#start(inside('keepalived', '-n', '-l', '-P', ...files));
    return { name, manager, keepalived, inside };
  }

  #start(argv: readonly string[]): StandInProcess {
    const [program = '', ...args] = argv;
    return this.#standIns.start(program, args);
  }

  #has(index: number): boolean {
    const argv = this.hosts[index]?.inside('ip', '-4', 'address', 'show', 'dev', 'eth0') ?? [];
    return argv.length > 0 && run(...argv).includes(vip);
  }
}

/** As people write it: one second between advertisements. */
function keepalivedConfig(name: string, priority: number): string {
  return `global_defs {
  router_id ${name}
}
vrrp_instance wazuh {
  state BACKUP
  interface eth0
  virtual_router_id 77
  priority ${priority}
  advert_int 1
  virtual_ipaddress {
    ${vip}/24 dev eth0
  }
}
`;
}

function isApart(pid: number): boolean {
  const of = (id: number | string): string => run('readlink', `/proc/${id}/ns/net`);
  return of(pid) !== of(process.pid);
}

function run(...argv: readonly string[]): string {
  const [program = '', ...args] = argv;
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
