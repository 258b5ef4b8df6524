/** Rules that rewrite the file and leave the running agent alone. Pure. */
import { type Answer, hold, pass, step } from './decide-rule.ts';
import { happenedAfter, orderOf, type Tuning, type View } from './decide-view.ts';
import type { WriteReason } from './step.ts';

/** The file names exactly the managers of the list: others out, missing ones in. */
export function mendMembership(view: View): Answer {
  const { list, fileIds, seen } = view;
  const wanted = new Set(list.ranking.map(({ id }) => id));
  const named = new Set(fileIds);
  if (seen.file.kind === 'readable' && seen.file.dialect === '5') {
    const first = fileIds[0];
    if (first !== undefined && wanted.has(first)) return pass(`names ${first} (5.x: only one)`);
  } else if (wanted.size === named.size && [...wanted].every((id) => named.has(id))) {
    if (view.relay === undefined || view.isRelayFirst) {
      return pass(`the file names the ${wanted.size} managers of the list`);
    }
    return write(view, orderOf(view), 'membership', 'the file does not name the relay first');
  }
  const missing = [...wanted].filter((id) => !named.has(id));
  const strangers = fileIds.filter((id) => id === undefined || !wanted.has(id)).length;
  const why = `the file lacks ${missing.join(', ') || 'nobody'} and names ${strangers} others`;
  const { candidates, connection, panic } = view;
  if (candidates.length === 0 && connection.kind !== 'none' && !panic) {
    return hold('no_candidate', `${why}; no manager of the list answers`);
  }
  return write(view, orderOf(view), 'membership', why);
}

/** Tuning stands in the file as configured: local settings before the list's. */
export function mendTuning(view: View): Answer {
  const wanted = wantedTuning(view);
  const { file } = view.seen;
  if (file.kind !== 'readable' || file.dialect === '5') return pass('not for this file');
  const wrong = [
    ...file.servers
      .slice(view.isRelayFirst ? 1 : 0)
      .flatMap((server) => [
        differs('max_retries', server.maxRetries, wanted.maxRetries),
        differs('retry_interval', server.retryInterval, wanted.retryInterval),
      ]),
    differs('notify_time', file.notifyTime, wanted.notifyTime),
    differs('time-reconnect', file.timeReconnect, wanted.timeReconnect),
  ].find((one) => one !== undefined);
  if (wrong === undefined) return pass('as configured');
  // In the order that the file has: tuning is no reason to change it.
  const order = view.fileIds.filter((id) => id !== undefined);
  return write(view, order, 'tuning', wrong);
}

/**
 * After a move the target stands first. When every manager has long been up again the file goes
 * back to this agent's own order, so that its next restart, whoever does it, brings it home.
 */
export function keepOwnOrder(view: View): Answer {
  const { list, fileIds, verdicts, seen, policy, nowMs } = view;
  const own = list.ranking.map(({ id }) => id);
  if (seen.file.kind === 'readable' && seen.file.dialect === '5') return pass('5.x: only one');
  if (own.every((id, index) => fileIds[index] === id)) return pass('as ranked');
  const settled = list.ranking.every(({ id, state }) => {
    const health = seen.health.get(id);
    const isGood = verdicts.get(id) === (state === 'drain' ? 'draining' : 'up');
    return isGood && health !== undefined && nowMs - health.sinceAtMs >= policy.settleMs;
  });
  if (!settled) return pass('another order, kept until every manager has long been up');
  return write(view, own, 'own_order', 'every manager has long been up');
}

function wantedTuning({ policy, list }: View): Tuning {
  const { client } = list.list;
  const { tuning } = policy;
  return {
    maxRetries: tuning.maxRetries ?? client.maxRetries,
    retryInterval: tuning.retryInterval ?? client.retryInterval,
    notifyTime: tuning.notifyTime ?? client.notifyTime,
    timeReconnect: tuning.timeReconnect ?? client.timeReconnect,
  };
}

function differs(name: string, seen: number | undefined, wanted: number | undefined) {
  if (wanted === undefined || seen === wanted) return undefined;
  return `${name} is ${seen ?? 'not set'}, configured: ${wanted}`;
}

/** Writes of choice keep the least interval of the root; the very first one never waits. */
function write(view: View, order: readonly string[], reason: WriteReason, why: string): Answer {
  const { memory, policy, nowMs } = view;
  if (policy.freeze) return hold('freeze', `${why}; frozen by configuration`);
  const recent = memory.attempts.findLast(
    ({ outcome, atMs }) =>
      outcome === 'done' && happenedAfter(atMs, nowMs - policy.minApplyMs, nowMs),
  );
  if (recent !== undefined) {
    const untilMs = recent.atMs + policy.minApplyMs;
    return hold('min_apply_interval', `${why}; the last change is too young`, untilMs);
  }
  return step({ kind: 'write', order, reason }, why);
}
