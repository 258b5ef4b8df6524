/**
 * What publishers under one `leader` tell each other by https: reports that reached one which stands
 * by, what it sees of the managers, and its word that the manager of its host is about to be stopped,
 * or is back.
 */
import { deadline, sleep } from '../clock.ts';
import { PeerError, PilotfishError } from '../errors.ts';
import type { Health } from '../health/judge.ts';
import { buildPublisherLink } from '../host/https-source.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Log } from '../log.ts';
import type { Complaints } from '../publisher/complaints.ts';
import { stableOf } from '../publisher/daemon.ts';
import type { Leadership } from '../publisher/leadership.ts';
import { LeavingBook, signLeaving } from '../publisher/leaving.ts';
import type { ListService } from '../publisher/list-service.ts';
import { leavingOrder } from '../publisher/orders.ts';
import { leavingPath, type PeerDesk } from '../publisher/peer-route.ts';
import { publish } from '../publisher/publish.ts';
import type { Refusals } from '../publisher/refusals.ts';
import { ReportForwarder, type TellPort } from '../publisher/reports/forward.ts';
import { DissentBook } from '../publisher/roster/dissent.ts';
import type { PeerVoices } from '../publisher/roster/keep-roster.ts';
import { type PeerSeen, PeerViewsBook, type ViewsWord } from '../publisher/roster/peer-views.ts';
import type { LoadSample } from '../publisher/weights/judge-load.ts';
import { type Announce, sayViews } from './build-publisher-views.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { PublisherOffice } from './publisher-host.ts';

/** Of the running publisher; read anew at every use. */
export interface PeersGround {
  readonly office: PublisherOffice;
  readonly service: ListService;
  readonly leadership: Leadership;
  readonly complaints: Complaints;
  readonly log: Log;
  readonly roots: PublisherOffice['roots'];
  readonly config: PublisherConfig;
  isLeaving: boolean;
  readonly refusals: Refusals;
  /** The publisher's own probes, by manager id. */
  healths?: () => ReadonlyMap<string, Health>;
  readonly ownLoad: { now(): ViewsWord['load'] };
}

type Link = ReturnType<typeof buildPublisherLink>;

export interface Peers {
  /** Absent where no other publisher may lead. */
  readonly forward?: ReportForwarder;
  readonly leaving: LeavingBook;
  readonly desk?: PeerDesk;
  /** What those that stand by see; absent where there are none. */
  readonly voices?: PeerVoices & {
    seen(): readonly PeerSeen[];
    loads(): readonly LoadSample[];
  };
  /** When this process is told to stop: resolves when it may. */
  sayGoodbye(): Promise<void>;
  /** Until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** `ground` is asked only once it is there. */
export function openPeers(
  { leadership, complaints }: Pick<PeersGround, 'leadership' | 'complaints'>,
  ground: () => PeersGround,
): Peers {
  const leaving = new LeavingBook();
  const link = buildPublisherLink(clock);
  const sayGoodbye = () => leave(ground(), link);
  if (!leadership.isShared) return { leaving, sayGoodbye, run: async () => undefined };
  const writer = (): TellPort | 'here' | string => {
    const target = targetOf(ground());
    if (typeof target === 'string') return target;
    return { tell: (report, signal) => link.tell(target, report, signal) };
  };
  const forward = new ReportForwarder({ clock, complaints, writer });
  const views = new PeerViewsBook(leadership.status().name);
  const desk: PeerDesk = {
    ...{ clock, leaving, views },
    root: () => ground().roots.newest.root,
    leads: () => leadership.leads(),
    knows: (id) => ground().config.configured.managers.some((one) => one.id === id),
    onRefusal: (name) => ground().refusals.note(name),
  };
  return {
    ...{ leaving, forward, desk, sayGoodbye, voices: voicesOf(views, ground) },
    async run(signal) {
      const here = ground();
      const announce: Announce = (...word) => announceTo(here, link, ...word);
      await Promise.all([
        forward.run(signal),
        keepBack(here, link, signal),
        sayViews(here, announce, signal),
      ]);
    },
  };
}

/** Longer than those that stand by take to notice who leads and to say what they see. */
const settleMs = 3_000;

function voicesOf(book: PeerViewsBook, ground: () => PeersGround): NonNullable<Peers['voices']> {
  // What was said to one that led says nothing to one that comes to lead again.
  const heard = (): PeerViewsBook => {
    if (!ground().leadership.leads()) book.clear();
    return book;
  };
  const seen = () => heard().seen(clock.monotonicMs());
  return {
    seen,
    loads: () => heard().loads(clock.monotonicMs()),
    views: () => heard().views(clock.monotonicMs()),
    dissent: new DissentBook(),
    faults: () =>
      seen().flatMap(({ publisher, ignored }) =>
        ignored === undefined ? [] : [`views of ${publisher} do not count: ${ignored}`],
      ),
    mayDecide() {
      const { leads, sinceAtMs } = ground().leadership.status();
      return leads && clock.nowMs() - sinceAtMs >= settleMs;
    },
    offered() {
      const content = ground().office.history.newest()?.content;
      const { managers = [], unready = [] } = content ?? {};
      return new Set(managers.map(({ id }) => id).filter((id) => !unready.includes(id)));
    },
  };
}

/** The publisher that leads, as the root pins it. `here`, or why nobody can be told. */
function targetOf({ leadership, roots }: PeersGround) {
  const { leads, holder, why } = leadership.status();
  if (leads) return 'here';
  if (holder === undefined) return `no publisher leads now: ${why}`;
  if (holder.url === '') return `${holder.name} leads, and its publisher.yml has no leader.url`;
  const pins = roots.newest.root.publishers.flatMap(({ spki }) => spki);
  if (pins.length === 0) return 'the root pins no publisher';
  return { url: new URL(holder.url).origin, pins };
}

const goodbyeMs = 5_000;
const pauseMs = 500;

/** A host that is stopped with its manager: its agents go first, while both still serve. */
async function leave(ground: PeersGround, link: Link): Promise<void> {
  const { lameDuck, local, enabled } = ground.config.roster;
  if (!enabled || local === undefined || lameDuck === 0) return;
  ground.isLeaving = true;
  const endMs = clock.monotonicMs() + goodbyeMs;
  for (;;) {
    try {
      await announce(ground, link, local);
      ground.log.info('publisher.leaving', { manager: local, forMs: lameDuck });
      return await sleep(clock, lameDuck);
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown;
      const { code, message } = thrown;
      if (clock.monotonicMs() >= endMs) {
        return ground.log.error('publisher.leaving_failed', { code, message });
      }
    }
    await sleep(clock, pauseMs);
  }
}

/** In the list, by who may; throws PilotfishError. */
async function announce(ground: PeersGround, link: Link, manager: string): Promise<void> {
  const { office, service, config, roots } = ground;
  const target = targetOf(ground);
  if (target === 'here') {
    const desk = { ...office.desk, root: roots.newest.root };
    const { entry } = await publish(desk, leavingOrder(config.configured, manager));
    service.serve(entry, stableOf(office.history, entry, clock.nowMs()));
    return;
  }
  if (typeof target === 'string') throw new PeerError('not_leader', target);
  const limit = deadline(clock, goodbyeMs);
  try {
    await tell(ground, link, { manager, isLeaving: true }, limit.signal);
  } finally {
    limit.cancel();
  }
}

async function tell(
  ground: PeersGround,
  link: Link,
  word: { readonly manager: string; readonly isLeaving: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { listKey } = ground.office.desk;
  const body = signLeaving({ ...word, atMs: clock.nowMs() }, ground.config.org, listKey);
  const status = (await announceTo(ground, link, leavingPath, body, signal)) ?? 200;
  if (status === 200) return;
  throw new PeerError('http_status', `the leader answered ${leavingPath} with ${status}`);
}

/** The status of the answer; undefined: nobody can be told now. */
async function announceTo(
  ground: PeersGround,
  link: Link,
  ...[path, body, signal]: Parameters<Announce>
): Promise<number | undefined> {
  const target = targetOf(ground);
  return typeof target === 'string' ? undefined : link.announce(target, path, body, signal);
}

const lookEveryMs = 2_000;

/** The list says that our manager leaves, and we are here: said until it no longer does. */
async function keepBack(ground: PeersGround, link: Link, signal: AbortSignal): Promise<void> {
  const { complaints, service } = ground;
  while (!signal.aborted) {
    const { local, enabled } = ground.config.roster;
    const leaving = service.served()?.entry.content.leaving ?? [];
    if (enabled && !ground.isLeaving && local !== undefined && leaving.includes(local)) {
      try {
        await tell(ground, link, { manager: local, isLeaving: false }, signal);
        complaints.end('leader.back');
      } catch (thrown) {
        if (!(thrown instanceof PilotfishError)) throw thrown;
        complaints.begin('leader.back', `${thrown.code} ${thrown.message}`);
      }
    }
    await sleep(clock, lookEveryMs, signal).catch(() => undefined);
  }
}
