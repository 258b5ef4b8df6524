/**
 * The life of an installation in a booted system, the same from deb and rpm: publisher, join by
 * token, rewrite by the applier, move off a dead manager, upgrade, downgrade, timer, removal.
 * Throws at the first thing that is not as it must be; `print` tells what was seen.
 */
import { ok, strictEqual as same } from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../package/bundles.ts';
import type { Container } from './container.ts';
import { findSecrets } from './secrets.ts';
import { managers } from './stand-in.ts';

export type Format = 'deb' | 'rpm';
type Print = (line: string) => void;

export interface Packages {
  /** Folder with the packages to begin with, and with those of a later version. */
  readonly first: string;
  readonly later: string;
}

/** One step of the life, and what was seen of it. */
export interface Shown {
  readonly name: string;
  readonly seconds: number;
  readonly seen: string;
}

const node = join(root, 'node_modules/.bin/node');
const config = '/var/ossec/etc/ossec.conf';

/** How each packaging system is told what to do. */
const verbs: Readonly<Record<Format, Verbs>> = {
  deb: {
    install: (file) => `dpkg -i ${file}`,
    replace: (file) => `dpkg -i ${file}`,
    remove: (name) => `dpkg -P ${name}`,
  },
  rpm: {
    install: (file) => `rpm -i --nodeps ${file}`,
    replace: (file) => `rpm -U --nodeps --oldpackage ${file}`,
    remove: (name) =>
      `rpm -e ${name} && rm -rf /etc/${name} /var/lib/${name} /var/lib/${name}-apply`,
  },
};

interface Verbs {
  install(file: string): string;
  replace(file: string): string;
  /** With everything it kept. */
  remove(name: string): string;
}

export class Installation {
  readonly #host: Container;
  readonly #format: Format;
  readonly #packages: Packages;
  readonly #print: Print;
  readonly #shown: Shown[] = [];
  #original = '';
  #token = '';

  constructor(host: Container, format: Format, packages: Packages, print: Print) {
    this.#host = host;
    this.#format = format;
    this.#packages = packages;
    this.#print = print;
  }

  /** `measure` runs while everything is up and calm. Returns what each step showed, in order. */
  async live(measure: (host: Container) => Promise<void>): Promise<readonly Shown[]> {
    await this.#step('agent', () => this.#startAgent());
    await this.#step('publisher', () => this.#startPublisher());
    await this.#step('join', () => this.#joinByToken());
    await this.#step('dead manager', () => this.#leaveDeadManager());
    await this.#step('file removed', () => this.#bringBackFile());
    await this.#step('drift', () => this.#tellDrift());
    await this.#step('secrets', async () => this.#lookForSecrets());
    await measure(this.#host);
    await this.#step('upgrade', () => this.#replace('later'));
    await this.#step('downgrade', () => this.#replace('first'));
    await this.#step('timer', () => this.#byTimer());
    await this.#step('removal', async () => this.#remove());
    return this.#shown;
  }

  async #step(name: string, work: () => Promise<string>): Promise<void> {
    const since = performance.now();
    const seen = await work();
    const seconds = Math.round((performance.now() - since) / 1000);
    this.#shown.push({ name, seconds, seen });
    this.#print(`${name} (${seconds} s): ${seen}`);
  }

  async #startAgent(): Promise<string> {
    const host = this.#host;
    host.run(`${node} ${join(root, 'scripts/install/stand-in.ts')}`);
    await host.until('cat /var/ossec/var/run/wazuh-agentd.state', connected);
    this.#original = host.run(`sha256sum <${config}; stat -c '%U:%G %a' ${config}`);
    return `stand-in, connected to ${this.#peer()}`;
  }

  async #startPublisher(): Promise<string> {
    const host = this.#host;
    host.run(verbs[this.#format].install(this.#file('first', 'pilotfish-publisher')));
    const named = managers.map((address, index) => `--manager wm${index + 1}=${address}:1514`);
    host.run(
      `pilotfish-publisher init --org lab --url https://127.0.0.1:8443 --listen 127.0.0.1:8443 ${named.join(' ')}`,
    );
    host.run('systemctl start pilotfish-publisher'); // Type=notify: returns when it listens
    const state = host.run('systemctl show -P StatusText pilotfish-publisher').trim();
    this.#token = host.run('pilotfish-publisher token').match(/pfj1\.\S+/)?.[0] ?? '';
    const groups = host.run('id -nG pilotfish-publisher').trim();
    ok(groups.split(' ').includes('wazuh'), `pilotfish-publisher is only in ${groups}`);
    host.run(
      `setpriv --reuid=pilotfish-publisher --init-groups test -r /var/ossec/etc/client.keys`,
    );
    return `${state}, reads client.keys, keys of ${host.run('stat -c %U /var/lib/pilotfish-publisher/publisher.yml').trim()}`;
  }

  /** The settings come in the environment of a first installation, as in a fleet. */
  async #joinByToken(): Promise<string> {
    const host = this.#host;
    const install = verbs[this.#format].install(this.#file('first', 'pilotfish'));
    host.run(`PILOTFISH_JOIN_TOKEN=${this.#token} PILOTFISH_ZONE=default ${install}`);
    await this.#onList();
    same(host.run('systemctl show -P User pilotfish.service').trim(), 'pilotfish');
    same(host.run('stat -c %U /var/lib/pilotfish-apply/memory.a').trim(), 'root');
    same(host.run(`stat -c '%U:%G %a' ${config}`).trim(), 'root:wazuh 660');
    ok(/outcome/.test(host.run('cat /var/lib/pilotfish-apply/results/result.json')));
    const home = host.run('cat /proc/$(cat /var/ossec/var/run/wazuh-agentd-*.pid)/cgroup');
    ok(home.includes('/wazuh-agent.service'), `agentd was left in ${home}`);
    const groups = host.run('id -nG pilotfish').trim();
    ok(groups.split(' ').includes('wazuh'), `pilotfish is only in ${groups}`);
    return `by token from the environment; agent moved to ${this.#peer()} and kept in the cgroup of its unit; pilotfish in ${groups}`;
  }

  /** ossec.conf names the managers of the list, and the agent has left the one it came with. */
  async #onList(): Promise<void> {
    await this.#host.until(`cat ${config}`, ({ out }) =>
      managers.every((address) => out.includes(`<address>${address}</address>`)),
    );
    await this.#host.until('pilotfish check', ({ status }) => status === 0);
  }

  async #leaveDeadManager(): Promise<string> {
    const host = this.#host;
    const inUse = this.#peer();
    const index = managers.indexOf(inUse as (typeof managers)[number]) + 1;
    ok(index > 0, `the agent talks to ${inUse}, which is not of the list`);
    const since = Date.now();
    host.run(`kill -KILL $(systemctl show -P MainPID manager-${index})`);
    await host.until('true', () => {
      const peer = this.#peer();
      return peer !== '' && peer !== inUse;
    });
    const tookMs = Date.now() - since;
    host.run(`systemctl reset-failed manager-${index} || true`);
    return `${inUse} killed: agent on ${this.#peer()} after ${tookMs} ms`;
  }

  /** The unprivileged half asks, the applier makes the file anew with its owner and mode. */
  async #bringBackFile(): Promise<string> {
    const host = this.#host;
    const others = `sed '/<server>/,/<\\/server>/d' ${config} | sha256sum; stat -c '%U:%G %a' ${config}`;
    const before = host.run(others);
    host.run(`rm ${config}`);
    const since = Date.now();
    await host.until(`test -e ${config}`, ({ status }) => status === 0);
    const tookMs = Date.now() - since;
    await this.#onList();
    same(host.run(others), before);
    return `back after ${tookMs} ms, then the list; other bytes, owner and mode as before`;
  }

  /** What somebody else wrote into our entries is in the status of the half without rights. */
  async #tellDrift(): Promise<string> {
    const host = this.#host;
    host.run('pilotfish pause 5m --reason campaign');
    host.run(`sed -i 's/${managers[1]}/127.0.0.99/' ${config}`);
    const drifted = `pilotfish status --json`;
    await host.until(drifted, ({ out }) => /E505 drift[^"]*127\.0\.0\.99/.test(out));
    host.run(`sed -i 's/127.0.0.99/${managers[1]}/' ${config}`);
    await host.until(drifted, ({ out }) => !/E505 drift/.test(out));
    host.run('pilotfish resume');
    await this.#onList();
    return 'told by status while paused, gone when mended';
  }

  /** Address of the manager that the agent's own socket names. */
  #peer(): string {
    const { out } = this.#host.try('ss -Htn state established dport = :1514');
    return /(127\.0\.0\.\d+):1514\s*$/m.exec(out.replace(/ +$/gm, ''))?.[1] ?? '';
  }

  #lookForSecrets(): string {
    const hits = findSecrets(this.#host);
    same(hits.join('\n'), '');
    return 'none in argv, environments, logs, world-readable files';
  }

  async #replace(which: keyof Packages): Promise<string> {
    const host = this.#host;
    const before = this.#state();
    for (const name of ['pilotfish-publisher', 'pilotfish']) {
      host.run(verbs[this.#format].replace(this.#file(which, name)));
    }
    await host.until(
      'systemctl is-active pilotfish pilotfish-publisher',
      ({ status }) => status === 0,
    );
    await this.#onList();
    same(this.#state(), before);
    return `${host.run('pilotfish version').split('\n')[0]}; token, settings, original, ossec.conf kept`;
  }

  /** What must outlive a change of version. */
  #state(): string {
    return this.#host.run(
      `cd /var/lib && sha256sum pilotfish/token pilotfish-apply/backups/original.conf /etc/pilotfish/pilotfish.yml ${config} pilotfish-publisher/publisher.yml`,
    );
  }

  async #byTimer(): Promise<string> {
    const host = this.#host;
    host.run('systemctl disable --now pilotfish && systemctl enable --now pilotfish-once.timer');
    host.run('systemctl start pilotfish-once.service');
    await host.until('systemctl show -P Result pilotfish-once.service', ({ out }) =>
      out.startsWith('success'),
    );
    same(host.try('systemctl is-active pilotfish').out.trim(), 'inactive');
    return 'one cycle, no resident process';
  }

  #remove(): string {
    const host = this.#host;
    const { remove } = verbs[this.#format];
    host.run(remove('pilotfish'));
    host.run(remove('pilotfish-publisher'));
    same(host.run(`sha256sum <${config}; stat -c '%U:%G %a' ${config}`), this.#original);
    same(
      host.try('ls -d /etc/pilotfish* /var/lib/pilotfish* /usr/lib/pilotfish* 2>/dev/null').out,
      '',
    );
    same(
      host
        .try('systemctl list-units --no-legend "pilotfish*.*" | grep -v pilotfish-agentd')
        .out.trim(),
      '',
    );
    return 'ossec.conf byte for byte as before us, nothing of ours left';
  }

  #file(which: keyof Packages, name: string): string {
    const pattern = new RegExp(`^${name}[-_]\\d.*(?:amd64\\.deb|x86_64\\.rpm)$`);
    const folder = this.#packages[which];
    const found = readdirSync(folder).find(
      (file) => pattern.test(file) && file.endsWith(this.#format),
    );
    if (found === undefined) throw new Error(`${folder} holds no ${this.#format} of ${name}`);
    return join(folder, found);
  }
}

function connected({ out }: { readonly out: string }): boolean {
  return out.includes("status='connected'");
}
