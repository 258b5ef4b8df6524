/**
 * What a promotion of this node would do, step by step, with what is found at each of them now:
 * the master is taken for gone, nothing is changed. Values in, lines out. Pure.
 */
import type { Freshness } from './judge.ts';
import { judgePromotion } from './judge.ts';
import type { PromotionSettings, PromotionStatus } from './ports.ts';
import type { RoleRecord } from './record.ts';

export interface RehearsedStep {
  readonly step: string;
  /** `note`: nothing to be right or wrong; `not run`: nobody looked, the text says why. */
  readonly result: 'ok' | 'failed' | 'note' | 'not run';
  readonly text: string;
}

export interface Rehearsal {
  readonly node: string;
  /** A promotion of this node would succeed now. */
  readonly wouldSucceed: boolean;
  readonly steps: readonly RehearsedStep[];
  /** From the loss of the master to the seat, and from there to the first enrolment. */
  readonly seatWithinMs: number;
  readonly roleWithinMs: number;
}

export type EngineSeen =
  | {
      readonly kind: 'answered';
      readonly tookMs: number;
      readonly holder: string | undefined;
      readonly record: RoleRecord | undefined;
      readonly isRecordUnknown: boolean;
    }
  | { readonly kind: 'failed'; readonly why: string };

export interface RehearsalFacts {
  readonly settings: PromotionSettings;
  readonly ttlMs: number;
  readonly engine: EngineSeen;
  /** Of the running node; undefined: none runs, or it told nothing for long. */
  readonly status: PromotionStatus | undefined;
  readonly ownToken: number;
  readonly freshness: Freshness | undefined;
  /** Every hook with what is wrong about it. */
  readonly hooks: readonly {
    readonly when: 'stop' | 'start' | 'follow';
    readonly argv: readonly string[];
    readonly fault: string | undefined;
  }[];
  readonly hookTimeoutMs: number;
  readonly hasFirewall: boolean;
  /** Undefined: it can be had. */
  readonly portFault: string | undefined;
  /** Undefined: it can be written, or need not be. */
  readonly typeFault: string | undefined;
  readonly nowMs: number;
}

/** What a node of ours needs to build its other role and bind the port, measured generously. */
const switchMs = 2_000;

export function rehearse(facts: RehearsalFacts): Rehearsal {
  const { settings, ttlMs } = facts;
  const steps = [
    runningStep(facts),
    engineStep(facts),
    holderStep(facts),
    keysStep(facts),
    judgedStep(facts),
    pauseStep(facts),
    portStep(facts),
    typeStep(facts),
    ...hookSteps(facts),
    ...workerSteps(facts),
    firewallStep(facts),
    watchdogStep(facts),
  ];
  return {
    node: settings.node,
    wouldSucceed: steps.every(({ result }) => result !== 'failed'),
    steps,
    seatWithinMs: ttlMs + 1_000,
    roleWithinMs: settings.pauseMs + switchMs,
  };
}

type Facts = RehearsalFacts;
const ok = (step: string, text: string): RehearsedStep => ({ step, result: 'ok', text });
const failed = (step: string, text: string): RehearsedStep => ({ step, result: 'failed', text });
const note = (step: string, text: string): RehearsedStep => ({ step, result: 'note', text });
const notRun = (step: string, text: string): RehearsedStep => ({ step, result: 'not run', text });

function runningStep({ status }: Facts): RehearsedStep {
  if (status === undefined) return failed('this node runs', 'no node runs with this directory');
  return ok('this node runs', `as ${status.role}, mode ${status.mode}`);
}

/** A transaction that is answered was agreed on by a majority. */
function engineStep({ engine }: Facts): RehearsedStep {
  if (engine.kind === 'failed') return failed('engine has a majority', engine.why);
  return ok('engine has a majority', `a transaction took ${Math.round(engine.tookMs)} ms`);
}

function holderStep({ engine, settings, ttlMs }: Facts): RehearsedStep {
  const step = 'the seat';
  if (engine.kind === 'failed') return notRun(step, 'the engine does not answer');
  const { holder, record } = engine;
  const token = record === undefined ? '' : `, token ${record.token} on record`;
  if (holder === settings.node) return failed(step, `this node has it${token}: nothing to promote`);
  if (holder === undefined) return ok(step, `nobody has it${token}`);
  const seconds = Math.round(ttlMs / 1_000);
  return note(
    step,
    `${holder} has it${token}: free ${seconds} s after it fell silent, or by demote`,
  );
}

function keysStep({ engine, freshness }: Facts): RehearsedStep {
  const step = 'client.keys is fresh';
  if (engine.kind === 'failed') return notRun(step, 'the engine does not answer');
  if (freshness === undefined) return notRun(step, 'nothing is on record');
  const { count = 0, greatestId = 0, generation = 0 } = engine.record?.keys ?? {};
  const there = `${count} keys up to id ${greatestId}, generation ${generation}`;
  switch (freshness.kind) {
    case 'fresh':
      return ok(step, there);
    case 'completable':
      return ok(step, `behind, and made whole by the changes on record: ${there}`);
    default:
      return failed(step, freshness.why);
  }
}

function judgedStep(facts: Facts): RehearsedStep {
  const step = 'this node may take it';
  const { engine, settings, ownToken, freshness, nowMs } = facts;
  if (engine.kind === 'failed') return failed(step, 'never without a majority of the engine');
  const verdict = judgePromotion({
    ...settings,
    ...{ holder: undefined, record: engine.record, isRecordUnknown: engine.isRecordUnknown },
    ...{ ownToken, freshness, nowMs, pausedFor: undefined, fault: undefined },
    order: settings.mode === 'manual' ? { force: false } : undefined,
  });
  if (verdict.kind === 'wait') return failed(step, verdict.why);
  const how = settings.mode === 'manual' ? 'when `promotion promote` says so' : 'by itself';
  return ok(step, how);
}

function pauseStep({ settings }: Facts): RehearsedStep {
  const text = `${settings.pauseMs / 1_000} s, then the record names ${settings.address}:${settings.port}`;
  return note('pause', text);
}

function portStep({ portFault, status, settings }: Facts): RehearsedStep {
  const step = 'the cluster port is free';
  if (status?.role === 'master') return notRun(step, 'this node listens there itself');
  return portFault === undefined ? ok(step, `${settings.port}`) : failed(step, portFault);
}

function typeStep({ typeFault }: Facts): RehearsedStep {
  const step = '<node_type> is written';
  return typeFault === undefined ? ok(step, 'or need not be') : failed(step, typeFault);
}

function hookSteps({ hooks, hookTimeoutMs }: Facts): readonly RehearsedStep[] {
  if (hooks.length === 0) {
    return [
      note('hooks', 'none: authd and the API of this host must follow the role by themselves'),
    ];
  }
  return hooks.map(({ when, argv, fault }) => {
    const step = `hook ${when}`;
    const text = `${argv.join(' ')}: can be run, has ${hookTimeoutMs / 1_000} s`;
    return fault === undefined ? ok(step, text) : failed(step, fault);
  });
}

function workerSteps({ engine, settings }: Facts): readonly RehearsedStep[] {
  if (engine.kind === 'failed' || engine.record === undefined) return [];
  const others = engine.record.workers.filter(({ name }) => name !== settings.node);
  const named = (follows: boolean): string =>
    others.flatMap((one) => (one.follows === follows ? [one.name] : [])).join(', ');
  const stay = named(false);
  return [
    note('workers that follow', named(true) || 'none'),
    ...(stay === ''
      ? []
      : [
          note(
            'workers that stay',
            `${stay}: stock, or without promotion; their <nodes> entry must lead to the master: a ` +
              'virtual IP that hooks.start moves, or a name of `zone:`',
          ),
        ]),
  ];
}

function firewallStep({ hasFirewall }: Facts): RehearsedStep {
  const step = 'layer: firewall';
  if (!hasFirewall) return notRun(step, 'cluster.promotion.firewall is not configured');
  return notRun(step, 'only that its programs can be started: nothing is shut for a rehearsal');
}

function watchdogStep({ status }: Facts): RehearsedStep {
  const step = 'layer: watchdog';
  const periodMs = status?.watchdogMs;
  if (periodMs === undefined) {
    return notRun(step, 'no service manager watches this node (WatchdogSec, see --help)');
  }
  return notRun(
    step,
    `systemd ends this node ${periodMs / 1_000} s after it hangs; not tried here`,
  );
}
