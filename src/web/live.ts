/**
 * The live picture: one stream, opened again with growing pauses, watched for silence. What is kept
 * is the newest picture and at most one event under way, however long the page stays open.
 */
import type { OverviewAnswer } from '../publisher/api/answers.ts';
import { ApiError, apiRoot, pause } from './api.ts';
import { after, fraction, nowMs } from './browser.ts';

export interface LiveEvents {
  overview(picture: OverviewAnswer): void;
  /** `retry`: not connected now. */
  state(state: 'live' | 'retry'): void;
  /** The token is no longer good. */
  refused(): void;
}

const silentMs = 30_000;
const firstPauseMs = 500;
const maxPauseMs = 30_000;
/** A stream that held so long was a good one. */
const goodMs = 10_000;
const maxEventChars = 1_000_000;

/** Until `signal` aborts. Never rejects. */
export async function follow(
  token: string,
  events: LiveEvents,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = firstPauseMs;
  while (!signal.aborted) {
    const startedMs = nowMs();
    const end = await readOnce(token, events, signal).catch(endOf);
    if (signal.aborted) return;
    if (end === 'token') return events.refused();
    if (end !== 'age') events.state('retry');
    if (end === 'age' || nowMs() - startedMs > goodMs) pauseMs = firstPauseMs;
    await pause(pauseMs * (0.5 + fraction()), signal).catch(() => undefined);
    pauseMs = Math.min(maxPauseMs, pauseMs * 2);
  }
}

type End = 'token' | 'age' | 'lost';

function endOf(thrown: unknown): End {
  return thrown instanceof ApiError && thrown.status === 401 ? 'token' : 'lost';
}

async function readOnce(token: string, events: LiveEvents, signal: AbortSignal): Promise<End> {
  const silence = new AbortController();
  let cancel = after(silentMs, () => silence.abort());
  try {
    const response = await fetch(`${apiRoot}stream`, {
      ...{ cache: 'no-store', credentials: 'omit', redirect: 'error' },
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!response.ok || response.body === null) throw new ApiError(response.status, 'no stream');
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let kept = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'lost';
      cancel();
      cancel = after(silentMs, () => silence.abort());
      kept += value;
      if (kept.length > maxEventChars) return 'lost';
      const parts = kept.split('\n\n');
      kept = parts.pop() ?? '';
      const end = take(parts, events);
      if (end !== undefined) return end;
    }
  } finally {
    cancel();
    silence.abort();
  }
}

/** Undefined: it goes on. */
function take(parts: readonly string[], events: LiveEvents): End | undefined {
  for (const part of parts) {
    const [, name, data = ''] = /^event: (\w+)\ndata: (.*)$/s.exec(part) ?? [];
    if (name === 'overview') {
      events.state('live');
      events.overview(JSON.parse(data) as OverviewAnswer);
    }
    if (name === 'end') {
      const { why } = JSON.parse(data) as { why: string };
      return why === 'token' || why === 'age' ? why : 'lost';
    }
  }
  return undefined;
}
