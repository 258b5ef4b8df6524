/** What the publisher's commands need of the world; `build-publisher.ts` brings it. */
import type { Clock, Random } from '../clock.ts';
import type { LoggedEvent } from '../diagnosis/event-line.ts';
import type { Finding } from '../diagnosis/finding.ts';
import type { Prober } from '../health/probe.ts';
import type { Root } from '../list/model.ts';
import type { AcceptedRoot } from '../list/root.ts';
import type { SigningKey } from '../list/sign.ts';
import type { AuditEntry, AuditFacts, ChainVerdict } from '../publisher/api/audit.ts';
import type { TokenRecord } from '../publisher/api/token.ts';
import type { PublishedList, SeatedHistory } from '../publisher/history.ts';
import type { InitManager, InitOutcome, InitRequest } from '../publisher/init.ts';
import type { KeyChange, KeyOutcome } from '../publisher/keys.ts';
import type { RootChain } from '../publisher/load-roots.ts';
import type { PublishDesk } from '../publisher/publish.ts';
import type { ReportStore } from '../publisher/reports/report-keeper.ts';
import type { PromotionDesk } from './promotion-desk.ts';
import type { PublisherConfig } from './publisher-config.ts';

/** One publisher's directory, opened: everything proven and readable. */
export interface PublisherOffice {
  readonly config: PublisherConfig;
  readonly roots: RootChain;
  readonly history: SeatedHistory;
  readonly desk: PublishDesk;
  /** The reports on disk, while `work` looks at them. Throws HostError `store_failed`. */
  withReports<Value>(work: (store: ReportStore) => Value): Value;
  close(): void;
}

/** The process as `run` needs it. Handlers are installed when it is asked for. */
export interface Signals {
  /** SIGTERM or SIGINT. */
  readonly stop: AbortSignal;
  /** SIGHUP. */
  onReload(handler: () => void): () => void;
}

export interface RenewFlags {
  readonly managers: readonly InitManager[];
  /** Paths of key files beside those in the directory. */
  readonly keyFiles: readonly string[];
  /** Replace the key that signs lists; the publisher must not run meanwhile. */
  readonly newListKey: boolean;
}

/** Who did what, as the commands see it. */
export interface AuditLog {
  append(facts: AuditFacts): AuditEntry;
  /** Newest first. */
  list(limit: number): readonly AuditEntry[];
  verify(): ChainVerdict;
}

/** A certificate of the pinned authority for another web server. */
export interface CertificateWish {
  readonly file: string;
  readonly hosts: readonly string[];
}

export interface Exported {
  readonly version: number;
  /** What was not there yet, or otherwise. */
  readonly written: readonly string[];
}

/** What lies in the directory of a follower. */
export interface FollowedView {
  readonly from: readonly string[];
  /** Absent before the first list came. */
  readonly held?: {
    readonly entry: PublishedList;
    readonly root: Root;
    readonly source: string;
    readonly takenAtMs: number;
  };
}

/** What `follow` is to write. */
export interface FollowRequest {
  readonly token: string;
  readonly from: readonly string[];
  readonly listen: string;
}

export interface PublisherHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly prober: Prober;
  readonly promotion: PromotionDesk;
  hostName(): string;
  /** Who types, for the marks that others see. */
  userName(): string;
  /** The freeze window that holds at this time. */
  frozen(config: PublisherConfig, nowMs: number): string | undefined;
  init(directory: string, request: InitRequest): Promise<InitOutcome>;
  /** Throws ConfigError `is_follower` in the directory of one. */
  open(directory: string): Promise<PublisherOffice>;
  /** The configuration of a follower; throws ConfigError `already_initialised`. */
  follow(directory: string, request: FollowRequest): Promise<void>;
  /** Undefined in the directory of a writer. Throws as `open`. */
  readFollowed(directory: string): Promise<FollowedView | undefined>;
  /** The next root, signed with every key in `root-keys` and in `keyFiles`, written. */
  renewRoot(directory: string, request: RenewFlags): Promise<AcceptedRoot>;
  /** The next root with other keys or another epoch, signed and written. */
  changeKeys(
    directory: string,
    change: KeyChange,
    keyFiles: readonly string[],
  ): Promise<KeyOutcome>;
  /** A publisher made anew in a directory that holds nothing but `roots`. */
  recover(
    directory: string,
    request: Omit<InitRequest, 'org'>,
    keyFiles: readonly string[],
  ): Promise<AcceptedRoot>;
  /** Throws ConfigError when it is none of ours. */
  readKeyFile(path: string): Promise<SigningKey>;
  /** Everything `doctor` looks at; a part that is broken is a finding, never an error. */
  examine(directory: string): Promise<readonly Finding[]>;
  /** The API's tokens after `change`, written where there is one. */
  changeTokens(
    directory: string,
    change: ((tokens: readonly TokenRecord[]) => readonly TokenRecord[]) | undefined,
  ): Promise<readonly TokenRecord[]>;
  /** The audit log, while `work` looks at it or adds to it. Throws HostError `store_failed`. */
  withAudit<Value>(directory: string, work: (log: AuditLog) => Value): Promise<Value>;
  /** Writes list and roots as files into `folder`. Throws ConfigError `unknown_version`. */
  exportSite(
    directory: string,
    folder: string,
    wish: CertificateWish | undefined,
  ): Promise<Exported>;
  /** Writes the diagnostics archive; its length. Throws HostError `secret_leak`, `write_failed`. */
  diagnose(directory: string, folder: string, output: string): Promise<number>;
  /** What was written down of what happened. */
  journal(directory: string): Promise<readonly LoggedEvent[]>;
  /** Tells the running publisher; its answer, or undefined when none gives one. */
  announce(directory: string): Promise<string | undefined>;
  /** What the running publisher tells of itself, as JSON; empty: nothing. Undefined: none runs. */
  askStatus(directory: string): Promise<string | undefined>;
  /** Until SIGTERM. */
  run(directory: string, signals: Signals): Promise<void>;
}
