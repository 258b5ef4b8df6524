/** A publisher that stands by says to the one that leads what its own probes see of the managers. */
import { deadline, sleep } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import type { Health } from '../health/judge.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { SigningKey } from '../list/sign.ts';
import type { Complaints } from '../publisher/complaints.ts';
import type { Leadership } from '../publisher/leadership.ts';
import { viewsPath } from '../publisher/peer-route.ts';
import { sayEveryMs, signViews, type ViewsWord } from '../publisher/roster/peer-views.ts';
import type { PublisherConfig } from './publisher-config.ts';

/** Read anew at every use. */
export interface ViewsGround {
  readonly leadership: Leadership;
  readonly complaints: Complaints;
  readonly config: PublisherConfig;
  readonly office: { readonly desk: { readonly listKey: SigningKey } };
  /** The publisher's own probes, by manager id. */
  healths?: () => ReadonlyMap<string, Health>;
  /** How busy this host is. */
  readonly ownLoad: { now(): ViewsWord['load'] };
}

/** Status of the answer of the one that leads; undefined where nobody can be told now. */
export type Announce = (
  path: string,
  body: Uint8Array,
  signal: AbortSignal,
) => Promise<number | undefined>;

const answerMs = 2_000;
const lookEveryMs = 100;
/** A seat that changes hands costs a word or two, and is no trouble. */
const failuresTold = 4;
const topic = 'leader.views';

/** Until `signal` aborts. */
export async function sayViews(
  ground: ViewsGround,
  announce: Announce,
  signal: AbortSignal,
): Promise<void> {
  let said = '';
  let saidMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  while (!signal.aborted) {
    const leads = ground.leadership.leads();
    const seen = leads ? {} : seenFrom(ground);
    const text = JSON.stringify(seen);
    const isDue = clock.monotonicMs() - saidMs >= sayEveryMs || text !== said;
    if (isDue && text !== '{}') {
      said = text;
      saidMs = clock.monotonicMs();
      const fault = await say(ground, announce, seen, signal);
      failures = fault === undefined ? 0 : failures + 1;
      if (fault === undefined) ground.complaints.end(topic);
      else if (failures >= failuresTold) ground.complaints.begin(topic, fault);
    }
    if (leads) ground.complaints.end(topic);
    await sleep(clock, lookEveryMs, signal).catch(() => undefined);
  }
}

/** Of the manager on its own host a publisher knows nothing that counts for others. */
function seenFrom({ config, healths }: ViewsGround): ViewsWord['seen'] {
  if (!config.roster.enabled) return {};
  const known: readonly (readonly [string, Health])[] = [...(healths?.() ?? [])];
  return Object.fromEntries(
    known.flatMap(([id, { verdict }]) =>
      verdict === 'unknown' || id === config.roster.local ? [] : [[id, verdict] as const],
    ),
  );
}

/** Why it was not taken; undefined when it was, or there is nobody to tell. */
async function say(
  { config, office, leadership, ownLoad }: ViewsGround,
  announce: Announce,
  seen: ViewsWord['seen'],
  signal: AbortSignal,
): Promise<string | undefined> {
  const { site } = config.roster;
  const load = ownLoad.now();
  const place = {
    ...(site === undefined ? {} : { site }),
    ...(load === undefined ? {} : { load }),
  };
  const word = { publisher: leadership.status().name, atMs: clock.nowMs(), seen, ...place };
  const body = signViews(word, config.org, office.desk.listKey);
  const limit = deadline(clock, answerMs, signal);
  try {
    const status = (await announce(viewsPath, body, limit.signal)) ?? 200;
    return status === 200 ? undefined : `the leader answered ${status}${hints[status] ?? ''}`;
  } catch (thrown) {
    if (signal.aborted) return undefined;
    if (!(thrown instanceof PilotfishError) && !limit.signal.aborted) throw thrown;
    return thrown instanceof Error ? thrown.message : 'the leader does not answer';
  } finally {
    limit.cancel();
  }
}

const hints: Readonly<Record<number, string>> = {
  401: ': the list key here is none that the root there knows',
  404: ': its program does not take views; upgrade it',
  409: ': see `status` there; clocks must agree, and every publisher needs its own leader.name',
};
