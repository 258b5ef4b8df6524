/** The life of the MSI under Wine; throws at the first thing that is not as it must be. */
import { doesNotMatch, match, ok, strictEqual as same } from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { agentFolder, type Wine, windowsPath } from './wine.ts';

export interface MsiGround {
  readonly wine: Wine;
  /** Where the logs of msiexec go. */
  readonly folder: string;
  readonly first: string;
  readonly later: string;
  readonly properties: Readonly<Record<string, string>>;
  /** Addresses of the list. */
  readonly managers: readonly string[];
  /** What went through the proxy. */
  readonly tunnels: readonly string[];
  print(line: string): void;
}

const program = 'Program Files/Pilotfish';
const data = 'ProgramData/Pilotfish';

export class MsiLife {
  readonly #ground: MsiGround;
  readonly #original: string;

  constructor(ground: MsiGround) {
    this.#ground = ground;
    this.#original = this.#config();
  }

  async live(): Promise<void> {
    const steps: Readonly<Record<string, () => Promise<string>>> = {
      install: () => this.#install(),
      list: () => this.#meetList(),
      move: () => this.#moved(),
      recovery: async () => this.#recoveryActions(),
      stop: () => this.#stop(),
      'killed sidecar': () => this.#kill(),
      'major upgrade': () => this.#replace('upgrade', this.#ground.later, '1.0.1'),
      repair: () => this.#repair(),
      downgrade: () => this.#replace('downgrade', this.#ground.first, '1.0.0'),
      uninstall: () => this.#uninstall(),
    };
    for (const [name, step] of Object.entries(steps)) {
      const since = performance.now();
      const seen = await step();
      const seconds = String(Math.round((performance.now() - since) / 1000)).padStart(4);
      this.#ground.print(`${name.padEnd(15)}${seconds} s  ${seen}`);
    }
  }

  #config(): string {
    return this.#ground.wine.read(agentFolder, 'ossec.conf');
  }

  #log(): string {
    return this.#ground.wine.read(data, 'pilotfish.log');
  }

  #started(): number {
    return this.#log().split('"sidecar.started"').length - 1;
  }

  #msiexec(name: string, verb: string, package_: string, ...more: readonly string[]): void {
    const { wine, folder } = this.#ground;
    const log = windowsPath(join(folder, `${name}.log`));
    wine.must('msiexec', verb, windowsPath(package_), '/qn', '/l*v', log, ...more);
  }

  async #install(): Promise<string> {
    const { wine, first, properties } = this.#ground;
    await wine.start('WazuhSvc');
    const words = Object.entries(properties).map(([name, value]) => `${name}=${value}`);
    this.#msiexec('install', '/i', first, ...words);
    same(wine.stateOf('Pilotfish'), 'RUNNING');
    const settings = wine.read(data, 'pilotfish.yml');
    for (const value of Object.values(properties)) {
      for (const part of value.split(',')) ok(settings.includes(`'${part}'`), settings);
    }
    return `silent, ${words.length} properties in pilotfish.yml, service RUNNING`;
  }

  async #meetList(): Promise<string> {
    const { wine, managers, tunnels } = this.#ground;
    await wine.until('every manager stands in ossec.conf', () =>
      managers.every((address) => this.#config().includes(`<address>${address}</address>`)),
    );
    doesNotMatch(this.#config(), /[^\r]\n/);
    const outside = (text: string): string => text.replace(/<server>.*<\/server>/s, '');
    same(outside(this.#config()), outside(this.#original));
    ok(tunnels.length > 0, 'nothing went through the proxy');
    return `joined through the proxy (${tunnels[0]}), written with CRLF, other bytes untouched`;
  }

  async #moved(): Promise<string> {
    const { wine, managers } = this.#ground;
    const peer = (): string => {
      const [, address = ''] = /(\S+):1514\s+ESTABLISHED\s+[1-9]/.exec(
        wine.must('C:\\windows\\system32\\netstat.exe', '-ano', '-p', 'TCP'),
      ) ?? [''];
      return address;
    };
    await wine.until('the agent talks to a manager of the list', () => managers.includes(peer()));
    await wine.until('the move is confirmed', () => /"outcome":"moved"/.test(this.#log()));
    same(wine.stateOf('WazuhSvc'), 'RUNNING');
    return `WazuhSvc restarted, agent (stand-in) on ${peer()}`;
  }

  /** Wine only tells that it was asked; `sc qfailure` on a real Windows shows them. */
  #recoveryActions(): string {
    const told = readFileSync(this.#ground.wine.log, 'latin1');
    const [asked] = /SERVICE_CONFIG_FAILURE_ACTIONS.*/.exec(told) ?? [];
    ok(asked !== undefined, 'the service manager was not asked for recovery actions');
    return `asked for, Wine does not keep them: ${asked.trim().slice(0, 80)}`;
  }

  async #stop(): Promise<string> {
    const { wine } = this.#ground;
    await wine.stopService('Pilotfish');
    match(this.#log().trim().split('\n').at(-1) ?? '', /"sidecar\.stopped"/);
    const started = this.#started();
    await wine.start('Pilotfish');
    await wine.until('it runs again', () => this.#started() > started);
    return 'by the stop channel: sidecar.stopped is its last word; started again';
  }

  async #kill(): Promise<string> {
    const { wine } = this.#ground;
    const started = this.#started();
    const since = Date.now();
    wine.must('taskkill', '/F', '/IM', 'pilotfish.exe');
    await wine.until('the host starts it again', () => this.#started() > started);
    same(wine.stateOf('Pilotfish'), 'RUNNING');
    return `started again by the service host, after ${Date.now() - since} ms`;
  }

  async #replace(name: string, package_: string, version: string): Promise<string> {
    const { wine } = this.#ground;
    const before = this.#kept();
    const started = this.#started();
    this.#msiexec(name, '/i', package_);
    await wine.until('it runs again', () => this.#started() > started);
    same(wine.stateOf('Pilotfish'), 'RUNNING');
    // Wine removes the older product as if for good: entries go back, and are written again.
    await wine.until('everything is as before', () => this.#kept() === before);
    const told = wine.must('C:\\Program Files\\Pilotfish\\pilotfish.exe', 'version');
    match(told, new RegExp(`^pilotfish ${version}`));
    return `${told.split('(')[0]?.trim()}; registry, settings, token, ossec.conf kept`;
  }

  /** What must outlive every change of version. */
  #kept(): string {
    const { wine } = this.#ground;
    const values = wine
      .must('reg', 'query', 'HKLM\\SOFTWARE\\Pilotfish', '/reg:64')
      .split('\n')
      .filter((line) => !/^\s*Version\s/.test(line));
    const files = [wine.read(data, 'pilotfish.yml'), wine.read(data, 'state/token')];
    return [...values, ...files, this.#config()].join('\n');
  }

  async #repair(): Promise<string> {
    const { wine, later } = this.#ground;
    await wine.stopService('Pilotfish');
    rmSync(wine.path(program, 'pilotfish.exe'));
    const before = this.#kept();
    // What `/fa` stands for on Windows; Wine's `/f` fails, whatever it is given.
    this.#msiexec('repair', '/i', later, 'REINSTALL=ALL', 'REINSTALLMODE=amus');
    ok(existsSync(wine.path(program, 'pilotfish.exe')), 'the program is still missing');
    await wine.start('Pilotfish');
    same(this.#kept(), before);
    return 'a removed program is back, settings kept';
  }

  async #uninstall(): Promise<string> {
    const { wine, first } = this.#ground;
    this.#msiexec('uninstall', '/x', first);
    same(wine.stateOf('Pilotfish'), '');
    same(existsSync(wine.path(program)) ? readdirSync(wine.path(program)).join() : '', '');
    same(this.#config(), this.#original);
    ok(existsSync(wine.path(data, 'pilotfish.yml')));
    return 'service and files gone, ossec.conf byte for byte as before us, configuration kept';
  }
}
