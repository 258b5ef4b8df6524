/**
 * Every failure a user can meet: one stable name, one stable code, one line of what to do.
 * The class says where to look, the name says why, the message says what was seen.
 * Source of E1xx-E7xx: trust-and-safety section 1.7; E001-E099 and E8xx are our own.
 */

/** Process exit codes: 0 ok, 1 failed, 2 usage, 3 degraded or would change, 4 trust failure. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

interface Reason {
  readonly code: `E${number}`;
  readonly exit: ExitCode;
  /** One line for the operator: what to do about it. */
  readonly fix: string;
}

const reasons = {
  // Configuration, token, clock, second instance: what this host's operator wrote or runs.
  config_unreadable: {
    code: 'E001',
    exit: 2,
    fix: 'check that the file exists and may be read; --config (publisher: --dir) names another one',
  },
  config_invalid: {
    code: 'E002',
    exit: 2,
    fix: 'correct the named key; `--help` shows the reference of every key',
  },
  usage: { code: 'E003', exit: 2, fix: 'see --help' },
  token_invalid: {
    code: 'E010',
    exit: 4,
    fix: 'copy the whole token again from `pilotfish-publisher token`',
  },
  token_other_org: {
    code: 'E011',
    exit: 4,
    fix: 'this host belongs to another organisation; `join --reset` moves it on purpose',
  },
  not_joined: { code: 'E012', exit: 2, fix: 'run `pilotfish join TOKEN` first' },
  clock_implausible: {
    code: 'E020',
    exit: 3,
    fix: 'set the clock (NTP); the last good list stays in use meanwhile',
  },
  second_instance: {
    code: 'E030',
    exit: 1,
    fix: 'another pilotfish works on this host; stop it or wait for it',
  },
  already_initialised: {
    code: 'E040',
    exit: 1,
    fix: 'nothing was overwritten; choose another --dir or keep the existing one',
  },
  unknown_manager: {
    code: 'E041',
    exit: 2,
    fix: '`pilotfish-publisher nodes` shows the known manager ids',
  },
  unknown_version: {
    code: 'E042',
    exit: 2,
    fix: '`pilotfish-publisher history` shows the published versions',
  },
  relay_refused: {
    code: 'E043',
    exit: 2,
    fix: 'meet the named condition or choose another apply mode; `doctor` shows what the relay needs',
  },
  conflict: {
    code: 'E047',
    exit: 1,
    fix: 'nothing was changed; look at what the other one did (`history`, `rollout status`), then repeat',
  },
  unknown_agent: {
    code: 'E044',
    exit: 2,
    fix: '`pilotfish-publisher agents` shows the agents that report here',
  },
  is_follower: {
    code: 'E046',
    exit: 2,
    fix: 'run the command on the writer; every follower serves what it signs within seconds',
  },
  no_rollout: {
    code: 'E045',
    exit: 2,
    fix: '`pilotfish-publisher rollout status` shows what is under way',
  },
  no_file_states: {
    code: 'E049',
    exit: 2,
    fix: 'only a master of ours knows what each node lacks: ask its publisher',
  },
  // Who writes.
  not_leader: {
    code: 'E050',
    exit: 1,
    fix: 'nothing was changed; give the command on the publisher that leads, see `status`',
  },
  leader_unreachable: {
    code: 'E051',
    exit: 3,
    fix: 'check etcd (`etcdctl endpoint health`); lists are served meanwhile, none is signed',
  },
  leader_refused: {
    code: 'E052',
    exit: 2,
    fix: 'check user, password, certificate and `leader.etcd` of publisher.yml',
  },
  leader_full: {
    code: 'E053',
    exit: 3,
    fix: 'etcd is out of space: compact, defragment and disarm its alarm; lists are served meanwhile',
  },
  shared_state: {
    code: 'E054',
    exit: 4,
    fix: 'what lies in etcd is not proven by a list key of the root; see who writes there',
  },
  promotion_refused: {
    code: 'E055',
    exit: 1,
    fix: 'nothing was changed; `promotion status` and `promotion rehearse` say what is missing',
  },
  // Fetching.
  dns_failed: {
    code: 'E101',
    exit: 3,
    fix: 'check the name and the name servers; `pilotfish resolve NAME` shows both',
  },
  connect_failed: {
    code: 'E102',
    exit: 3,
    fix: 'check that the publisher runs and that the firewall lets this host reach it',
  },
  tls_failed: { code: 'E103', exit: 3, fix: "check the publisher's certificate and its dates" },
  pin_mismatch: {
    code: 'E104',
    exit: 4,
    fix: 'the publisher showed a key the root does not name: a middlebox, or a root to be updated',
  },
  http_status: { code: 'E105', exit: 3, fix: "look at the publisher's log" },
  too_big: {
    code: 'E106',
    exit: 3,
    fix: 'the answer exceeded its limit; check what answers there',
  },
  too_slow: { code: 'E107', exit: 3, fix: 'the answer came too slowly; check the network path' },
  redirected: { code: 'E108', exit: 3, fix: 'redirects are refused; name the publisher itself' },
  content_type: { code: 'E109', exit: 3, fix: 'something else answers at this address' },
  // Envelope.
  envelope_syntax: { code: 'E201', exit: 4, fix: 'the document is damaged or not one of ours' },
  envelope_header: { code: 'E202', exit: 4, fix: 'the signature header is not one of ours' },
  duplicate_member: { code: 'E203', exit: 4, fix: 'a JSON member occurs twice; do not trust it' },
  algorithm: { code: 'E204', exit: 4, fix: 'only Ed25519 signatures are accepted' },
  unknown_key: { code: 'E205', exit: 4, fix: 'signed by a key that the root does not name' },
  threshold: { code: 'E206', exit: 4, fix: 'too few valid signatures of distinct trusted keys' },
  // Root.
  root_gap: { code: 'E301', exit: 4, fix: 'publish every root version in order' },
  root_threshold: {
    code: 'E302',
    exit: 4,
    fix: 'a new root needs signatures of the old and of the new root keys',
  },
  root_org: { code: 'E303', exit: 4, fix: 'this root belongs to another organisation' },
  root_expired: { code: 'E304', exit: 4, fix: 'publish a renewed root; the last good list stays' },
  weak_key: { code: 'E305', exit: 4, fix: 'replace the weak key and sign a new root' },
  root_hash: { code: 'E306', exit: 4, fix: 'the root is not the one the token pins' },
  root_invalid: { code: 'E307', exit: 4, fix: 'correct the named member of the root document' },
  // List.
  wrong_type: { code: 'E401', exit: 4, fix: 'this document is not a manager list of this version' },
  wrong_audience: { code: 'E402', exit: 4, fix: 'this list is for another organisation or group' },
  wrong_epoch: { code: 'E403', exit: 4, fix: 'this list was made under a revoked or future epoch' },
  rolled_back: { code: 'E404', exit: 4, fix: 'an older list was offered; the newer one stays' },
  equivocation: {
    code: 'E405',
    exit: 4,
    fix: 'two lists with one version: a signing key may be stolen, see the two hashes',
  },
  stale: { code: 'E406', exit: 3, fix: 'no fresh list is to be had; the last good one stays' },
  version_jump: { code: 'E407', exit: 4, fix: 'the version leapt; raise the epoch in a new root' },
  constraint: { code: 'E408', exit: 4, fix: 'the list names what the root does not allow' },
  too_many_removed: {
    code: 'E409',
    exit: 4,
    fix: 'drain the managers first, or publish with the rescue keys',
  },
  no_candidate: { code: 'E410', exit: 3, fix: 'no new manager answers; the current list stays' },
  list_invalid: { code: 'E411', exit: 4, fix: 'correct the named member of the list' },
  expired_at_join: {
    code: 'E412',
    exit: 4,
    fix: 'the very first list is already expired: publish a fresh one, then join again',
  },
  receipt_invalid: { code: 'E413', exit: 4, fix: 'the freshness receipt does not match this poll' },
  // Writing the agent's configuration.
  lock_held: { code: 'E501', exit: 1, fix: 'another apply is under way; it is tried again' },
  changed_meanwhile: {
    code: 'E502',
    exit: 1,
    fix: 'somebody edited ossec.conf; it is tried again',
  },
  not_regular: {
    code: 'E503',
    exit: 1,
    fix: 'ossec.conf must be a regular file with one name, not a symlink or hard link',
  },
  config_unparseable: {
    code: 'E504',
    exit: 1,
    fix: 'the agent itself could not load this file; mend the named line first',
  },
  foreign_edit: { code: 'E505', exit: 1, fix: 'somebody else owns the server entries; see status' },
  write_failed: {
    code: 'E506',
    exit: 1,
    fix: 'the disk is full, read-only or refuses; the old file is untouched',
  },
  agent_refuses: {
    code: 'E507',
    exit: 1,
    fix: 'the agent would refuse the new file; nothing written',
  },
  upgrade_running: {
    code: 'E508',
    exit: 3,
    fix: 'an agent upgrade is under way; it is tried later',
  },
  order_not_allowed: {
    code: 'E509',
    exit: 4,
    fix: 'the applier takes only managers of the list it verified itself',
  },
  config_not_editable: {
    code: 'E510',
    exit: 1,
    fix: 'the agent loads this file but an edit could change its meaning; see the named place',
  },
  // Moving the agent.
  restart_failed: { code: 'E601', exit: 1, fix: "look at the agent's own log" },
  restart_budget: {
    code: 'E602',
    exit: 3,
    fix: 'the restart budget is used up; it refills by itself',
  },
  not_connected: { code: 'E610', exit: 3, fix: 'the agent did not connect in time; see status' },
  state_unreadable: {
    code: 'E701',
    exit: 1,
    fix: 'both generations of the state are damaged; join again',
  },
  state_exposed: {
    code: 'E706',
    exit: 1,
    fix: 'see who wrote there; chown it to the user of pilotfish, chmod 0700, then join again',
  },
  state_inaccessible: {
    code: 'E704',
    exit: 1,
    fix: 'run as the user that owns the state (root); nothing was changed',
  },
  store_failed: {
    code: 'E702',
    exit: 1,
    fix: "check space and permissions of the publisher's directory",
  },
  listen_failed: { code: 'E703', exit: 1, fix: 'choose a free address and port' },
  balancer_failed: {
    code: 'E760',
    exit: 1,
    fix: 'the balancer refuses or does not answer; its file and its running process are as they were',
  },
  secret_leak: {
    code: 'E803',
    exit: 1,
    fix: 'please report this: a diagnostics bundle would have held a secret; nothing was written',
  },
  probe_failed: { code: 'E801', exit: 3, fix: 'the manager does not answer as a manager does' },
  not_found: { code: 'E802', exit: 1, fix: 'check the name' },
  database_failed: {
    code: 'E705',
    exit: 3,
    fix: 'check that wazuh-db runs and that its sockets may be used',
  },
  // The cluster protocol.
  wire_broken: {
    code: 'E820',
    exit: 1,
    fix: 'the peer breaks the cluster protocol; check what connects to this port',
  },
  wire_limit: {
    code: 'E821',
    exit: 1,
    fix: 'the peer exceeds a limit of the cluster protocol; check what connects to this port',
  },
  wire_unsealed: {
    code: 'E822',
    exit: 4,
    fix: 'compare the cluster key of both nodes',
  },
  peer_silent: {
    code: 'E823',
    exit: 3,
    fix: 'check that the other node runs and is not overloaded',
  },
  peer_refused: { code: 'E824', exit: 1, fix: "look at the other node's cluster.log" },
  peer_changed: {
    code: 'E825',
    exit: 4,
    fix: 'a peer that was one of ours may be a stock one after `cluster forget-peer`, any after `peers: any`',
  },
  master_outdated: {
    code: 'E827',
    exit: 3,
    fix: 'another node has the role of master, see `pilotfish-publisher promotion status`',
  },
  link_closed: {
    code: 'E826',
    exit: 3,
    fix: 'the link to the other node ended; it is dialled again',
  },
} as const satisfies Readonly<Record<string, Reason>>;

export type ReasonName = keyof typeof reasons;

/** Where somebody should look: our configuration, a document, the wire, the agent, the host. */
export abstract class PilotfishError extends Error {
  readonly reason: ReasonName;

  constructor(reason: ReasonName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.name = new.target.name;
  }

  /** Stable code, `E404`. */
  get code(): `E${number}` {
    return reasons[this.reason].code;
  }

  get exit(): ExitCode {
    return reasons[this.reason].exit;
  }

  get fix(): string {
    return reasons[this.reason].fix;
  }

  /** Shape of every error in `--json` output. */
  toJSON(): { code: string; name: ReasonName; message: string; fix: string } {
    return { code: this.code, name: this.reason, message: this.message, fix: this.fix };
  }
}

/** The operator's configuration, flags or token. */
export class ConfigError extends PilotfishError {}
/** A signed document: root, list, receipt, envelope. */
export class ListError extends PilotfishError {}
/** Bytes on a wire that break their protocol. */
export class WireError extends PilotfishError {}
/** Another machine that did not do its part. */
export class PeerError extends PilotfishError {}
/** The Wazuh agent on this host, its files and its service. */
export class AgentError extends PilotfishError {}
/** This host: disk, permissions, locks. */
export class HostError extends PilotfishError {}

/** All reasons with their codes, for documentation and tests. */
export function listReasons(): readonly (Reason & { readonly name: ReasonName })[] {
  return Object.entries(reasons).map(([name, reason]) => ({
    name: name as ReasonName,
    ...reason,
  }));
}
