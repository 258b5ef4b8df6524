/**
 * The documents of the trust layer as plain values. Parsing and proof are elsewhere: a value of
 * these types is well-formed, not trusted; only `verify.ts` and `root.ts` mint trusted ones.
 * Source: trust-and-safety 1.5 with the changes of its first section.
 */

/** Hard limits, enforced before parsing (trust-and-safety 1.5, 1.6). */
export const listLimits = {
  maxEnvelopeBytes: 64 * 1024,
  maxSignatures: 8,
  maxRootsPerRun: 64,
  maxManagers: 16,
  maxBalancers: 8,
  maxZoneAddresses: 8,
  maxStringLength: 256,
  maxHostLength: 126,
  maxKeys: 32,
  maxPublishers: 16,
  maxConstraintEntries: 64,
  maxReceiptLength: 2_048,
  maxTokenLength: 4_096,
  maxDepth: 6,
  maxTermStep: 1_000,
  maxVersionStep: 1_000_000,
  maxWeight: 1_000,
  maxAcceptRate: 100_000,
  clockSkewMs: 10 * 60_000,
} as const;

/**
 * What a signed document is; its header says `pf-<kind>+jws`, its payload `pf-<kind>`. `state`: what
 * one publisher leaves to the next; never shown to an agent.
 */
export type DocumentKind = 'root' | 'list' | 'receipt' | 'state' | 'leaving' | 'views';

export type ManagerState = 'up' | 'drain' | 'down';

/** A Wazuh server an agent may report to, at the address agents dial. */
export interface Manager {
  /** `[A-Za-z0-9_-]{1,64}`, unique in the list. */
  readonly id: string;
  /** RFC 1123 host name of at most 126 characters, or a canonical IPv4 / IPv6 literal. */
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly zone: string;
  /** Lower is preferred. */
  readonly prio: number;
  /** 0 to 1000; 0 keeps a manager in the list as a last resort. */
  readonly weight: number;
  readonly state: ManagerState;
  /** New sessions a second it takes in; `admission.ratePerServer` where it says nothing. */
  readonly acceptRate?: number;
  /** What agents of other zones dial in place of `address` and `port`; at most one per zone. */
  readonly addresses?: readonly ZoneAddress[];
}

/** Where the agents of one zone reach a manager: behind NAT, in a network of their own. */
export interface ZoneAddress {
  /** Zone of the agents, as in their sidecar's own configuration. */
  readonly zone: string;
  /** As in `Manager`, under the same constraints. */
  readonly address: string;
  /** That of the manager where it says nothing. */
  readonly port?: number;
}

/** What the list asks of every sidecar; local configuration wins over each of them. */
export interface ListClient {
  /** Native tuning written into the agent's entries, only when present. */
  readonly maxRetries?: number;
  readonly retryInterval?: number;
  readonly notifyTime?: number;
  readonly timeReconnect?: number;
  readonly pollSec: number;
  readonly spreadSec: number;
  readonly cooldownSec: number;
  readonly panicPct: number;
  /** How many agents share the managers, and how many probes a second one manager may get. */
  readonly agents: number;
  readonly probeBudgetPerManager: number;
}

export interface Rollout {
  readonly id: string;
  readonly salt: string;
  /** 0 to 100. */
  readonly pct: number;
  /** Kinds of agents of which a larger share comes first, so that every kind is in a wave. */
  readonly strata?: readonly RolloutStratum[];
}

export interface RolloutStratum {
  /** `site:eu-1`, `os:linux`, `version:4.14`. */
  readonly key: string;
  /** 0 to 100. */
  readonly pct: number;
}

export interface Admission {
  readonly id: string;
  /** New sessions a second that a manager accepts which names no rate of its own. */
  readonly ratePerServer: number;
  readonly startSlotAtMs: number;
}

/**
 * A wish of the publisher that skew goes away: so large a share of the agents that are on a manager
 * of `from` and would rather be on one that is not goes there, each in its own time.
 */
export interface Balance {
  readonly id: string;
  /** Ids of managers that hold more than their share. */
  readonly from: readonly string[];
  /** 1 to 100. */
  readonly pct: number;
}

/** A load balancer that some agents dial in place of a manager: where it listens for them. */
export interface BalancerAddress {
  /** As in `Manager`. */
  readonly address: string;
  readonly port: number;
}

export interface Audience {
  /** The group of this host, or `*`. */
  readonly group: string;
  readonly site: string;
}

/** Lists are ordered by (epoch, term, version), compared lexicographically. */
export interface Position {
  readonly epoch: number;
  readonly term: number;
  readonly version: number;
}

export interface ManagerList extends Position {
  readonly org: string;
  readonly rootVersion: number;
  readonly aud: Audience;
  readonly issuedAtMs: number;
  /** Seconds. */
  readonly validFor: number;
  /** `sha256:` tag of the previous list payload; absent in the first one. */
  readonly prev?: string;
  readonly managers: readonly Manager[];
  readonly client: ListClient;
  readonly rollout?: Rollout;
  readonly admission?: Admission;
  readonly balance?: Balance;
  /** An agent whose first server is one of these is not moved around it. Never dialled by a sidecar. */
  readonly balancers?: readonly BalancerAddress[];
}

/** An Ed25519 public key as JWK (RFC 8037); its id is the RFC 7638 thumbprint. */
export interface PublicKey {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
}

export interface Role {
  readonly threshold: number;
  readonly kids: readonly string[];
}

/** What any list under a root may ever name. */
export interface Constraints {
  /** Exact host names, or `*.suffix` for one or more labels before it. */
  readonly hosts: readonly string[];
  readonly cidrs: readonly string[];
  readonly ports: readonly number[];
  readonly protocols: readonly ('tcp' | 'udp')[];
  readonly minServers: number;
  readonly maxServers: number;
  /** Seconds. */
  readonly maxListValidFor: number;
  /** 0 to 100 per cent of the managers of the last good list. */
  readonly maxRemovedPct: number;
  /** Seconds. */
  readonly minApplyInterval: number;
}

export interface PublisherAddress {
  readonly id: string;
  /** `https://host:port`, nothing after it. */
  readonly url: string;
  /** `sha256/<base64>` pins of the certificate authority's or the publisher's own public key. */
  readonly spki: readonly string[];
}

export interface Root {
  readonly org: string;
  readonly version: number;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly keys: Readonly<Record<string, PublicKey>>;
  readonly roles: { readonly root: Role; readonly list: Role; readonly rescue: Role };
  readonly epoch: number;
  readonly constraints: Constraints;
  readonly publishers: readonly PublisherAddress[];
  /** True where lists travel as files: no receipts are expected (CLOCK-ONLY without alarm). */
  readonly staticDelivery: boolean;
  /** Oldest sidecar version (`1.2.0`) this root is meant for; older ones warn. */
  readonly minClient?: string;
}

/** Freshness proof for one poll: the nonce of the request, signed by a list key. */
export interface Receipt extends Position {
  readonly nonce: string;
  /** `sha256:` tag of the list payload. */
  readonly list: string;
  readonly nowMs: number;
  /** `sha256:` tag of the id of the agent that asked. */
  readonly agent?: string;
}

/** What a join token carries: no secret, only the pin of the root and where to ask. */
export interface JoinToken {
  readonly org: string;
  readonly publishers: readonly string[];
  /** `sha256/<base64>` pin of the certificate authority. */
  readonly ca?: string;
  /** `sha256:` tag of the root payload bytes. */
  readonly rootHash: string;
  readonly rootVersion: number;
  readonly kids: readonly string[];
  readonly threshold: number;
  readonly group: string;
  readonly site: string;
  readonly id: string;
  /** Day of issue, `2026-11-01`: a host clock before it is wrong. */
  readonly notBefore?: string;
}
