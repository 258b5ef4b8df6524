/** Everything the applier touches, as ports; `cli/build-*` fills them with the real ones. */
import type { Clock } from '../clock.ts';
import type { Audience } from '../list/model.ts';
import type { Log } from '../log.ts';
import type { AgentWorld } from '../wazuh/agent-facts.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import type { BackupStore, ConfigFile } from './config-file.ts';
import type { MemoryFile } from './memory.ts';
import type { AgentControl } from './restart.ts';
import type { WrittenServer } from './result.ts';
import type { ApplierSettings } from './settings.ts';

/** What the agent itself says of a candidate (`wazuh-agentd -t -c COPY`). */
export type PreflightVerdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'rejected'; readonly why: string }
  /** No such test on this system, or no answer in time. */
  | { readonly kind: 'unknown'; readonly why: string };

export interface Preflight {
  test(candidate: Uint8Array): Promise<PreflightVerdict>;
}

/** New text of the agent's log. */
export interface AgentLogReader {
  /** Where the log ends now. */
  mark(): Promise<number>;
  /** What was written behind `mark`, the last 64 KiB of it; a rotated log is read from its start. */
  since(mark: number): Promise<string>;
}

/** What the operator's own configuration trusts as a first root. */
export interface RootPin {
  readonly org: string;
  /** `sha256:` tag of the root's payload. */
  readonly rootHash: string;
  readonly audience: Audience;
}

export interface ApplierWorld {
  /** The join token of the configuration, for a spool's applier that never was at a join. */
  readonly pin?: RootPin;
  readonly settings: ApplierSettings;
  readonly home: AgentHome;
  readonly clock: Clock;
  readonly log: Log;
  readonly memory: MemoryFile;
  readonly file: ConfigFile;
  readonly backups: BackupStore;
  readonly agent: AgentWorld;
  readonly control: AgentControl;
  readonly preflight: Preflight;
  readonly agentLog: AgentLogReader;
  /** `etc/shared/agent.conf`; empty when there is none. */
  readSharedConfig(): Promise<Uint8Array>;
  /** Throws HostError `lock_held`. */
  lock(): Promise<{ release(): Promise<void> }>;
  /** How many of these answer as managers do; absent where the applier has no network. */
  readonly countHealthy?: (servers: readonly WrittenServer[]) => Promise<number>;
}
