/**
 * A publisher of one test's own making (it serves whatever the test wants), an agent's home, and the
 * POSIX applier run in it by the shell the test names. Everything ends with the test.
 */
import { spawn, spawnSync } from 'node:child_process';
import { sign } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { encodeBase64Url, encodeUtf8, sha256Tag } from '../../src/bytes.ts';
import { buildCertificateMaker } from '../../src/host/certificate-maker.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { signFlat } from '../../src/list/flat.ts';
import type { ManagerList, Root } from '../../src/list/model.ts';
import { renderList } from '../../src/list/parse-list.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { type SigningKey, signReceipt } from '../../src/list/sign.ts';
import { renderToken } from '../../src/list/token.ts';
import { aList, aManager, aRoot, listKeys, signedRoot } from '../list/documents.ts';

export const program = fileURLToPath(
  new URL('../../installers/posix/pilotfish-sh', import.meta.url),
);
const maker = buildCertificateMaker(systemClock, systemRandom);
const authority = maker.makeAuthority({ org: 'acme-7f3a', validDays: 30 });
const certificate = maker.makeServer({ authority, hosts: ['127.0.0.1'], validDays: 30 });

export const shells = [
  { name: 'dash', argv: ['dash'], awk: 'awk' },
  { name: 'busybox', argv: ['busybox', 'sh'], awk: 'busybox' },
].filter(
  ({ argv: [command = '', ...rest] }) => spawnSync(command, [...rest, '-c', ':']).status === 0,
);

/** The awks of this machine, by name. */
export const awks = [
  { name: 'awk', argv: ['awk'] },
  { name: 'busybox awk', argv: ['busybox', 'awk'] },
].filter(
  ({ argv: [command = '', ...rest] }) => spawnSync(command, [...rest, 'BEGIN{}']).status === 0,
);

export type Answer = Uint8Array | string | undefined;

/** Serves `answers` by path; what is not there is 404. */
export class OwnPublisher {
  readonly answers = new Map<
    string,
    (nonce: string | undefined) => { body: Answer; receipt?: string }
  >();
  url = 'https://127.0.0.1:1';
  readonly pin = authority.pin;
  requests = 0;
  get root(): Root {
    return aRoot({
      publishers: [{ id: 'p1', url: this.url, spki: [authority.pin] }],
      constraints: { ...aRoot().constraints, minServers: 1, minApplyInterval: 0 },
    });
  }

  async start(t: TestContext): Promise<void> {
    const server = createServer(
      { cert: certificate.certificatePem + authority.certificatePem, key: certificate.keyPem },
      (request, response) => {
        this.requests += 1;
        const nonce = request.headers['pf-nonce'];
        const path = (request.url ?? '').replace(/\?.*/, '');
        const { body, receipt } = this.answers.get(path)?.(
          typeof nonce === 'string' ? nonce : undefined,
        ) ?? {
          body: undefined,
        };
        if (receipt !== undefined) response.setHeader('pf-receipt', receipt);
        response.statusCode = body === undefined ? 404 : 200;
        response.end(body);
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    this.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.serveRoot(this.root);
  }

  serveRoot(root: Root, envelope: Uint8Array = signedRoot(root)): void {
    this.answers.set(`/v1/root/${root.version}`, () => ({ body: envelope }));
  }

  /** An honest answer; `bend` may turn text or signature into something else. */
  serve(list: ManagerList, options: ServeOptions = {}): void {
    const hash = sha256Tag(renderList(list));
    const { key = listKeys[0], bend = (form) => form } = options;
    const { text, signature } = bend(signFlat(list, hash, key), key);
    const { epoch, term, version } = list;
    this.answers.set('/v1/list.txt', (nonce) => {
      if (nonce === undefined || options.receipt === false) return { body: text };
      const receipt = { nonce, list: hash, epoch, term, version, nowMs: Date.now() };
      return { body: text, receipt: signReceipt(receipt, listKeys[0]) };
    });
    this.answers.set('/v1/list.txt.sig', () => ({ body: signature }));
  }

  get token(): string {
    const root = this.root;
    return renderToken({
      org: root.org,
      publishers: [this.url],
      ca: authority.pin,
      rootHash: sha256Tag(renderRoot(root)),
      rootVersion: root.version,
      kids: root.roles.root.kids,
      threshold: root.roles.root.threshold,
      group: 'default',
      site: 'eu-1',
      id: 'tok-1',
    });
  }
}

/** Any text, signed as a flat list is. */
export function signText(text: string, key: SigningKey) {
  const mark = encodeBase64Url(sign(null, encodeUtf8(text), key.privateKey));
  const signature = encodeUtf8(`pilotfish-signature 1\n${key.kid} ${mark}\n`);
  return { text: encodeUtf8(text), signature };
}

export interface ServeOptions {
  readonly key?: SigningKey;
  readonly receipt?: boolean;
  readonly bend?: (
    form: { readonly text: Uint8Array; readonly signature: Uint8Array },
    key: SigningKey,
  ) => { readonly text: Uint8Array; readonly signature: Uint8Array };
}

/** The newest moment that is not in the future: these tests meet a real clock. */
export function listNow(changes: Partial<ManagerList> = {}): ManagerList {
  const managers = ['wm-01', 'wm-02', 'wm-03'].map((id, index) =>
    aManager(id, { address: `127.77.2.${index + 1}` }),
  );
  return aList({ issuedAtMs: Math.floor(Date.now() / 1_000) * 1_000, managers, ...changes });
}

export const config = `<!-- kept as it is: é -->
<ossec_config>
  <client>
    <server>
      <address>10.9.9.9</address>
      <port>1514</port>
      <protocol>tcp</protocol>
    </server>
    <notify_time>20</notify_time>
  </client>
</ossec_config>
<ossec_config>
  <localfile>
    <location>C:\\\\x</location>
  </localfile>
</ossec_config>
`;

export class PosixHost {
  readonly home: string;
  readonly #folder: string;
  readonly #shell: (typeof shells)[number];

  constructor(t: TestContext, publisher: OwnPublisher, shell = shells[0]) {
    if (shell === undefined) throw new Error('neither dash nor busybox');
    this.#shell = shell;
    this.#folder = mkdtempSync(join(tmpdir(), 'pilotfish-posix-'));
    t.after(() => rmSync(this.#folder, { recursive: true, maxRetries: 9 }));
    this.home = join(this.#folder, 'home');
    for (const name of ['etc', 'var/run', 'bin'])
      mkdirSync(join(this.home, name), { recursive: true });
    writeFileSync(this.configPath, config, 'latin1');
    chmodSync(this.configPath, 0o640);
    writeFileSync(join(this.home, 'etc/client.keys'), '007 host any 0123\n');
    symlinkSync(
      spawnSync('sh', ['-c', `command -v ${shell.awk}`])
        .stdout.toString()
        .trim(),
      this.path('awk'),
    );
    writeFileSync(this.path('token'), `${publisher.token}\n`);
    this.settings({});
    this.onRestart('connect');
  }

  get configPath(): string {
    return join(this.home, 'etc/ossec.conf');
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** Unset keys keep what a test wants: no waits, no probes. */
  settings(changes: Readonly<Record<string, string | number>>): void {
    const all = {
      ...{ agent_home: this.home, state_dir: this.path('state'), awk: this.path('awk') },
      ...{ restart: this.path('restart'), confirm: 2, spread: 0, min_interval: 0 },
      ...{ probe: 'no', quiet_log: 'yes', ...changes },
    };
    writeFileSync(
      this.path('conf'),
      Object.entries(all)
        .map(([key, text]) => `${key}=${text}\n`)
        .join(''),
    );
  }

  /** What a restart of the agent does; every one is counted. */
  onRestart(behaviour: 'connect' | 'stay away' | 'kill the applier'): void {
    const lines = {
      connect: `printf "status='connected'\\n" >'${this.home}/var/run/wazuh-agentd.state'`,
      'stay away': `printf "status='pending'\\n" >'${this.home}/var/run/wazuh-agentd.state'`,
      'kill the applier': `kill -9 "$(cat '${this.path('state')}/lock/pid')"`,
    };
    writeFileSync(
      this.path('restart'),
      `#!/bin/sh\necho x >>'${this.path('restarts')}'\n${lines[behaviour]}\n`,
    );
    chmodSync(this.path('restart'), 0o755);
  }

  get restarts(): number {
    try {
      return readFileSync(this.path('restarts'), 'utf8').length / 2;
    } catch {
      return 0;
    }
  }

  readConfig(): string {
    return readFileSync(this.configPath, 'latin1');
  }

  /** `"address port"` of every entry, in order. */
  entries(): readonly string[] {
    const shape = /<address>(.*?)<\/address>\s*<port>(.*?)<\/port>/g;
    return [...this.readConfig().matchAll(shape)].map(([, address, port]) => `${address} ${port}`);
  }

  async run(
    ...args: readonly string[]
  ): Promise<{ exit: number | null; out: string; err: string }> {
    const [command = '', ...first] = this.#shell.argv;
    const child = spawn(command, [...first, program, ...args], {
      env: { ...process.env, PILOTFISH_CONF: this.path('conf') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      err += text;
    });
    const [exit] = (await once(child, 'close')) as [number | null];
    return { exit, out, err };
  }
}
