/**
 * Stand-in for wazuh-agentd 4.x: what a sidecar can see of it and what it does when its manager
 * dies, hangs or vanishes, with the measured timings (real-agent-lab.md 2, 3, 3b, 6, 7). It speaks
 * only with stand-in managers (a handshake of their own) and only TCP.
 *
 * start -> walk the list -> [tick: lost? silent? keepalive?] -> walk again from the current entry
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentEvents } from './agent-events.ts';
import { type AgentCounters, AgentFiles } from './agent-files.ts';
import { AgentLink } from './agent-link.ts';
import { type AgentOptions, agentHelp, readAgentOptions } from './agent-options.ts';
import {
  type AgentSettings,
  RefusedConfig,
  readRecvTimeoutMs,
  readSettings,
} from './agent-settings.ts';
import { resolveName, ServerWalk } from './agent-walk.ts';
import { encodeFrame, type StandInMessage } from './frames.ts';
import {
  endWithInput,
  endWithProcess,
  ignoreClosedOutput,
  optionsOrHelp,
  report,
} from './life-line.ts';

/** A send that takes this long is worth an event on stdout; the agent itself never notices. */
const blockedMs = 500;

class StandInAgent {
  readonly #options: AgentOptions;
  readonly #settings: AgentSettings;
  readonly #files: AgentFiles;
  readonly #agentId: string;
  readonly #link: AgentLink;
  readonly #walk: ServerWalk;
  readonly #events: AgentEvents;
  readonly #counters: AgentCounters = {
    status: 'pending',
    lastKeepaliveAtMs: undefined,
    lastAckAtMs: undefined,
    count: 0,
    sent: 0,
    buffered: 0,
  };
  #wake: () => void = () => undefined;
  #answered: ((isAck: boolean) => void) | undefined;
  #isConnected = false;
  #mustReload = false;

  constructor(options: AgentOptions, settings: AgentSettings, files: AgentFiles) {
    this.#options = options;
    this.#settings = settings;
    this.#files = files;
    this.#agentId = readAgentId(options.home);
    const recvTimeoutMs = options.recvTimeoutMs ?? readInternalRecvTimeoutMs(options.home);
    this.#link = new AgentLink(options, {
      onMessage: (message) => this.#take(message),
      onClose: () => this.#lostSocket(),
    });
    this.#walk = new ServerWalk(
      settings,
      { ...options, recvTimeoutMs },
      {
        log: (level, text) => files.log(level, text),
        report,
        close: () => this.#link.close(),
        connect: (host, port) => this.#link.connect(host, port),
        greet: (withinMs) => this.#greet(withinMs),
      },
    );
    this.#events = new AgentEvents(options, {
      connected: () => this.#untilConnected(),
      send: (bytes) => this.#send(bytes),
      onGenerated: () => {
        this.#counters.count += 1;
      },
      onSent: () => {
        this.#counters.sent += 1;
      },
      onFull: (dropped) => {
        files.log('WARNING', 'Agent buffer is full: Events may be lost.');
        report({ event: 'buffer_full', dropped });
      },
    });
  }

  async run(): Promise<never> {
    this.#files.writePid(process.pid);
    this.#files.setWait();
    this.#writeState();
    setInterval(() => this.#writeState(), this.#options.stateIntervalMs);
    report({ event: 'started', pid: process.pid });
    this.#events.start();
    await this.#connect();
    for (;;) {
      await this.#tick();
      if (this.#mustReload) this.#reload();
      if (!this.#link.isOpen) {
        await this.#reconnect(
          'closed',
          'ERROR',
          '(1137): Lost connection with manager. Setting lock.',
        );
      }
      await this.#notify();
    }
  }

  /** SIGTERM: says goodbye through the same mutex as everything else, then cleans up. */
  async stop(): Promise<never> {
    report({ event: 'stopping' });
    this.#files.log('INFO', '(1225): SIGNAL [(15)-(Terminated)] Received. Exit Cleaning...');
    const isSent = await this.#send(encodeFrame('{"standin":"shutdown"}'));
    if (!isSent) await sleep(this.#options.tickMs);
    this.#files.removeState();
    this.#files.removePid();
    report({ event: 'stopped' });
    process.exit(0);
  }

  /** SIGUSR1: acted on at the next turn of the main loop. */
  requestReload(): void {
    this.#mustReload = true;
  }

  /** Silence first, keepalive second: a keepalive stuck on the mutex stops both. */
  async #notify(): Promise<void> {
    const { notifyS, reconnectS } = this.#settings;
    if (this.#seconds() - this.#seconds(this.#counters.lastAckAtMs) > reconnectS) {
      await this.#reconnect('silent', 'WARNING', 'Server unavailable. Setting lock.');
    }
    if (this.#seconds() - this.#seconds(this.#counters.lastKeepaliveAtMs ?? 0) < notifyS) return;
    this.#counters.lastKeepaliveAtMs = Date.now();
    await this.#sendControl('{"standin":"keepalive"}');
  }

  async #reconnect(
    reason: 'closed' | 'silent',
    level: 'ERROR' | 'WARNING',
    text: string,
  ): Promise<void> {
    this.#files.log(level, text);
    report({ event: 'lost', reason });
    this.#isConnected = false;
    this.#files.setWait();
    this.#counters.status = 'disconnected';
    await this.#connect();
    this.#files.log('INFO', 'Server responded. Releasing lock.');
  }

  async #connect(): Promise<void> {
    await this.#walk.run();
    this.#counters.status = 'connected';
    this.#isConnected = true;
    this.#files.clearWait();
  }

  async #greet(withinMs: number): Promise<boolean> {
    const answer = new Promise<boolean>((resolve) => {
      this.#answered = resolve;
    });
    const timer = setTimeout(() => this.#answered?.(false), withinMs);
    const startup = { standin: 'startup', agent: this.#agentId, version: 'v4.14.8' };
    await this.#sendControl(JSON.stringify(startup));
    const isAck = await answer;
    clearTimeout(timer);
    this.#answered = undefined;
    return isAck;
  }

  #take(message: StandInMessage): void {
    if (message.standin === 'ack') this.#counters.lastAckAtMs = Date.now();
    this.#answered?.(message.standin === 'ack');
  }

  #lostSocket(): void {
    this.#answered?.(false);
    this.#wake();
  }

  async #sendControl(text: string): Promise<void> {
    if (await this.#send(encodeFrame(text))) this.#counters.sent += 1;
    else await sleep(Math.min(this.#options.tickMs, 1000));
  }

  async #send(bytes: Buffer): Promise<boolean> {
    let isBlocked = false;
    const timer = setTimeout(() => {
      isBlocked = true;
      report({ event: 'send_blocked' });
    }, blockedMs);
    const isSent = await this.#link.send(bytes);
    clearTimeout(timer);
    if (isBlocked) report({ event: 'send_freed', isSent });
    return isSent;
  }

  async #untilConnected(): Promise<void> {
    while (!this.#isConnected) await sleep(20);
  }

  #tick(): Promise<void> {
    if (!this.#link.isOpen) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#options.tickMs);
      this.#wake = (): void => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Whole seconds as the agent counts them; `--notify-unit-ms` says how long one is. */
  #seconds(atMs: number | undefined = Date.now()): number {
    return Math.floor(atMs / this.#options.notifyUnitMs);
  }

  #writeState(): void {
    this.#files.writeState({ ...this.#counters, buffered: this.#events.buffered });
  }

  /** Labels and buffer only, which the stand-in has not; but a broken file ends the agent. */
  #reload(): void {
    this.#mustReload = false;
    try {
      readConfig(this.#options);
    } catch (error) {
      if (!(error instanceof RefusedConfig)) throw error;
      refuse(error, (line) => this.#files.log('ERROR', line));
      this.#files.removePid();
      process.exit(1);
    }
  }
}

function readConfig(options: AgentOptions): AgentSettings {
  return readSettings(readBytes(options.configPath), options.configPath);
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    const what = `Error reading XML file '${path}': XMLERR: File '${path}' not found. (line 0).`;
    throw new RefusedConfig(1226, what);
  }
}

function readInternalRecvTimeoutMs(home: string): number {
  try {
    return readRecvTimeoutMs(readFileSync(join(home, 'etc/local_internal_options.conf'), 'latin1'));
  } catch (error) {
    if (error instanceof RefusedConfig) throw error;
    return readRecvTimeoutMs(''); // no such file: the default
  }
}

/** First field of the first line of client.keys. */
function readAgentId(home: string): string {
  try {
    const id = /^(\d{3,8}) /m.exec(readFileSync(join(home, 'etc/client.keys'), 'latin1'))?.[1];
    if (id !== undefined) return id;
  } catch {
    // falls through to the same refusal
  }
  throw new RefusedConfig(1402, `Authentication key file '${home}/etc/client.keys' not found.`);
}

function refuse(error: RefusedConfig, write: (line: string) => void): void {
  write(`(${error.code}): ${error.message}`);
  if (error.code !== 1402) write('(1215): No client configured. Exiting.');
  report({ event: 'refused', code: error.code });
}

/** Each name is looked up once at start and by `-t`: 4 s for one that does not resolve. */
async function checkNames(options: AgentOptions, settings: AgentSettings): Promise<void> {
  for (const { address } of settings.servers) {
    await resolveName(address, options.lookupRetryMs, () => undefined);
  }
}

async function runAgent(options: AgentOptions): Promise<void> {
  const files = new AgentFiles(options.home, process.pid);
  files.makeDirectories();
  try {
    const settings = readConfig(options);
    const agent = new StandInAgent(options, settings, files);
    if (settings.servers.some(({ protocol }) => protocol === 'udp')) {
      throw new RefusedConfig(1402, 'the stand-in agent speaks TCP only');
    }
    process.on('SIGTERM', () => void agent.stop());
    process.on('SIGUSR1', () => agent.requestReload());
    await checkNames(options, settings);
    await agent.run();
  } catch (error) {
    if (!(error instanceof RefusedConfig)) throw error;
    refuse(error, (line) => {
      files.log('ERROR', line);
      process.stderr.write(`wazuh-agentd: ERROR: ${line}\n`);
    });
    process.exit(1);
  }
}

async function testConfig(options: AgentOptions): Promise<number> {
  try {
    await checkNames(options, readConfig(options));
    return 0;
  } catch (error) {
    if (!(error instanceof RefusedConfig)) throw error;
    process.stderr.write(`wazuh-agentd: ERROR: (${error.code}): ${error.message}\n`);
    return 1;
  }
}

async function main(argv: readonly string[]): Promise<void> {
  const options = optionsOrHelp(argv, agentHelp, readAgentOptions);
  if (options === undefined) return;
  ignoreClosedOutput();
  if (options.isTest) {
    process.exitCode = await testConfig(options);
    return;
  }
  process.title = 'wazuh-agentd'; // tools that check a pid's name find the one they look for
  process.on('SIGHUP', () => undefined);
  const die = (): void => void process.kill(process.pid, 'SIGKILL');
  if (!options.keep) endWithInput(die);
  if (options.exitWithPid !== undefined) endWithProcess(options.exitWithPid, die);
  await runAgent(options);
}

await main(process.argv.slice(2));
