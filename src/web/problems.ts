/** What is wrong, the worst first, from one picture. Pure. */
import type { ManagerAnswer, OverviewAnswer } from '../publisher/api/answers.ts';
import { ago, count, duration, plural } from './format.ts';
import { knowsAgents } from './origin.ts';

export interface Problem {
  readonly key: string;
  readonly rank: 'bad' | 'warn' | 'note';
  readonly what: string;
  /** What it means, or what to do. */
  readonly more: string;
  /** Where to look. */
  readonly link?: string;
}

const order = { bad: 0, warn: 1, note: 2 } as const;
const expiresSoonMs = 3_600_000;
/** Fewer agents than that say nothing about balance. */
const minForBalance = 50;
const skew = 1.2;
const maxDeadLines = 2;

export function problemsOf(picture: OverviewAnswer): readonly Problem[] {
  return [
    ...listProblems(picture),
    ...deadProblems(picture),
    ...picture.managers.flatMap((one) => managerProblems(one, picture)),
    ...agentProblems(picture),
    ...rolloutProblems(picture),
    ...troubleProblems(picture),
  ].sort((left, right) => order[left.rank] - order[right.rank]);
}

function listProblems({ list, atMs, guarded }: OverviewAnswer): readonly Problem[] {
  const problems: Problem[] = [];
  if (list === undefined) {
    const more = 'agents keep what they have; `pilotfish-publisher publish` signs the first list';
    problems.push({ key: 'list', rank: 'bad', what: 'Nothing is published yet', more });
  } else if (list.expiresAtMs < atMs) {
    const more = 'it could not be signed again; sidecars go on with it and warn';
    problems.push({ key: 'list', rank: 'bad', what: 'The list has expired', more });
  } else if (list.expiresAtMs - atMs < expiresSoonMs) {
    const what = `The list expires in ${duration(list.expiresAtMs - atMs)}`;
    problems.push({ key: 'list', rank: 'warn', what, more: 'it should have been signed again' });
  }
  if (guarded !== undefined) {
    problems.push({ key: 'guard', rank: 'bad', what: 'The roster holds back', more: guarded });
  }
  return problems;
}

/** One line for all of them where there are many: it is one thing that happened. */
function deadProblems(picture: OverviewAnswer): readonly Problem[] {
  const { managers } = picture;
  const dead = managers.filter(({ probe }) => probe === 'down');
  if (dead.length <= maxDeadLines) return dead.map((one) => deadProblem(one, picture));
  const agents = dead.reduce((total, one) => total + one.agents, 0);
  const names = dead.map(({ id }) => id).join(', ');
  const what = `${dead.length} of ${managers.length} managers do not answer`;
  const more = knowsAgents(picture)
    ? `${names}; ${plural(agents, 'agent')} report from them`
    : names;
  return [{ key: 'dead', rank: 'bad', what, more }];
}

function deadProblem({ id, state, agents }: ManagerAnswer, picture: OverviewAnswer): Problem {
  const isOffered = state === 'up';
  if (!knowsAgents(picture)) {
    const more = isOffered ? 'from here; sidecars leave it alone' : 'it is taken out already';
    const what = `${id} does not answer`;
    return { key: `dead-${id}`, rank: isOffered ? 'bad' : 'warn', what, more };
  }
  const there = plural(agents, 'agent');
  const more = isOffered
    ? `${there} report from it; sidecars leave it alone`
    : `it is taken out already; ${there} report from it`;
  const link = `#/agents?manager=${encodeURIComponent(id)}`;
  const what = `${id} does not answer`;
  return { key: `dead-${id}`, rank: isOffered ? 'bad' : 'warn', what, more, link };
}

function managerProblems(one: ManagerAnswer, picture: OverviewAnswer): readonly Problem[] {
  const { agents: all } = picture;
  const { id, probe, ready, state, agents, share } = one;
  const problems: Problem[] = [];
  const add = (kind: string, rank: Problem['rank'], what: string, more: string): void => {
    problems.push({
      key: `${kind}-${id}`,
      rank,
      what,
      more,
      ...(knowsAgents(picture) ? { link: `#/agents?manager=${encodeURIComponent(id)}` } : {}),
    });
  };
  const there = plural(agents, 'agent');
  if (ready !== undefined && !ready.isReady && probe !== 'down') {
    add('ready', 'bad', `${id} is not ready`, ready.why);
  }
  if (ready?.isDamped === true) {
    add(
      'damped',
      'warn',
      `${id} came and went too often`,
      'it is offered again after a long quiet',
    );
  }
  if (state === 'drain') {
    const left = agents === 0 ? 'it is empty' : `${there} have not left yet`;
    const more = knowsAgents(picture) ? left : 'agents leave it in their own time';
    add('drain', 'note', `${id} is drained`, more);
  }
  if (state === 'up' && all >= minForBalance && agents > share * skew) {
    const more = `${count(agents)} agents, ${count(share)} would be its share`;
    add('skew', 'note', `${id} has more than its share`, more);
  }
  return problems;
}

function agentProblems({ states }: OverviewAnswer): readonly Problem[] {
  const rows = [
    ['failed', 'bad', 'failed', 'their list did harm, or would have: it was put back or refused'],
    ['away', 'bad', 'not connected', 'the sidecar reports, its agent reaches no manager'],
    ['silent', 'warn', 'silent', 'no report for three intervals'],
  ] as const;
  return rows.flatMap(([state, rank, word, more]) => {
    const number = states[state] ?? 0;
    if (number === 0) return [];
    const what = `${plural(number, 'agent')} ${word}`;
    return [{ key: state, rank, what, more, link: `#/agents?state=${state}` }];
  });
}

function rolloutProblems({ rollout }: OverviewAnswer): readonly Problem[] {
  const { state, mark, next } = rollout;
  if (state === 'none' || state === 'running') return [];
  const who = mark === undefined ? next : `by ${mark.who}${mark.why === '' ? '' : `: ${mark.why}`}`;
  const what = `The rollout is ${state === 'aborting' ? 'being taken back' : state}`;
  return [{ key: 'rollout', rank: 'warn', what, more: who, link: '#/rollout' }];
}

function troubleProblems({ troubles, atMs }: OverviewAnswer): readonly Problem[] {
  return troubles.map(({ topic, message, sinceAtMs }) => ({
    key: `trouble-${topic}`,
    rank: 'warn',
    what: topic,
    more: `${message} (${ago(sinceAtMs, atMs)})`,
  }));
}
