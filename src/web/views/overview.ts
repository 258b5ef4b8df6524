/** The fleet at a glance: what is wrong first, then the numbers, then every manager. */
import type { ManagerAnswer, OverviewAnswer } from '../../publisher/api/answers.ts';
import type { App, View } from '../app.ts';
import { type Child, el, svg } from '../dom.ts';
import { ago, count, percent, plural } from '../format.ts';
import { knowsAgents } from '../origin.ts';
import { badge, empty, orderButton, section, stateNames, stateOrder } from '../parts.ts';
import { type Problem, problemsOf } from '../problems.ts';

export const overviewView: View = {
  title: () => 'Overview',
  render: (app) => [
    problems(app.picture),
    tiles(app.picture),
    knowsAgents(app.picture) && states(app.picture),
    ...map(app),
  ],
};

const maxShown = 12;
const marks = { bad: '✕', warn: '!', note: 'i' } as const;
const ranks = { bad: 'serious', warn: 'warning', note: 'note' } as const;

function problems(picture: OverviewAnswer): HTMLElement {
  const found = problemsOf(picture);
  const serious = found.filter(({ rank }) => rank !== 'note').length;
  const title = serious === 0 ? 'Nothing is wrong' : `${plural(serious, 'thing')} to look at`;
  const more = found.length - maxShown;
  return section(
    'problems',
    title,
    found.length === 0
      ? empty(allGood(picture))
      : el('ul', {}, ...found.slice(0, maxShown).map(problemItem)),
    more > 0 && el('p', { class: 'quiet' }, `and ${plural(more, 'more', 'more')}`),
  );
}

function allGood(picture: OverviewAnswer): string {
  if (picture.managers.some(({ probe }) => probe === 'unknown')) {
    return 'Nothing that is known; not every manager was probed yet.';
  }
  return knowsAgents(picture)
    ? 'Every manager answers, every agent is where it should be.'
    : 'The list is good, and every manager answers from here.';
}

function problemItem({ key, rank, what, more, link }: Problem): HTMLElement {
  const text = el('span', { class: 'what' }, what);
  return el(
    'li',
    { key, class: rank },
    el('span', { class: 'mark', role: 'img', 'aria-label': ranks[rank] }, marks[rank]),
    el(
      'span',
      {},
      link === undefined ? text : el('a', { href: link, class: 'what' }, what),
      el('span', { class: 'more' }, more),
    ),
  );
}

function tiles(picture: OverviewAnswer) {
  const { agents, states: counts, list, managers, rollout, waiting, atMs } = picture;
  const up = managers.filter(({ probe, ready }) => probe === 'up' && ready?.isReady !== false);
  const counted = Object.values(counts).reduce((total, one) => total + one, 0);
  const good = counts.on_target ?? 0;
  const wave = rollout.state === 'none' ? 'for everybody' : `${rollout.state}, ${rollout.pct} %`;
  return section(
    'tiles',
    'Numbers',
    el(
      'dl',
      {},
      ...(knowsAgents(picture)
        ? [
            tile('Agents', count(agents), `${plural(waiting, 'sidecar')} waiting for news`),
            tile('On target', percent(good, counted), `${count(good)} of ${count(counted)}`),
          ]
        : [tile('Sidecars', count(waiting), 'wait here for news')]),
      tile('Managers', `${up.length} / ${managers.length}`, 'answer and are ready'),
      list === undefined
        ? tile('List', 'none', 'nothing is published')
        : tile('List', `${list.version}`, `${list.reason} ${ago(list.issuedAtMs, atMs)}, ${wave}`),
    ),
  );
}

function tile(name: string, value: string, more: string): HTMLElement {
  return el(
    'div',
    { key: name },
    el('dt', {}, name),
    el('dd', { class: 'value' }, value),
    el('dd', { class: 'quiet' }, more),
  );
}

function states({ states: counts }: OverviewAnswer): HTMLElement {
  const all = Object.values(counts).reduce((total, one) => total + one, 0);
  const shown = stateOrder.filter((state) => (counts[state] ?? 0) > 0);
  if (all === 0) {
    const more = 'Sidecars report here once they are joined: pilotfish-publisher token.';
    return section(
      'states',
      'Agents by where they stand',
      empty('No agent has reported yet.', more),
    );
  }
  let from = 0;
  const parts = shown.map((state) => {
    const width = ((counts[state] ?? 0) / all) * 100;
    const part = svg('rect', {
      key: state,
      class: `fill-${state}`,
      x: from,
      y: 0,
      width,
      height: 10,
    });
    from += width;
    return part;
  });
  const legend = shown.map((state) =>
    el(
      'li',
      { key: state },
      el('span', { class: `swatch fill-${state}`, 'aria-hidden': 'true' }),
      el('a', { href: `#/agents?state=${state}` }, stateNames[state] ?? state),
      el(
        'span',
        { class: 'quiet' },
        ` ${count(counts[state] ?? 0)} · ${percent(counts[state] ?? 0, all)}`,
      ),
    ),
  );
  return section(
    'states',
    'Agents by where they stand',
    svg(
      'svg',
      { class: 'bar', viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      ...parts,
    ),
    el('ul', { class: 'legend' }, ...legend),
  );
}

function map(app: App): readonly Child[] {
  const zones = Map.groupBy(app.picture.managers, ({ zone }) => zone);
  const most = Math.max(1, ...app.picture.managers.flatMap(({ agents, share }) => [agents, share]));
  const groups = [...zones].map(([zone, managers]) =>
    el(
      'div',
      { key: zone, class: 'zone' },
      el(
        'h3',
        {},
        `Zone ${zone}`,
        el('span', { class: 'quiet' }, ` · ${plural(managers.length, 'manager')}`),
      ),
      el('ul', { class: 'cards' }, ...managers.map((one) => card(one, most, app))),
    ),
  );
  return [
    section(
      'map',
      'Cluster map',
      groups.length === 0 ? empty('No manager is in the list.') : undefined,
      ...groups,
    ),
  ];
}

/** The word of the list, of the probes and of the roster in one. */
export function standing(one: ManagerAnswer): { kind: 'good' | 'warn' | 'bad'; text: string } {
  if (one.probe === 'down') return { kind: 'bad', text: 'does not answer' };
  if (one.ready !== undefined && !one.ready.isReady) return { kind: 'bad', text: 'not ready' };
  if (one.state === 'down') return { kind: 'bad', text: 'listed as down' };
  if (one.state === 'drain') return { kind: 'warn', text: 'drained' };
  if (one.probe === 'unknown') return { kind: 'warn', text: 'not probed yet' };
  return { kind: 'good', text: one.ready === undefined ? 'up' : 'ready' };
}

function card(one: ManagerAnswer, most: number, { mayChange, picture }: App): HTMLElement {
  const { id, role, address, port, state, ready, prio, weight } = one;
  const { kind, text } = standing(one);
  const isDrained = state === 'drain';
  const order = isDrained ? ['undrain', 'Take back'] : ['drain', 'Drain'];
  return el(
    'li',
    { key: id, class: `card ${kind}` },
    el(
      'div',
      { class: 'head' },
      el('h4', {}, id),
      role === undefined ? undefined : badge('plain', role),
      badge(kind, text),
    ),
    el(
      'p',
      { class: 'quiet' },
      `${address}:${port} · weight ${weight}${prio === 0 ? '' : ` · prio ${prio}`}`,
    ),
    ...(knowsAgents(picture) ? loadOf(one, most) : []),
    ready === undefined ? undefined : el('p', { class: 'why' }, ready.why),
    mayChange &&
      state !== 'down' &&
      orderButton(order[0] ?? '', id, order[1] ?? '', `${order[1]} ${id}`),
  );
}

function loadOf({ id, agents, share, state }: ManagerAnswer, most: number): readonly Child[] {
  return [
    el(
      'p',
      { class: 'load' },
      el(
        'a',
        { href: `#/agents?manager=${encodeURIComponent(id)}`, class: 'number' },
        plural(agents, 'agent'),
      ),
      el('span', { class: 'quiet' }, state === 'up' ? ` of ${count(share)} by weight` : ' left'),
    ),
    loadBar(agents, share, most),
  ];
}

/** Agents that are there, and a line at its share. */
function loadBar(agents: number, share: number, most: number): SVGElement {
  const at = (share / most) * 100;
  return svg(
    'svg',
    {
      class: 'bar thin',
      viewBox: '0 0 100 10',
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    },
    svg('rect', { class: 'fill-load', x: 0, y: 0, width: (agents / most) * 100, height: 10 }),
    svg('rect', { class: 'fill-share', x: Math.min(99.2, at), y: 0, width: 0.8, height: 10 }),
  );
}
