/**
 * A host without systemd: both debs, their SysV or OpenRC scripts enabled, a reboot. What ran before
 * runs after, was stopped in order in between, and moves the agent off a dead manager; purge ends it.
 * Throws at the first thing that is not as it must be.
 */
import { match, ok, strictEqual as same } from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../package/bundles.ts';
import type { Container, Init } from './container.ts';
import { managers } from './stand-in.ts';

const node = join(root, 'node_modules/.bin/node');
const config = '/var/ossec/etc/ossec.conf';
const names = ['pilotfish-publisher', 'pilotfish'] as const;
const common = 'sysvinit-core,initscripts,libatomic1,libstdc++6,iproute2,procps,passwd,openssl';

export interface OldInit extends Init {
  /** A line of shell that makes a service start at boot. */
  enable(service: string): string;
  disable(service: string): string;
}

export const sysv: OldInit = {
  name: 'bookworm-sysv',
  packages: `${common},sysv-rc,insserv,startpar`,
  state: 'runlevel',
  isUp: ({ out }) => out.startsWith('N 2'),
  enable: (service) => `update-rc.d ${service} defaults`,
  disable: (service) => `update-rc.d ${service} remove`,
};

export const openRc: OldInit = {
  name: 'bookworm-openrc',
  packages: `${common},sysv-rc,insserv,startpar`,
  later: ['openrc'],
  state: 'rc-status --runlevel',
  isUp: ({ out }) => out.trim() === 'default',
  enable: (service) => `rc-update add ${service}`,
  disable: (service) => `rc-update del ${service}`,
};

export class BootLife {
  readonly #host: Container;
  readonly #init: OldInit;
  /** Folder of the debs. */
  readonly #packages: string;
  readonly #print: (line: string) => void;

  constructor(host: Container, init: OldInit, packages: string, print: (line: string) => void) {
    this.#host = host;
    this.#init = init;
    this.#packages = packages;
    this.#print = print;
  }

  async live(): Promise<void> {
    const host = this.#host;
    host.run(`${node} ${join(root, 'scripts/install/stand-in.ts')} --no-systemd`);
    await host.until('cat /var/ossec/var/run/wazuh-agentd.state', ({ out }) =>
      out.includes("status='connected'"),
    );
    const original = host.run(`sha256sum <${config}; stat -c '%U:%G %a' ${config}`);
    await this.#step('installed', () => this.#install());
    await this.#step('rebooted', () => this.#reboot());
    await this.#step('dead manager', () => this.#leaveDeadManager());
    await this.#step('purged', async () => {
      for (const name of names.toReversed()) host.run(`dpkg -P ${name}`);
      same(host.run(`sha256sum <${config}; stat -c '%U:%G %a' ${config}`), original);
      same(host.try('ls -d /etc/init.d/pilotfish* /var/lib/pilotfish* 2>/dev/null').out, '');
      same(host.try("pgrep -f '[p]ilotfish'").out, '');
      for (const name of names) host.try(this.#init.disable(name));
      return 'ossec.conf byte for byte as before us, nothing of ours runs or is left';
    });
  }

  async #step(name: string, work: () => Promise<string>): Promise<void> {
    const since = performance.now();
    const seen = await work();
    this.#print(`${name} (${Math.round((performance.now() - since) / 1000)} s): ${seen}`);
  }

  /** Nothing starts by itself there, as the README says: enabled and started as it tells people to. */
  async #install(): Promise<string> {
    const host = this.#host;
    host.run(`dpkg -i ${this.#deb('pilotfish-publisher')}`);
    const named = managers.map((address, index) => `--manager wm${index + 1}=${address}:1514`);
    host.run(
      `pilotfish-publisher init --org lab --url https://127.0.0.1:8443 --listen 127.0.0.1:8443 ${named.join(' ')}`,
    );
    const token = host.run('pilotfish-publisher token').match(/pfj1\.\S+/)?.[0] ?? '';
    host.run(`PILOTFISH_JOIN_TOKEN=${token} dpkg -i ${this.#deb('pilotfish')}`);
    for (const name of names) {
      same(host.try(`/etc/init.d/${name} status`).status, 3, `${name} started by itself`);
      host.run(`${this.#init.enable(name)} && /etc/init.d/${name} start`);
    }
    await this.#onList();
    return `enabled and started, list arrived, agent on ${await this.#peer()}`;
  }

  async #reboot(): Promise<string> {
    const host = this.#host;
    const before = this.#told();
    const bootId = host.run('stat -c %Y /proc/1');
    await host.reboot();
    ok(host.run('stat -c %Y /proc/1') !== bootId, 'the same init as before');
    for (const name of names) {
      await host.until(`/etc/init.d/${name} status`, ({ status }) => status === 0);
    }
    await this.#onList();
    const after = this.#told();
    same(after.stopped, before.stopped + 1, 'the sidecar was not stopped in order');
    same(after.started, before.started + 1, 'the sidecar started more than once');
    const running = host.run("ps -eo user:20,args | grep '[p]ilotfish'");
    match(running, /^pilotfish +\/usr\/bin\/pilotfish run/m);
    match(running, /^root .*applier/m);
    match(running, /^pilotfish-publisher +\/usr\/bin\/pilotfish-publisher run/m);
    return `stopped in order, started at boot: ${running.trim().split('\n').length} processes, agent on ${await this.#peer()}`;
  }

  #told(): { readonly started: number; readonly stopped: number } {
    const log = this.#host.run('cat /var/log/pilotfish.log');
    const count = (event: string): number => log.split(`"event":"${event}"`).length - 1;
    return { started: count('sidecar.started'), stopped: count('sidecar.stopped') };
  }

  async #leaveDeadManager(): Promise<string> {
    const inUse = await this.#peer();
    const since = Date.now();
    this.#host.run(`pkill -KILL -f '[m]anager.ts --listen ${inUse}:1514'`);
    await this.#host.until('true', () => {
      const peer = this.#peerNow();
      return peer !== undefined && peer !== inUse;
    });
    return `${inUse} killed: agent on ${await this.#peer()} after ${Date.now() - since} ms`;
  }

  async #onList(): Promise<void> {
    await this.#host.until(`cat ${config}`, ({ out }) =>
      managers.every((address) => out.includes(`<address>${address}</address>`)),
    );
    await this.#host.until('pilotfish check', ({ status }) => status === 0);
  }

  /** Of the list. */
  async #peer(): Promise<string> {
    await this.#host.until('true', () => this.#peerNow() !== undefined);
    return this.#peerNow() ?? '';
  }

  #peerNow(): (typeof managers)[number] | undefined {
    const { out } = this.#host.try('ss -Htnp state established dport = :1514');
    return managers.find((address) => out.includes(`${address}:1514`));
  }

  #deb(name: string): string {
    const pattern = new RegExp(`^${name}_\\d.*amd64\\.deb$`);
    const found = readdirSync(this.#packages).find((file) => pattern.test(file));
    if (found === undefined) throw new Error(`${this.#packages} holds no deb of ${name}`);
    return join(this.#packages, found);
  }
}
