/**
 * Stand-in for a Wazuh manager: what a sidecar and the stand-in agent can see of remoted, no more.
 * Answers `#ping` (framed on TCP, bare on UDP), accepts sessions of the stand-in agent (a handshake
 * of their own, see manager-sessions.ts), and prints one JSON line per event.
 *
 * To kill it: SIGKILL. To hang it as the laboratory did: SIGSTOP (the kernel goes on accepting).
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { parseArgs } from 'node:util';
import { encodeFrame } from './frames.ts';
import {
  endWithInput,
  endWithProcess,
  ignoreClosedOutput,
  optionsOrHelp,
  report,
} from './life-line.ts';
import { type ManagerMode, ManagerSessions, managerModes } from './manager-sessions.ts';

const help = `Usage: manager.ts --listen ADDRESS:PORT [options]     (a stand-in, not a Wazuh manager)
  --listen ADDRESS:PORT    where agents connect, TCP and UDP; IPv6 as [::1]:1514
  --name NAME              goes into every printed event (default: the listen address)
  --mode MODE              ${managerModes.join(' | ')} (default normal)
  --control PATH           UNIX socket that takes the same commands as stdin
  --enrollment PORT        also listen there and refuse every key request (default: port closed)
  --overtake-ms N          refuse an agent id heard of this recently on another connection (60000)
  --report-interval-ms N   how often grown event counts are printed (1000); 0: at every event
  --keep                   do not end when standard input closes
  --exit-with-pid PID      end when that process is gone
Commands, one per line on stdin or the control socket: mode MODE | kick | status
Events: listening agent_connected agent_refused agent_lost events mode status`;

interface ManagerOptions {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly mode: ManagerMode;
  readonly control: string | undefined;
  readonly enrollmentPort: number | undefined;
  readonly overtakeMs: number;
  readonly reportIntervalMs: number;
  readonly keep: boolean;
  readonly exitWithPid: number | undefined;
}

function readOptions(argv: readonly string[]): ManagerOptions | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      listen: { type: 'string' },
      name: { type: 'string' },
      mode: { type: 'string', default: 'normal' },
      control: { type: 'string' },
      enrollment: { type: 'string' },
      'overtake-ms': { type: 'string', default: '60000' },
      'report-interval-ms': { type: 'string', default: '1000' },
      keep: { type: 'boolean', default: false },
      'exit-with-pid': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const listen = /^\[?(.+?)\]?:(\d+)$/.exec(values.listen ?? '');
  const mode = managerModes.find((known) => known === values.mode);
  if (values.help || listen?.[1] === undefined || mode === undefined) return undefined;
  const optional = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : Number(text);
  return {
    host: listen[1],
    port: Number(listen[2]),
    name: values.name ?? values.listen ?? '',
    mode,
    control: values.control,
    enrollmentPort: optional(values.enrollment),
    overtakeMs: Number(values['overtake-ms']),
    reportIntervalMs: Number(values['report-interval-ms']),
    keep: values.keep,
    exitWithPid: optional(values['exit-with-pid']),
  };
}

class StandInManager {
  readonly #options: ManagerOptions;
  readonly #sessions: ManagerSessions;
  #server: Server | undefined;
  #udp: UdpSocket | undefined;

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.#sessions = new ManagerSessions({
      overtakeMs: options.overtakeMs,
      reportsEach: options.reportIntervalMs === 0,
      report: (event) => this.report(event),
    });
    const { reportIntervalMs } = options;
    if (reportIntervalMs > 0) setInterval(() => this.#sessions.reportCounts(), reportIntervalMs);
  }

  report(event: Readonly<Record<string, unknown>>): void {
    report({ ...event, name: this.#options.name });
  }

  async setMode(mode: ManagerMode): Promise<void> {
    // The port first: an agent that is cut off must not slip back in.
    const closing = mode === 'closed' ? this.#close() : undefined;
    this.#sessions.setMode(mode);
    await (closing ?? this.#open());
    this.report({ event: 'mode', mode });
  }

  async run(command: string): Promise<string> {
    const [verb, argument] = command.split(/\s+/);
    const mode = managerModes.find((known) => known === argument);
    if (verb === 'mode' && mode !== undefined) await this.setMode(mode);
    else if (verb === 'kick') this.#sessions.kick();
    else if (verb !== 'status') return JSON.stringify({ error: `unknown command: ${command}` });
    const { agents, pings } = this.#sessions;
    const status = { event: 'status', mode: this.#sessions.mode, agents, pings };
    if (verb === 'status') this.report(status);
    return JSON.stringify(status);
  }

  listenForCommands(path: string): void {
    rmSync(path, { force: true });
    const control = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk: Buffer) => {
        const command = chunk.toString('utf8').trim();
        this.run(command).then(
          (answer) => socket.end(`${answer}\n`),
          (error: unknown) => socket.end(`${JSON.stringify({ error: String(error) })}\n`),
        );
      });
    });
    control.listen(path);
    process.on('exit', () => rmSync(path, { force: true }));
  }

  /** Answers as authd does for an agent it knows and that is young: no key. */
  async listenForEnrollment(port: number): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', () =>
        socket.end(encodeFrame('{"standin":"err","reason":"Duplicate agent name"}')),
      );
    });
    await listening(server, port, this.#options.host);
  }

  async #open(): Promise<void> {
    if (this.#server !== undefined) return;
    const { host, port } = this.#options;
    const server = createServer((socket) => this.#sessions.accept(socket));
    this.#server = server;
    const boundPort = await listening(server, port, host);
    this.#udp = await openUdp(host, boundPort, () => this.#sessions.mode);
    this.report({ event: 'listening', address: host, port: boundPort, pid: process.pid });
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#udp?.close();
    this.#udp = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

function listening(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: 511 }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function openUdp(host: string, port: number, mode: () => ManagerMode): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', reject);
    socket.on('message', (message, peer) => {
      const isPing = message.subarray(0, 5).toString('latin1') === '#ping';
      const isSilent = mode() === 'hung-app' || mode() === 'no-pong';
      if (isPing && !isSilent) socket.send('#pong', peer.port, peer.address);
    });
    socket.bind(port, host, () => resolve(socket));
  });
}

async function main(argv: readonly string[]): Promise<void> {
  const options = optionsOrHelp(argv, help, readOptions);
  if (options === undefined) return;
  ignoreClosedOutput();
  process.on('SIGTERM', () => process.exit(0));
  const manager = new StandInManager(options);
  const end = (): never => process.exit(0);
  if (options.exitWithPid !== undefined) endWithProcess(options.exitWithPid, end);
  if (!options.keep) {
    endWithInput(end, (line) => {
      manager.run(line).catch((error: unknown) => {
        manager.report({ event: 'failed', command: line, error: String(error) });
      });
    });
  }
  if (options.control !== undefined) manager.listenForCommands(options.control);
  if (options.enrollmentPort !== undefined) {
    await manager.listenForEnrollment(options.enrollmentPort);
  }
  await manager.setMode(options.mode);
}

await main(process.argv.slice(2));
