/**
 * What is wrong with a publisher, worst first, from its history and from what the running process
 * tells. Pure. `failed`: agents get no good list from here; `degraded`: something wants a look.
 */
import { listedManagers } from '../publisher/content.ts';
import { listExpiresAtMs, type PublishedList } from '../publisher/history.ts';
import type { Overview } from '../publisher/rollout/overview.ts';
import type { RunningStatus } from '../publisher/status/running.ts';
import { renderDuration } from './terminal.ts';

export interface Finding {
  readonly severity: 'failed' | 'degraded';
  readonly what: string;
  readonly todo: string;
}

export interface StatusGround {
  readonly newest: PublishedList | undefined;
  readonly root: { readonly version: number; readonly expiresAtMs: number };
  /** Undefined: no publisher runs in this directory, or none that can be understood. */
  readonly running: RunningStatus | undefined;
  /** One runs that says nothing, or nothing that this version of the program understands. */
  readonly isMute?: boolean;
  readonly overview: Overview | undefined;
  readonly isRosterEnabled: boolean;
  /** It signs nothing itself. */
  readonly isFollower?: boolean;
  readonly nowMs: number;
}

const dayMs = 86_400_000;
/** A round is due several times a second. */
const roundStaleMs = 120_000;

export function judgeStatus(ground: StatusGround): readonly Finding[] {
  const all = [
    ...listFindings(ground),
    ...rootFindings(ground),
    ...processFindings(ground),
    ...leaderFindings(ground),
    ...rosterFindings(ground),
    ...rolloutFindings(ground),
  ];
  return all.sort((left, right) => rank[left.severity] - rank[right.severity]);
}

const rank = { failed: 0, degraded: 1 } as const;

function failed(what: string, todo: string): Finding {
  return { severity: 'failed', what, todo };
}

function degraded(what: string, todo: string): Finding {
  return { severity: 'degraded', what, todo };
}

const signTexts = {
  writer: {
    none: ['nothing was published yet', 'start `run`'],
    expired: '`run` signs it anew; its log says why it did not',
    late: 'look for resign.failed in the log of `run`',
  },
  follower: {
    none: ['no list came yet', 'see the sources in `follow.from`, and what is said of them here'],
    expired: 'does the writer run? sidecars keep their last list meanwhile',
    late: 'does the writer run, and can it be reached from here?',
  },
} as const;

function listFindings({ newest, nowMs, isFollower }: StatusGround): readonly Finding[] {
  const texts = signTexts[isFollower ? 'follower' : 'writer'];
  if (newest === undefined) return [failed(texts.none[0], texts.none[1])];
  const leftMs = listExpiresAtMs(newest) - nowMs;
  const validMs = newest.content.validFor * 1_000;
  if (leftMs <= 0) {
    const what = `list ${newest.version} expired ${renderDuration(-leftMs)} ago`;
    return [failed(what, texts.expired)];
  }
  const managers = listedManagers(newest.content);
  const offered = managers.filter(({ state }) => state === 'up').length;
  return [
    ...(leftMs < validMs / 4
      ? [
          degraded(
            `list ${newest.version} expires in ${renderDuration(leftMs)} and was not signed anew`,
            texts.late,
          ),
        ]
      : []),
    ...(offered === 0
      ? [failed('the list offers no manager', '`undrain` one, or mend publisher.yml')]
      : []),
    ...(offered > 0 && offered * 2 < managers.length
      ? [degraded(`the list offers ${offered} of ${managers.length} managers`, '`nodes` asks them')]
      : []),
  ];
}

function rootFindings({ root, nowMs }: StatusGround): readonly Finding[] {
  const leftMs = root.expiresAtMs - nowMs;
  if (leftMs <= 0) return [degraded(`root ${root.version} has expired`, '`root renew`')];
  if (leftMs >= 60 * dayMs) return [];
  const what = `root ${root.version} expires in ${renderDuration(leftMs)}`;
  return [degraded(what, '`root renew`')];
}

function processFindings({ running, isMute, newest, nowMs }: StatusGround): readonly Finding[] {
  if (running === undefined && isMute) {
    const what = 'the publisher that runs here does not answer, or is of another version';
    return [failed(what, '`systemctl restart pilotfish-publisher`; its log says why')];
  }
  if (running === undefined) {
    return [failed('no publisher runs here', 'start `pilotfish-publisher run`, or name its --dir')];
  }
  const isOld = newest !== undefined && running.version !== newest.version;
  return [
    ...(isOld
      ? [
          degraded(
            `version ${newest.version} is published, ${running.version} is served`,
            'within a second it should follow; else look into the log of `run`',
          ),
        ]
      : []),
    ...running.complaints.map(({ topic, message, sinceAtMs }) =>
      degraded(
        `${topic}: ${message} (for ${renderDuration(Math.max(0, nowMs - sinceAtMs))})`,
        complaintTodo[topic] ?? 'the log of `run` has the details',
      ),
    ),
  ];
}

const complaintTodo: Readonly<Record<string, string>> = {
  'config.refused': 'correct publisher.yml, `publish --dry-run`, then SIGHUP',
  'reload.failed': 'correct publisher.yml, then SIGHUP again',
  'roster.cluster': 'is the cluster node up? nobody leaves the list by this',
  'roster.guard': 'the publisher doubts itself: can it reach the managers?',
  'roster.publish': 'the list stays as it is; `publish --dry-run` says what is refused',
  'leader.config': 'SIGHUP, or `publish`, puts this one into force; else make it as the others are',
  'leader.name': 'give each publisher an own `leader.name`: commands here are refused meanwhile',
  'leader.store': 'is etcd well? `etcdctl endpoint health`; lists are served, none is signed',
  'leader.state': 'the roots here may be older than those of the leader: copy its `roots`',
  'leader.back': 'can this publisher reach the one that leads, by its `leader.url`?',
  'reports.forward': 'set `leader.url` in each publisher.yml; publishers must reach each other',
  'reports.store': 'free the disk; reports are kept in memory meanwhile',
  'rollout.waits': '`rollout status`; see to those agents, or `rollout abort`',
  'rollout.stuck': '`rollout status`; publish a better list, which ends this',
};

function leaderFindings({ running }: StatusGround): readonly Finding[] {
  const leader = running?.leader;
  if (leader === undefined || leader.leads || leader.holder !== undefined) return [];
  const todo =
    leader.engine === 'etcd'
      ? 'lists are served; the next one is signed when etcd answers and a publisher runs'
      : 'another process took this directory; see which, and start `run` again';
  return [degraded(`no publisher leads: ${leader.why}`, todo)];
}

function rosterFindings({
  running,
  newest,
  isRosterEnabled,
  nowMs,
}: StatusGround): readonly Finding[] {
  const roster = running?.roster;
  if (running === undefined) return [];
  if (!isRosterEnabled) return silentFindings(running, newest);
  if (roster === undefined || nowMs - roster.atMs > roundStaleMs) {
    return [
      degraded('the roster makes no rounds', 'the managers were not probed yet, or see the log'),
    ];
  }
  const unready = newest?.content.unready ?? [];
  return roster.managers
    .filter(({ id, isReady, isDamped }) => !isReady || isDamped || unready.includes(id))
    .map(({ id, why, isDamped, sinceAtMs }) => {
      const since = renderDuration(Math.max(0, nowMs - sinceAtMs));
      const how = isDamped ? 'comes and goes, and is kept out' : 'is not ready';
      return degraded(`${id} ${how}: ${why} (for ${since})`, 'see its node');
    });
}

/** Without a roster a dead manager stays in the list. */
function silentFindings(
  { probes }: RunningStatus,
  newest: PublishedList | undefined,
): readonly Finding[] {
  if (newest === undefined) return [];
  return listedManagers(newest.content)
    .filter(({ id, state }) => state === 'up' && probes[id] === 'down')
    .map(({ id }) =>
      degraded(
        `${id} does not answer from here, and the list offers it`,
        `look at it, or \`drain ${id}\``,
      ),
    );
}

function rolloutFindings({ overview }: StatusGround): readonly Finding[] {
  if (overview === undefined || overview.record === undefined) return [];
  const { state, record, mark } = overview;
  if (state !== 'paused') return [];
  const who = mark === undefined ? '' : ` by ${mark.who}${mark.why === '' ? '' : `: ${mark.why}`}`;
  return [degraded(`rollout ${record.id} is paused${who}`, '`rollout resume` or `rollout abort`')];
}
