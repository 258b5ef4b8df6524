/**
 * Bugs that somebody could write, each as a changed copy of the functions a world is given.
 * A simulator that does not find them proves nothing (trust-and-safety 5.3).
 */
import type { Manager, ManagerList } from '../../src/list/model.ts';
import type { Situation } from '../../src/sidecar/decide-view.ts';
import type { Decision, Step } from '../../src/sidecar/step.ts';
import { type DiskOp, type Logic, productLogic } from '../../src/simulation/logic.ts';

export interface Bug {
  readonly name: string;
  readonly logic: Partial<Logic>;
  readonly replaceOps?: readonly DiskOp[];
  /**
   * `herd`: many agents on few slow managers; `tight`: hardly any restart is allowed; `relay`,
   * `relayHerd`, `relayDrain`: agents dial their sidecar's relay; `rollout`: changes go out in waves.
   */
  readonly world: 'small' | 'herd' | 'tight' | 'relay' | 'relayHerd' | 'relayDrain' | 'rollout';
}

const real = productLogic;

function hold(decision: Decision): Decision {
  return { ...decision, step: { kind: 'hold', reason: 'panic' } };
}

/** Everything is as the list says: the health that was seen is overwritten. */
function believing(situation: Situation, verdict: 'up' | 'down'): Situation {
  const health = new Map(
    [...situation.seen.health].map(([id, one]) => [id, { ...one, verdict }] as const),
  );
  return { ...situation, seen: { ...situation.seen, health } };
}

function movedTo(
  situation: Situation,
  decision: Decision,
  choose: (m: Manager[]) => Manager | undefined,
) {
  const { step } = decision;
  if (step.kind !== 'move') return decision;
  const target = choose([...situation.list.ranking]);
  if (target === undefined) return decision;
  const order = [target.id, ...step.order.filter((id) => id !== target.id)];
  return { ...decision, step: { ...step, order, to: target.id } };
}

/** No answer after a death counts, and the doubt has no end. */
function unwitnessed(situation: Situation): Situation {
  const health = new Map(
    [...situation.seen.health].map(([id, one]) => [id, { ...one, probedAtMs: 0 }] as const),
  );
  const policy = { ...situation.policy, doubtMs: 1e12 };
  return { ...situation, policy, seen: { ...situation.seen, health } };
}

function withList(situation: Situation, changed: Partial<ManagerList>): Situation {
  const { list } = situation;
  return { ...situation, list: { ...list, list: { ...list.list, ...changed } } };
}

function clientOf({ list }: Situation): ManagerList['client'] {
  return list.list.client;
}

function withoutReason(reasons: readonly string[]): Logic['decide'] {
  return (situation) => {
    const decision = real.decide(situation);
    const { step } = decision;
    return step.kind === 'move' && reasons.includes(step.reason) ? hold(decision) : decision;
  };
}

/** With a health map in which this host is never the suspect. */
const withoutPanic: Logic['decide'] = (situation) => {
  const { list } = situation.list;
  const client = { ...list.client, panicPct: 100 };
  return real.decide({ ...situation, list: { ...situation.list, list: { ...list, client } } });
};

const rebrand = (step: Step, keep: number): Step =>
  step.kind === 'move' || step.kind === 'write'
    ? { ...step, order: step.order.slice(0, keep) }
    : step;

export const bugs: readonly Bug[] = [
  {
    name: 'the agent goes back as soon as its first choice answers',
    world: 'small',
    logic: {
      decide: (s) => {
        const decision = real.decide(s);
        const [home] = s.list.ranking;
        const isAway = home !== undefined && s.memory.lastManager !== home.id;
        const isUp = home !== undefined && s.seen.health.get(home.id)?.verdict === 'up';
        if (!isAway || !isUp || decision.step.kind !== 'stay') return decision;
        const order = s.list.ranking.map(({ id }) => id);
        const step = { kind: 'move', order, to: home.id, reason: 'manager_down' } as const;
        return { ...decision, step };
      },
    },
  },
  {
    name: 'a dead manager is never seen as dead',
    world: 'small',
    logic: { judge: (b, o, s, n) => real.judge(b, o, { ...s, fall: 1e9 }, n) },
  },
  {
    name: 'a manager that returned is never believed',
    world: 'small',
    logic: { judge: (b, o, s, n) => real.judge(b, o, { ...s, rise: 1e9 }, n) },
  },
  {
    name: 'probes are judged the wrong way round',
    world: 'small',
    logic: {
      judge: (b, o, s, n) => ({
        ...real.judge(b, o, s, n),
        verdict: o.kind === 'dead' ? 'up' : 'down',
      }),
    },
  },
  {
    name: 'leaving a dead manager was forgotten',
    world: 'small',
    logic: { decide: withoutReason(['manager_down', 'agent_lost']) },
  },
  {
    name: 'every manager counts as up',
    world: 'small',
    logic: { decide: (s) => real.decide(believing(s, 'up')) },
  },
  {
    name: 'the worst manager of the order is the target',
    world: 'small',
    logic: {
      decide: (s) =>
        movedTo(s, real.decide(s), (all) =>
          all.findLast((m) => s.seen.health.get(m.id)?.verdict === 'down'),
        ),
    },
  },
  {
    name: 'the agent is sent back to the manager it leaves',
    world: 'small',
    logic: {
      decide: (s) =>
        movedTo(s, real.decide(s), (all) => all.find((m) => m.id === s.memory.lastManager)),
    },
  },
  {
    name: 'a cooldown delays leaving a dead manager',
    world: 'small',
    logic: {
      decide: (s) => {
        const decision = real.decide(s);
        const wasTouched = s.memory.attempts.some(({ atMs }) => s.nowMs - atMs < 3_600_000);
        return decision.step.kind === 'move' && wasTouched ? hold(decision) : decision;
      },
    },
  },
  {
    name: 'panic lasts for ever',
    world: 'small',
    logic: { decide: (s) => real.decide(unwitnessed(s)) },
  },
  {
    name: 'moves only while everything looks dead',
    world: 'small',
    logic: {
      decide: (s) => {
        const d = withoutPanic(s);
        return [...s.seen.health.values()].some((h) => h.verdict === 'up') ? hold(d) : d;
      },
    },
  },
  {
    name: 'slots are ignored',
    world: 'herd',
    logic: { decide: (s) => real.decide(withList(s, { client: { ...clientOf(s), agents: 0 } })) },
  },
  {
    name: 'everybody has the same slot',
    world: 'herd',
    logic: { decide: (s) => real.decide({ ...s, agentId: '001' }) },
  },
  {
    name: 'slots are counted in seconds instead of milliseconds',
    world: 'herd',
    logic: {
      decide: (s) => {
        const admission = { id: 'x', startSlotAtMs: 0, ratePerServer: 25_000 };
        return real.decide(withList(s, { admission }));
      },
    },
  },
  {
    name: 'everybody ranks the managers alike',
    world: 'herd',
    logic: { rank: (managers) => real.rank(managers, { agentId: 'all' }) },
  },
  {
    name: 'the first manager of the list comes first for all',
    world: 'herd',
    logic: { rank: (managers) => managers.filter(({ state }) => state !== 'down') },
  },
  {
    name: 'relays lead a whole fleet on at once',
    world: 'relayHerd',
    logic: { relay: { ...real.relay, admissionWaitMs: () => 0 } },
  },
  {
    name: 'agents of a drained manager leave it through their relays at once',
    world: 'relayDrain',
    logic: { decide: (s) => real.decide({ ...s, policy: { ...s.policy, spreadMs: 0 } }) },
  },
  {
    name: 'the relay leads by rank, whatever the probes say',
    world: 'relay',
    logic: {
      relay: {
        ...real.relay,
        choose: (id, ranking, _, now) => real.relay.choose(id, ranking, new Map(), now),
      },
    },
  },
  {
    name: 'the relay keeps a standing session with a dead manager',
    world: 'relay',
    logic: {
      decide: (s) => {
        const decision = real.decide(s);
        return decision.step.kind === 'switch' ? hold(decision) : decision;
      },
    },
  },
  {
    name: 'a change goes to everybody at once',
    world: 'rollout',
    logic: { rollout: { ...real.rollout, plan: () => undefined } },
  },
  {
    name: 'the gates of a wave see no fault',
    world: 'rollout',
    logic: {
      rollout: {
        ...real.rollout,
        drive: (ground) => {
          const rows = [...ground.rows].map((row) => ({
            ...row,
            report: { ...row.report, connected: true, health: [] },
          }));
          return real.rollout.drive({ ...ground, rows });
        },
      },
    },
  },
  {
    name: 'a wave goes on before its time',
    world: 'rollout',
    logic: {
      rollout: {
        ...real.rollout,
        drive: ({ newest, ...ground }) => {
          const { rollout, ...rest } = newest;
          if (rollout === undefined) return real.rollout.drive({ newest, ...ground });
          const stages = rollout.stages.map((stage) => ({ ...stage, bakeMs: 0 }));
          return real.rollout.drive({
            ...ground,
            newest: { ...rest, rollout: { ...rollout, stages } },
          });
        },
      },
    },
  },
  {
    name: 'a halted rollout goes back to itself',
    world: 'rollout',
    logic: {
      rollout: {
        ...real.rollout,
        drive: (ground) => real.rollout.drive({ ...ground, stable: ground.newest }),
      },
    },
  },
  {
    name: 'the restart budget is ignored',
    world: 'tight',
    logic: { urgentBudget: () => ({ kind: 'allowed', purse: 'urgent' }) },
  },
  { name: 'restarts are not remembered', world: 'tight', logic: { spend: (restarts) => restarts } },
  {
    name: 'the budget counts a minute for an hour',
    world: 'tight',
    logic: {
      urgentBudget: (r, l, n) =>
        real.urgentBudget(
          r.filter(({ atMs }) => atMs > n - 60_000),
          l,
          n,
        ),
    },
  },
  {
    name: 'the budget is compared with > instead of >=',
    world: 'tight',
    logic: {
      urgentBudget: (r, l, n) =>
        real.urgentBudget(r, { ...l, urgentRestartsPerHour: l.urgentRestartsPerHour + 1 }, n),
    },
  },
  {
    name: 'the file is truncated and written in place',
    world: 'small',
    logic: {},
    replaceOps: ['create', 'truncate_target', 'write_target'],
  },
  {
    name: 'the new file is renamed before it is synced',
    world: 'small',
    logic: {},
    replaceOps: ['create', 'write_unsynced', 'rename', 'sync_folder'],
  },
  {
    name: 'the new file is renamed before it is written',
    world: 'small',
    logic: {},
    replaceOps: ['create', 'rename', 'write_synced', 'sync_folder'],
  },
  {
    name: 'a list is persisted before it is checked',
    world: 'small',
    logic: { acceptOps: ['persist', 'check'] },
  },
  {
    name: 'an equal version is accepted: >= instead of >',
    world: 'small',
    logic: {
      position: (o, k) =>
        o.position.version === k?.position.version && o.hash !== k.hash
          ? 'new'
          : real.position(o, k),
    },
  },
  {
    name: 'an older list is accepted',
    world: 'small',
    logic: { position: (o, k) => (o.hash === k?.hash ? 'same' : 'new') },
  },
  {
    name: 'the constraints of the root are not checked',
    world: 'small',
    logic: { constraints: () => undefined },
  },
  {
    name: 'any number of managers may vanish at once',
    world: 'small',
    logic: { removed: () => undefined },
  },
  {
    name: 'the last good list is forgotten',
    world: 'small',
    logic: {
      rememberNews: (m, n, id, now) => {
        const { list: _, ...rest } = real.rememberNews(m, n, id, now);
        return rest;
      },
    },
  },
  {
    name: 'the rollout wave is ignored',
    world: 'small',
    logic: { rememberNews: (m, { rollout: _, ...n }, id, now) => real.rememberNews(m, n, id, now) },
  },
  {
    name: 'an update cycle reads without a bound',
    world: 'small',
    logic: { poll: { limitMs: 60_000, limitBytes: 1e12 } },
  },
  {
    name: 'an update cycle waits without a bound',
    world: 'small',
    logic: { poll: { limitMs: 1e12, limitBytes: 262_144 } },
  },
  {
    name: 'the order names no manager',
    world: 'small',
    logic: {
      decide: (s) => {
        const d = real.decide(s);
        return { ...d, step: rebrand(d.step, 0) };
      },
    },
  },
];
