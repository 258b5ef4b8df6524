/**
 * Polls for news for ever, beside the probing: a question that a publisher holds back for a minute
 * must not delay the leaving of a dead manager, and its answer must not wait for the next probe.
 */
import { fullJitterMs, sleep } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Bell } from './bell.ts';
import { type News, pollSources, type SourceWorld } from './source.ts';
import type { ListSource, World } from './world.ts';

export interface PollSettings {
  /** How long a publisher is asked to hold a question back; 0: ask every `pollSec` of the list. */
  readonly waitMs: number;
  /** Local setting; the list's `pollSec` otherwise. */
  readonly intervalMs: number | undefined;
  /** A source that knows when it can have news (a TTL): exact, without jitter. */
  paceMs?(): number;
  /** Rung when news may be there before that. */
  readonly hurry?: Bell;
}

export interface PollerParts extends Pick<World, 'clock' | 'memory' | 'trust'> {
  readonly log: Log;
  readonly sources: SourceWorld;
  readonly settings: PollSettings;
  readonly bell: Bell;
}

export interface Poller extends ListSource {
  run(signal: AbortSignal): Promise<void>;
}

/** More than this is not kept while a long apply goes on; nothing is lost, the next poll sees it. */
const maxWaiting = 8;
const backoff = { baseMs: 1_000, capMs: 300_000 } as const;

export function buildPoller(parts: PollerParts): Poller {
  const waiting: News[] = [];
  return {
    news: async () => waiting.splice(0),
    async run(signal) {
      let failures = 0;
      let early = 0;
      let lastHash: string | undefined;
      for (;;) {
        const startMs = parts.clock.monotonicMs();
        const news = await pollOnce(parts, waiting.length === 0, signal);
        if (news !== undefined) {
          if (waiting.length < maxWaiting) waiting.push(news);
          parts.bell.ring();
          // The very list of last time is news again: it could not be remembered (a full disk).
          const isAgain = news.list !== undefined && news.list.hash === lastHash;
          lastHash = news.list?.hash ?? lastHash;
          failures = news.freshness === 'none' || isAgain ? failures + 1 : 0;
          tell(parts.log, news);
        }
        const wasEarly = parts.clock.monotonicMs() - startMs < parts.settings.waitMs * 0.8;
        early = wasEarly && news?.list === undefined ? early + 1 : 0;
        await rest(parts, await pauseMs(parts, news, { failures, early }), signal);
      }
    },
  };
}

function rest({ clock, settings }: PollerParts, ms: number, signal: AbortSignal): Promise<void> {
  return settings.hurry?.wait(clock, ms, signal) ?? sleep(clock, ms, signal);
}

/** While earlier news are not taken yet, memory is behind: asking again would bring them twice. */
async function pollOnce(
  { sources, memory, trust, clock, settings }: PollerParts,
  isTaken: boolean,
  signal: AbortSignal,
): Promise<News | undefined> {
  if (!isTaken) return undefined;
  const known = await memory.read();
  const proven = await trust.read(known, clock.nowMs());
  return pollSources(sources, known, proven, { waitMs: settings.waitMs, signal });
}

/** A publisher that holds no question back (it restarts, or too many wait) is asked like a plain one. */
const forgivenEarly = 1;

async function pauseMs(
  parts: PollerParts,
  news: News | undefined,
  { failures, early }: { readonly failures: number; readonly early: number },
): Promise<number> {
  const { random } = parts.sources;
  if (news === undefined) return 200;
  const { paceMs, waitMs } = parts.settings;
  if (paceMs !== undefined) return paceMs();
  if (failures > 0) return 200 + fullJitterMs(random, failures, backoff);
  const isLongPoll = waitMs > 0 && early <= forgivenEarly;
  if (isLongPoll) return Math.floor(random.fraction() * 1_000);
  return Math.floor((await intervalMs(parts)) * (0.8 + 0.4 * random.fraction()));
}

async function intervalMs({ settings, memory, trust, clock }: PollerParts): Promise<number> {
  if (settings.intervalMs !== undefined) return settings.intervalMs;
  const { list } = await trust.read(await memory.read(), clock.nowMs());
  return (list?.list.client.pollSec ?? 60) * 1000;
}

function tell(log: Log, { list, faults, warnings, publisher }: News): void {
  for (const { source, error } of faults) {
    log.warn('source.failed', {
      source,
      code: error.code,
      reason: error.reason,
      message: error.message,
    });
  }
  for (const warning of warnings) log.warn('source.warned', { warning });
  if (list === undefined) return;
  const { epoch, term, version } = list.position;
  log.info('list.proven', { epoch, term, version, hash: list.hash, publisher });
}
