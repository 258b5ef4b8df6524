/** Reads the cases of `test/cases/decide` (see its README) into what `decide` takes. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Health } from '../../src/health/judge.ts';
import type { Manager, ManagerState } from '../../src/list/model.ts';
import { clientDefaults } from '../../src/list/parse-list.ts';
import { defaultPolicy, type Situation } from '../../src/sidecar/decide-view.ts';
import { parseWindows } from '../../src/sidecar/decide-window.ts';
import type { Attempt } from '../../src/sidecar/memory.ts';
import type { FileSeen, HolderSeen, Seen } from '../../src/sidecar/seen.ts';
import { type Decision, stepKey } from '../../src/sidecar/step.ts';

const nowMs = Date.UTC(2026, 10, 21);
const hash = `sha256:${'0'.repeat(64)}`;

export interface DecideCase {
  readonly name: string;
  readonly list?: readonly string[];
  readonly accepted?: number;
  readonly client?: object;
  readonly admission?: { readonly ratePerServer: number; readonly startIn: number };
  /** Managers that hold too many, and the share of their strangers that is asked to go home. */
  readonly balance?: { readonly from: readonly string[]; readonly pct: number };
  /** `old`, or manager letters: addresses at which a load balancer listens for agents. */
  readonly balancers?: readonly string[];
  readonly file?: readonly string[] | string;
  readonly dialect?: '4' | '5';
  readonly tuned?: Readonly<Record<string, number>>;
  readonly agent?: string;
  readonly health?: Readonly<Record<string, string>>;
  /** A package manager is at work, whatever the agent does. */
  readonly upgrade?: boolean;
  readonly last?: string;
  readonly relay?: 'open' | 'refused';
  /** Seconds since the relay turned the agent away. */
  readonly turned?: number;
  /** Seconds since when the agent has been seen connected without a loss. */
  readonly found?: number;
  /** Address and age in seconds of the session in the relay. */
  readonly session?: string;
  /** What is known of the nodes behind addresses, see the README. */
  readonly nodes?: Readonly<Record<string, string>>;
  /** Age in seconds of the agent's own connection, and how often its bytes were sent again. */
  readonly connection?: string;
  readonly attempts?: readonly string[];
  readonly held?: {
    readonly key: string;
    readonly for: number;
    readonly age?: number;
    readonly reason?: string;
  };
  readonly pause?: number;
  readonly resumed?: number;
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly expect: string;
}

export function readDecideCases(): readonly { readonly file: string; readonly one: DecideCase }[] {
  const folder = fileURLToPath(new URL('../cases/decide/', import.meta.url));
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .flatMap((file) => {
      const cases = JSON.parse(readFileSync(`${folder}${file}`, 'utf8')) as DecideCase[];
      return cases.map((one) => ({ file, one }));
    });
}

export function situationOf(one: DecideCase): Situation {
  const managers = (one.list ?? ['a', 'b', 'c']).map(managerOf);
  const { policy = {} } = one;
  const seconds = (name: string, fallback: number): number =>
    Number(policy[name] ?? fallback) * 1000;
  return {
    memory: {
      token: 'unused',
      rootPin: hash,
      roots: [],
      floorMs: 0,
      stalePolls: 0,
      attempts: (one.attempts ?? []).map(attemptOf),
      ...(one.last === undefined ? {} : { lastManager: one.last }),
      ...(one.held === undefined ? {} : { held: heldOf(one.held) }),
    },
    list: {
      list: {
        org: 'acme',
        rootVersion: 1,
        epoch: 1,
        term: 1,
        version: 1,
        aud: { group: 'default', site: '*' },
        issuedAtMs: nowMs,
        validFor: 86_400,
        managers,
        client: { ...clientDefaults, ...one.client },
        ...(one.balance === undefined ? {} : { balance: { id: 'b-1', ...one.balance } }),
        ...(one.balancers === undefined
          ? {}
          : { balancers: one.balancers.map((id) => ({ address: addressOf(id), port: 1514 })) }),
        ...(one.admission === undefined
          ? {}
          : {
              admission: {
                id: 'x',
                ratePerServer: one.admission.ratePerServer,
                startSlotAtMs: nowMs + one.admission.startIn * 1000,
              },
            }),
      },
      hash,
      acceptedAtMs: nowMs - (one.accepted ?? 1000) * 1000,
      ranking: managers,
    },
    seen: seenOf(one, managers),
    policy: {
      ...defaultPolicy,
      cooldownMs: seconds('cooldown', 300),
      spreadMs: policy.spread === null ? undefined : seconds('spread', 0),
      minApplyMs: seconds('minApply', 60),
      reconnectGraceMs: seconds('grace', 20),
      settleMs: seconds('settle', 900),
      minServers: Number(policy.minServers ?? 1),
      nativeLoopMs: seconds('nativeLoop', 3),
      freeze: policy.freeze === true,
      windows: ((policy.windows ?? []) as readonly string[]).flatMap(
        (text) => parseWindows(text) ?? [],
      ),
      failBack: (policy.failBack ?? 'relay') as 'never' | 'relay' | 'always',
      failBackSpreadMs: seconds('failBackSpread', 0),
      tuning: (policy.tuning ?? {}) as object,
    },
    agentId: '001',
    nowMs,
  };
}

/** The decision as one line, in the words of `expect`; `until` only where the case names it. */
export function renderDecision({ step }: Decision, expected: string): string {
  switch (step.kind) {
    case 'stay':
      return `stay ${step.reason}`;
    case 'write':
      return `write ${step.order.join(' ')} ${step.reason}`;
    case 'move':
      return `move ${step.to}: ${step.order.join(' ')} ${step.reason}`;
    case 'switch':
      return `switch ${step.from} ${step.to} ${step.reason}${step.session === undefined ? '' : ` session ${step.session}`}`;
    case 'restore':
      return 'restore';
    default: {
      const until = step.untilMs === undefined ? '' : ` until ${(step.untilMs - nowMs) / 1000}`;
      return `hold ${step.reason}${expected.includes(' until ') ? until : ''}`;
    }
  }
}

function managerOf(text: string): Manager {
  const [id = '', ...words] = text.split(' ');
  const state = (['drain', 'down'] as const).find((word) => words.includes(word)) ?? 'up';
  return {
    id,
    address: words.includes('name') ? `${id}.example` : addressOf(id),
    port: 1514,
    protocol: words.includes('udp') ? 'udp' : 'tcp',
    zone: 'z',
    prio: 0,
    weight: words.includes('reserve') ? 0 : 100,
    state: state satisfies ManagerState,
  };
}

function addressOf(id: string): string {
  if (id === 'relay') return relayAt.address;
  return id === 'old' ? '192.0.2.9' : `10.0.0.${id.charCodeAt(0) - 96}`;
}

const relayAt = { address: '127.0.0.1', port: 840 };

function usesUdp({ list = [] }: DecideCase): boolean {
  return list.length > 0 && list.every((text) => text.split(' ').includes('udp'));
}

function relayOf(one: DecideCase): Pick<Seen, 'relay'> {
  const { relay, agent = '' } = one;
  if (relay === undefined) return {};
  if (relay === 'refused') return { relay: { kind: 'refused', code: 'E043', why: 'a reason' } };
  const [word, id = '-'] = agent.split(' ');
  const leads = word === 'relayed' && id !== '-' ? { managerId: id } : {};
  const turned = one.turned === undefined ? {} : { refusedAtMs: nowMs - one.turned * 1000 };
  const untilMs = nowMs + Number(id) * 1000;
  const waits = word === 'admitted' ? { admitsAtMs: untilMs } : {};
  const kept = word === 'kept' || word === 'behind' ? { keptUntilMs: untilMs } : {};
  const protocol = usesUdp(one) ? { protocol: 'udp' as const } : {};
  const at = {
    kind: 'open',
    ...relayAt,
    ...protocol,
    ...leads,
    ...waits,
    ...kept,
    ...turned,
  } as const;
  return { relay: { ...at, ...sessionOf(one) } };
}

function sessionOf({ session }: DecideCase) {
  if (session === undefined) return {};
  const [address = '', age] = session.split(' ');
  return { session: { number: 7, address, openedAtMs: nowMs - Number(age) * 1000 } };
}

function seenOf(one: DecideCase, managers: readonly Manager[]): Seen {
  const health = managers.map(({ id }) => [id, healthOf(one.health?.[id] ?? 'up 2000')] as const);
  const [word = 'on', detail = '0'] = (one.agent ?? `on ${managers[0]?.id}`).split(' ');
  const isRunning = word !== 'stopped' && word !== 'absent';
  const isConnected = ['on', 'connected', 'relayed', 'wedged', 'late'].includes(word);
  return {
    agent: {
      installed: word !== 'absent',
      running: isRunning,
      pids: isRunning ? [1] : [],
      status: isConnected ? 'connected' : 'disconnected',
      waiting: ['lost', 'retrying', 'admitted', 'kept', 'behind'].includes(word),
      peers: peersOf(word, detail, usesUdp(one)),
      ...ackOf(word),
      upgrade: word === 'upgrading' || one.upgrade === true ? 'var/upgrade/x' : undefined,
    },
    file: fileOf(one, managers),
    health: new Map(health.flatMap(([id, value]) => (value === undefined ? [] : [[id, value]]))),
    ...relayOf(one),
    ...nodesOf(one),
    ...(word === 'wedged' ? { stuckForMs: Number(one.agent?.split(' ')[2] ?? 60) * 1000 } : {}),
    ...(word === 'lost' ? { lostSinceAtMs: nowMs - Number(detail) * 1000 } : {}),
    ...(one.found === undefined ? {} : { foundAtMs: nowMs - one.found * 1000 }),
    ...(['admitted', 'kept', 'behind'].includes(word) ? { lostSinceAtMs: nowMs - 120_000 } : {}),
    ...pauseOf(one),
  };
}

function nodesOf({ nodes, connection }: DecideCase): Pick<Seen, 'holders' | 'ownConnection'> {
  const [since, retransmits = '0'] = (connection ?? '').split(' ');
  const sinceAtMs = nowMs - Number(since) * 1000;
  const own = { ownConnection: { sinceAtMs, retransmits: Number(retransmits) } };
  return {
    ...(connection === undefined ? {} : own),
    ...(nodes === undefined
      ? {}
      : { holders: new Map(Object.entries(nodes).map(([id, text]) => [id, holderOf(text)])) }),
  };
}

function holderOf(text: string): HolderSeen {
  const [, age, gone, ...words] = text.split(' ');
  const atMs = nowMs - Number(age) * 1000;
  const changes = words.includes('contested') ? [atMs, atMs, atMs] : [atMs];
  return { marks: {}, movedAtMs: atMs, goneMs: Number(gone) * 1000, changes };
}

function pauseOf({ pause, resumed }: DecideCase): Pick<Seen, 'pause'> {
  if (pause !== undefined) {
    return { pause: { untilMs: nowMs + pause * 1000, reason: 'maintenance' } };
  }
  if (resumed === undefined) return {};
  const endedAtMs = nowMs - resumed * 1000;
  return { pause: { untilMs: endedAtMs, reason: 'resumed', endedAtMs } };
}

function peersOf(word: string, detail: string, isUdp: boolean) {
  if (word === 'relayed') return isUdp ? [] : [relayAt];
  if (word === 'kept') return [relayAt];
  const hasPeer = ['on', 'retrying', 'wedged', 'late'].includes(word);
  return hasPeer ? [{ address: addressOf(detail), port: 1514 }] : [];
}

/** Acks are late for a minute where the case says so; the state file itself is young. */
function ackOf(word: string) {
  const isLate = word === 'wedged' || word === 'late';
  if (!isLate) return {};
  return { stateWrittenAtMs: nowMs, lastAckAtMs: nowMs - 60_000, msgSent: 7, msgBuffer: 9 };
}

const failures = ['refused', 'unresolved', 'unreachable'] as const;

function healthOf(text: string): Health | undefined {
  const [verdict, age = '0', ...words] = text.split(' ');
  const value = (name: string): number | undefined => {
    const found = words.find((word) => word.startsWith(`${name}=`));
    return found === undefined ? undefined : Number(found.slice(name.length + 1));
  };
  const failure = failures.find((one) => words.includes(one));
  const [returned, penalty, moved] = [value('returned'), value('penalty'), value('moved')];
  const ips = words.find((word) => word.startsWith('ips='))?.slice('ips='.length);
  if (verdict !== 'up' && verdict !== 'down') return undefined;
  return {
    verdict,
    streak: value('streak') ?? 20,
    lastKind: verdict === 'up' || words.includes('answering') ? 'alive' : 'dead',
    ...(failure === undefined ? {} : { failure }),
    ...(returned === undefined ? {} : { returnedAtMs: nowMs - returned * 1000 }),
    ...(penalty === undefined
      ? {}
      : { damping: { penalty, atMs: nowMs, isSuppressed: penalty >= 3000 } }),
    sinceAtMs: nowMs - Number(age) * 1000,
    probedAtMs: nowMs - (value('asked') ?? 0) * 1000,
    tookMs: 1,
    seen: verdict === 'up' ? 'answered in 1.0 ms' : 'no answer in time',
    ips: ips === undefined ? [] : ips.split(','),
    ...(moved === undefined ? {} : { movedAtMs: nowMs - moved * 1000 }),
  };
}

function fileOf(one: DecideCase, managers: readonly Manager[]): FileSeen {
  const { file = managers.map(({ id }) => id) } = one;
  if (file === 'refused') return { kind: 'refused', code: 'E504', why: 'line 3: not an element' };
  if (typeof file === 'string') return { kind: 'missing', hasBackup: file.endsWith('backup') };
  const other = usesUdp(one) ? 'udp' : 'tcp';
  const { maxRetries = 5, retryInterval = 10, notifyTime, timeReconnect } = one.tuned ?? {};
  return {
    kind: 'readable',
    dialect: one.dialect ?? '4',
    servers: file.map((id) => ({
      address: managers.find((manager) => manager.id === id)?.address ?? addressOf(id),
      port: id === 'relay' ? relayAt.port : 1514,
      protocol: managers.find((manager) => manager.id === id)?.protocol ?? other,
      maxRetries: id === 'relay' ? 1 : maxRetries,
      retryInterval: id === 'relay' ? 1 : retryInterval,
    })),
    notifyTime,
    timeReconnect,
    hash,
  };
}

function attemptOf(text: string): Attempt {
  const [kind, to = '', outcome, age] = text.split(' ');
  return {
    kind: kind === 'move' ? 'move' : 'write',
    to,
    atMs: nowMs - Number(age) * 1000,
    outcome: outcome as Attempt['outcome'],
  };
}

function heldOf({ key, for: held, age = 0, reason }: NonNullable<DecideCase['held']>) {
  const [kind, ids = ''] = key.startsWith('move')
    ? ['move', key.split(': ')[1]]
    : ['write', key.slice('write '.length)];
  const order = ids.split(' ');
  const step =
    kind === 'move'
      ? ({ kind, order, to: order[0] ?? '', reason: 'manager_down' } as const)
      : ({ kind: 'write', order, reason: 'membership' } as const);
  return {
    key: stepKey(step, hash),
    untilMs: nowMs + held * 1000,
    atMs: nowMs - age * 1000,
    why: 'E501',
    ...(reason === undefined ? {} : { reason }),
  };
}
