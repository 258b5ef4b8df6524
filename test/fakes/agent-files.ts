/**
 * The files by which an agent shows what it does (real-agent-lab.md 2): state file, `.wait`, pid
 * file and log, in the places and forms of a real 4.x agent on Linux.
 */
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type AgentStatus = 'pending' | 'connected' | 'disconnected';
export type LogLevel = 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL';

/** What the state file tells. Undefined instants are written as ''. */
export interface AgentCounters {
  status: AgentStatus;
  lastKeepaliveAtMs: number | undefined;
  lastAckAtMs: number | undefined;
  /** Events generated. */
  count: number;
  /** Events and control messages sent. */
  sent: number;
  /** Events in the memory buffer. */
  buffered: number;
}

export class AgentFiles {
  readonly #home: string;
  readonly #statePath: string;
  readonly #waitPath: string;
  readonly #pidPath: string;
  readonly #logPath: string;

  constructor(home: string, pid: number) {
    this.#home = home;
    this.#statePath = join(home, 'var/run/wazuh-agentd.state');
    this.#waitPath = join(home, 'queue/sockets/.wait');
    this.#pidPath = join(home, `var/run/wazuh-agentd-${pid}.pid`);
    this.#logPath = join(home, 'logs/ossec.log');
  }

  makeDirectories(): void {
    for (const name of ['var/run', 'queue/sockets', 'logs']) {
      mkdirSync(join(this.#home, name), { recursive: true });
    }
  }

  writePid(pid: number): void {
    writeFileSync(this.#pidPath, `${pid}\n`);
  }

  removePid(): void {
    rmSync(this.#pidPath, { force: true });
  }

  setWait(): void {
    writeFileSync(this.#waitPath, 'Waiting for the agent to connect\n');
  }

  clearWait(): void {
    rmSync(this.#waitPath, { force: true });
  }

  /** Temporary file and rename, so that a reader never meets half of it. */
  writeState(counters: AgentCounters): void {
    const temporary = `${this.#statePath}.temp`;
    writeFileSync(temporary, stateText(counters));
    renameSync(temporary, this.#statePath);
  }

  removeState(): void {
    rmSync(this.#statePath, { force: true });
  }

  log(level: LogLevel, text: string): void {
    const stamp = localStamp(Date.now()).replaceAll('-', '/');
    appendFileSync(this.#logPath, `${stamp} wazuh-agentd: ${level}: ${text}\n`);
  }
}

/** The state file, in the real one's form. */
export function stateText(counters: AgentCounters): string {
  const instant = (atMs: number | undefined): string =>
    atMs === undefined ? '' : localStamp(atMs);
  return `# State file for wazuh-agentd

# Agent status:
# - pending:      waiting to get connected.
# - connected:    connection established with manager in the last 20 seconds.
# - disconnected: connection lost or no ACK received in the last 60 seconds.
status='${counters.status}'

# Last time a keepalive was sent
last_keepalive='${instant(counters.lastKeepaliveAtMs)}'

# Last time a control message was received
last_ack='${instant(counters.lastAckAtMs)}'

# Number of generated events
msg_count='${counters.count}'

# Number of messages (events + control messages) sent to the manager
msg_sent='${counters.sent}'

# Number of events currently buffered
# Empty if anti-flooding mechanism is disabled
msg_buffer='${counters.buffered}'
`;
}

/** `2026-11-21 02:53:46`, local time without a zone. */
function localStamp(atMs: number): string {
  const at = new Date(atMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
