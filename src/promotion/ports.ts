/** What the role of master needs of its host and its engine. */
import type { Clock, Random } from '../clock.ts';
import type { LeaseEngine } from '../leader/engine.ts';
import type { Log } from '../log.ts';
import type { KeysFacts, StrayKey } from './client-keys.ts';
import type { PromoteOrder, PromotionMode } from './judge.ts';
import type { TextSeal } from './keys-steps.ts';
import type { RoleRecord } from './record.ts';

export interface PromotionSettings {
  readonly mode: Exclude<PromotionMode, 'off'>;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly isCandidate: boolean;
  readonly isConfiguredMaster: boolean;
  /** Where the other nodes reach this one's cluster port. */
  readonly address: string;
  readonly port: number;
  readonly pauseMs: number;
  readonly minIntervalMs: number;
}

export interface KeysSeen {
  readonly bytes: Buffer;
  readonly facts: KeysFacts;
}

/** Port: `etc/client.keys` of this host. Both throw HostError. */
export interface KeysFile {
  /** As it is now; empty where there is none. The same object while nothing changed. */
  read(): Promise<KeysSeen>;
  /** Whole or not at all; owner and mode stay. */
  replace(bytes: Buffer): Promise<void>;
}

/** What outlives this process. */
export interface RoleMemory {
  /** The greatest token that this node had of the engine: on record, or its own. No peer's word. */
  readonly greatestToken: number;
  /** The last one that this node held; 0: none. */
  readonly ownToken: number;
  /** It acted as the master, and its copy of client.keys was not put aside since. */
  readonly wasMaster: boolean;
  readonly record: RoleRecord | undefined;
}

/** Port: small files of this host. */
export interface RoleBook {
  read(): RoleMemory;
  /** False: it could not be made durable. */
  write(memory: RoleMemory): boolean;
  /** An operator's order that nobody took yet. */
  takeOrder(): Order | undefined;
  tell(status: PromotionStatus): void;
  /**
   * A copy of client.keys from before another node became the master, by this node's own token; the
   * first one stays until it is settled. Throws HostError.
   */
  putAside(token: number, bytes: Buffer): Promise<void>;
  aside(): Promise<readonly { readonly token: number; readonly bytes: Buffer }[]>;
  /** What is kept of such a copy: its stray keys, or nothing. Returns the file's path. */
  settleAside(token: number, strays: readonly StrayKey[]): Promise<string>;
  strays(): readonly StrayFile[];
}

export interface StrayFile {
  readonly path: string;
  readonly keys: readonly Omit<StrayKey, 'line'>[];
}

export interface Order extends PromoteOrder {
  readonly kind: 'promote' | 'demote';
  readonly id: string;
  readonly atMs: number;
}

/** Port: what must follow the role on this host beside our own node. */
export interface RoleHooks {
  /** All at once; resolves with what went wrong. */
  stop(): Promise<readonly string[]>;
  /** In order; resolves with what went wrong. */
  start(): Promise<readonly string[]>;
  /** The same, once this host is a worker of another master: what workers run too comes back. */
  follow(): Promise<readonly string[]>;
  /** What the manager's own configuration says this host is; resolves with what went wrong. */
  writeRole(role: 'master' | 'worker'): Promise<readonly string[]>;
  /** Why a promotion would fail here; undefined: nothing is seen. */
  fault(): Promise<string | undefined>;
}

export interface RolePorts {
  readonly engine: LeaseEngine;
  /** Monotonic also while the host sleeps. */
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly keys: KeysFile;
  readonly seal: TextSeal;
  readonly book: RoleBook;
  readonly hooks: RoleHooks;
  /** How long this process may hang before a service manager ends it. */
  readonly watchdogMs?: number | undefined;
  /** Trouble that an operator should see until it ends. */
  readonly complaints: {
    begin(topic: string, message: string): void;
    end(topic: string): void;
  };
}

/** What a node is told to be. */
export type Assignment =
  | { readonly kind: 'master'; readonly token: number }
  /** `record` undefined: no master was ever recorded; the node's own configuration counts. */
  | { readonly kind: 'worker'; readonly record: RoleRecord | undefined };

export type RoleName = 'master' | 'worker' | 'claiming';

/** What a running node tells of its role; `promotion status` shows it. */
export interface PromotionStatus {
  readonly writtenAtMs: number;
  readonly node: string;
  readonly mode: string;
  readonly isCandidate: boolean;
  readonly role: RoleName;
  readonly ownToken: number;
  readonly greatestToken: number;
  /** Who has the seat, as seen last; absent: nobody. */
  readonly holder?: string;
  readonly record?: Omit<RoleRecord, 'keys'> & { readonly keys: Omit<RoleRecord['keys'], 'steps'> };
  /** How this node's keys stand to those on record. */
  readonly keys: string;
  /** Why it does not take the role, or what it does. */
  readonly why: string;
  /** What the engine last said, when it could not be asked. */
  readonly engineTrouble?: string;
  readonly hookTrouble: readonly string[];
  /** After so long of hanging a service manager ends this node; absent: none does. */
  readonly watchdogMs?: number;
  readonly strays: readonly StrayFile[];
  readonly lastOrder?: {
    readonly id: string;
    readonly kind: Order['kind'];
    readonly outcome: 'pending' | 'done' | 'refused';
    readonly text: string;
  };
}
