/**
 * What a running publisher knows of itself and no file tells: sent to `status` on the local socket.
 * Read back by a schema, since the two may be of different versions of this program.
 */
import * as z from 'zod';
import { defaultDamping, isSuppressed } from '../../health/damping.ts';
import type { Complaint } from '../complaints.ts';
import type { PeerSeen } from '../roster/peer-views.ts';
import type { Readiness, Round } from '../roster/readiness.ts';
import type { ManagerViews, NodeLags } from '../roster/view.ts';

/** How far a node is behind. */
export const lags = z.object({
  keysMs: z.number(),
  groupsMs: z.number(),
  filesMs: z.number(),
  files: z.number(),
  keysGeneration: z.number(),
  newestKeysGeneration: z.number(),
});

const seen = z.object({
  id: z.string(),
  isReady: z.boolean(),
  why: z.string(),
  sinceAtMs: z.number(),
  /** It came and went too often: offered again when it has been quiet for long. */
  isDamped: z.boolean(),
  probe: z.string(),
  cluster: z.string(),
  /** `master` or `worker`, where the cluster tells. */
  role: z.string().optional(),
  /** `in_step`, or what it lacks. */
  step: z.string(),
  /** `eu-1 up`. */
  sites: z.array(z.string()),
  /** `p2 up`, of publishers that stand by; absent where there are none. */
  publishers: z.array(z.string()).optional(),
  lags: lags.optional(),
});

const peer = z.object({
  publisher: z.string(),
  site: z.string().optional(),
  /** Since it was heard. */
  ageMs: z.number(),
  load: z.string().optional(),
  /** Why its views do not count; absent while they do. */
  ignored: z.string().optional(),
});

const running = z.object({
  version: z.number(),
  startedAtMs: z.number(),
  lagMs: z.number(),
  connections: z.number(),
  waiting: z.number(),
  complaints: z.array(z.object({ topic: z.string(), message: z.string(), sinceAtMs: z.number() })),
  /** Since the start. */
  refused: z.record(z.string(), z.number()),
  reports: z
    .object({
      agents: z.number(),
      taken: z.number(),
      unsaved: z.number(),
      /** Handed on to the publisher that leads; absent where there is but one. */
      forward: z
        .object({
          passed: z.number(),
          refused: z.number(),
          dropped: z.number(),
          waiting: z.number(),
        })
        .optional(),
    })
    .optional(),
  /** The publisher's own probes: manager id to verdict. */
  probes: z.record(z.string(), z.string()),
  roster: z
    .object({
      atMs: z.number(),
      guarded: z.string().optional(),
      managers: z.array(seen),
      /** Publishers that stand by and say what they see; absent where there can be none. */
      publishers: z.array(peer).optional(),
    })
    .optional(),
  /** Where a follower looks, where its list came from, when the writer last vouched for it. */
  follows: z
    .object({
      from: z.array(z.string()),
      source: z.string().optional(),
      takenAtMs: z.number().optional(),
      freshAtMs: z.number().optional(),
    })
    .optional(),
  /** Who writes; absent on a follower, and from a program of before. */
  leader: z
    .object({
      engine: z.string(),
      name: z.string(),
      leads: z.boolean(),
      holder: z.object({ name: z.string(), url: z.string() }).optional(),
      term: z.number(),
      why: z.string(),
      sinceAtMs: z.number(),
    })
    .optional(),
});

export type LeaderSeen = NonNullable<RunningStatus['leader']>;
export type RunningStatus = z.output<typeof running>;
export type SeenManager = z.output<typeof seen>;

/** Undefined: not what this version of the program tells. */
export function parseRunning(text: string): RunningStatus | undefined {
  try {
    return running.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The last round of the roster as values for `status`. */
export function seenRound(
  views: readonly ManagerViews[],
  round: Round,
  nowMs: number,
  publishers?: readonly PeerSeen[],
): NonNullable<RunningStatus['roster']> {
  const managers = views.flatMap((view) => {
    const one = round.readiness.get(view.id);
    return one === undefined ? [] : [seenManager(view, one, nowMs)];
  });
  return {
    atMs: nowMs,
    managers,
    ...(round.guarded === undefined ? {} : { guarded: round.guarded }),
    ...(publishers === undefined ? {} : { publishers: [...publishers] }),
  };
}

function seenManager(view: ManagerViews, one: Readiness, nowMs: number): SeenManager {
  const { inStep, sites, peers } = view;
  return {
    id: view.id,
    isReady: one.isReady,
    why: one.why,
    sinceAtMs: one.sinceAtMs,
    isDamped: isSuppressed(one.damping, defaultDamping, nowMs),
    probe: view.probe,
    cluster: view.cluster,
    ...(view.role === undefined ? {} : { role: view.role }),
    step: 'why' in inStep ? inStep.why : inStep.kind,
    sites: sites.map(({ site, opinion }) => `${site} ${opinion}`),
    ...(peers === undefined
      ? {}
      : { publishers: peers.map(({ publisher, opinion }) => `${publisher} ${opinion}`) }),
    ...lagsMember(view.lags),
  };
}

function lagsMember(known: NodeLags | undefined): { readonly lags?: NodeLags } {
  return known === undefined ? {} : { lags: known };
}

/** No more than `status` shows. */
export const maxComplaintsTold = 64;

export function toldComplaints(open: readonly Complaint[]): readonly Complaint[] {
  return open
    .slice(0, maxComplaintsTold)
    .map((one) => ({ ...one, message: one.message.slice(0, 500) }));
}
