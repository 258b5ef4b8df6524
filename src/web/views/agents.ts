/** Agents: searched, sorted and paged by the publisher; one of them explained. */
import type {
  AgentAnswer,
  AgentPageAnswer,
  ExplanationAnswer,
} from '../../publisher/api/answers.ts';
import { ask } from '../api.ts';
import { type App, linkTo, type Route, type View } from '../app.ts';
import { type Child, type Column, el, scroller, table } from '../dom.ts';
import { count, duration, plural } from '../format.ts';
import { badge, empty, loading, moment, section, stateNames, stateOrder } from '../parts.ts';

const perPage = 50;

interface Found {
  /** What was asked. */
  readonly asked: string;
  readonly page: AgentPageAnswer;
}

export const agentsView: View<Found> = {
  title: () => 'Agents',
  refreshMs: 5_000,
  async load({ token, route }, signal) {
    const { query } = route;
    const filter = ['state', 'manager'].flatMap((name) =>
      query.get(name) === null ? [] : [`${name}=${query.get(name)}`],
    );
    const asked = {
      ...(filter.length === 0 ? {} : { filter }),
      search: (query.get('search') ?? '').slice(0, 64),
      sort: query.get('sort') ?? 'agent',
      reverse: query.get('reverse') === 'true' ? 'true' : 'false',
      page: pageOf(route),
      limit: perPage,
    };
    return { asked: query.toString(), page: await ask(token, 'GET', 'agents', asked, signal) };
  },
  render: (app, data) => [
    section(
      'agents',
      data === undefined ? 'Agents' : plural(data.page.total, 'agent'),
      searchForm(app),
      ...(data === undefined ? [loading()] : found(app, data.page)),
    ),
  ],
};

function pageOf({ query }: Route): number {
  const page = Number(query.get('page') ?? '1');
  return Number.isInteger(page) && page >= 1 && page <= 100_000 ? page : 1;
}

function searchForm({ picture, route }: App): HTMLElement {
  const { query } = route;
  const chosenState = query.get('state') ?? '';
  const chosenManager = query.get('manager') ?? '';
  return el(
    'form',
    { class: 'search', role: 'search', 'data-act': 'search', 'aria-label': 'Agents' },
    field(
      'Search',
      el('input', {
        ...{ id: 'q', name: 'search', type: 'search', maxlength: 64, autocomplete: 'off' },
        ...{ spellcheck: 'false', placeholder: 'id, manager, site, reason, error …' },
        value: query.get('search') ?? '',
      }),
    ),
    field(
      'State',
      select(
        'state',
        chosenState,
        stateOrder.map((state) => [state, stateNames[state] ?? state]),
      ),
    ),
    field(
      'Manager',
      select(
        'manager',
        chosenManager,
        picture.managers.map(({ id }) => [id, id]),
      ),
    ),
  );
}

function field(name: string, control: HTMLElement): HTMLElement {
  return el('label', { key: name }, el('span', {}, name), control);
}

function select(
  name: string,
  chosen: string,
  options: readonly (readonly [string, string])[],
): HTMLElement {
  return el(
    'select',
    { name, 'data-chosen': chosen },
    el('option', { value: '' }, 'any'),
    ...options.map(([value, text]) => el('option', { value, selected: value === chosen }, text)),
  );
}

function found({ route }: App, page: AgentPageAnswer): readonly Child[] {
  if (page.total === 0) {
    const isAll = route.query.size === 0;
    return [
      isAll
        ? empty('No agent has reported yet.')
        : empty('No agent fits.', 'Take a word out of the search, or look at all of them.'),
    ];
  }
  return [scroller('Agents', agentTable(route, page)), pager(route, page)];
}

const sortable: readonly (Column<AgentAnswer> & { readonly sort: string })[] = [
  {
    ...{ name: 'Agent', sort: 'agent' },
    cell: ({ agent }) => el('a', { href: `#/agents/${agent}` }, agent),
  },
  {
    name: 'State',
    sort: 'state',
    cell: ({ state }) => badge(kindOf(state), stateNames[state] ?? state),
  },
  { name: 'Manager', sort: 'manager', cell: ({ manager }) => manager || '—' },
  { name: 'Site', sort: 'site', kind: 'wide', cell: ({ site }) => site },
  { name: 'System', sort: 'os', kind: 'wide', cell: ({ os, version }) => `${os} ${version}` },
  { name: 'Holds', sort: 'holds', kind: 'wide', cell: ({ holds }) => holds || '—' },
  { name: 'Why', sort: 'reason', cell: ({ reason }) => reason },
  {
    ...{ name: 'Heard', sort: 'ageSec', kind: 'number wide' },
    cell: ({ ageSec }) => `${duration(Math.max(1, ageSec) * 1_000)} ago`,
  },
];

function kindOf(state: string): 'good' | 'warn' | 'bad' | 'plain' {
  if (state === 'on_target') return 'good';
  if (state === 'failed' || state === 'away') return 'bad';
  return state === 'waiting' ? 'plain' : 'warn';
}

function agentTable(route: Route, { lines, total, pages }: AgentPageAnswer): HTMLElement {
  const sort = route.query.get('sort') ?? 'agent';
  const isDown = route.query.get('reverse') === 'true';
  const head = sortable.map(({ name, sort: column, kind }) => {
    const isChosen = column === sort;
    const reverse = isChosen && !isDown ? 'true' : undefined;
    const order = isDown ? 'descending' : 'ascending';
    const mark = isDown ? '▼' : '▲';
    return el(
      'th',
      { scope: 'col', class: kind, 'aria-sort': isChosen ? order : undefined },
      el(
        'a',
        { href: linkTo(route, { sort: column, reverse, page: undefined }), class: 'sort' },
        name,
        isChosen && el('span', { 'aria-hidden': 'true' }, ` ${mark}`),
      ),
    );
  });
  const rows = lines.map((line) =>
    el(
      'tr',
      { key: line.agent },
      ...sortable.map(({ cell, kind }, at) =>
        el(
          at === 0 ? 'th' : 'td',
          { class: kind, ...(at === 0 ? { scope: 'row' } : {}) },
          cell(line),
        ),
      ),
    ),
  );
  const caption = `Agents, page ${count(pageOf(route))} of ${count(pages)}, ${count(total)} in all`;
  return el(
    'table',
    { class: 'agents' },
    el('caption', {}, caption),
    el('thead', {}, el('tr', {}, ...head)),
    el('tbody', {}, ...rows),
  );
}

function pager(route: Route, { pages }: AgentPageAnswer): HTMLElement {
  const page = pageOf(route);
  const to = (target: number, text: string): Child =>
    target < 1 || target > pages || target === page
      ? el('span', { class: 'off', key: text }, text)
      : el('a', { href: linkTo(route, { page: `${target}` }), key: text }, text);
  return el(
    'nav',
    { class: 'pager', 'aria-label': 'Pages of agents' },
    to(1, 'First'),
    to(page - 1, 'Previous'),
    el('span', { key: 'at' }, `${count(page)} / ${count(pages)}`),
    to(page + 1, 'Next'),
    to(pages, 'Last'),
  );
}

export const agentView: View<ExplanationAnswer> = {
  title: ({ rest }) => `Agent ${rest}`,
  refreshMs: 5_000,
  load: ({ token, route }, signal) => ask(token, 'GET', 'explain', { agent: route.rest }, signal),
  render: ({ route }, data) => [
    el('p', { key: 'back', class: 'back' }, el('a', { href: '#/agents' }, '← All agents')),
    ...(data === undefined ? [loading()] : explained(route.rest, data)),
  ],
};

function explained(agent: string, { lines, ranking, events }: ExplanationAnswer): readonly Child[] {
  const order = table(
    'Its own order of managers, by the list that it holds',
    [
      { name: 'Order', cell: ({ at }) => `${at}` },
      { name: 'Manager', cell: ({ id }) => id },
      { name: 'The list says', cell: ({ state }) => state },
      { name: 'It sees', cell: ({ verdict }) => badge(verdictKind(verdict), verdict) },
    ],
    ranking.map((one, index) => ({ ...one, at: index + 1 })),
    ({ id }) => id,
  );
  const past = table(
    'What changed for it, newest first',
    [
      { name: 'When', cell: ({ atMs }) => moment(atMs) },
      { name: 'What', cell: ({ kind }) => kind },
      { name: 'How', cell: ({ text }) => text },
    ],
    events,
    ({ atMs, kind, text }) => `${atMs}${kind}${text}`,
  );
  return [
    section(
      'why',
      `Why agent ${agent} is where it is`,
      el('ul', { class: 'plain' }, ...lines.map((line, at) => el('li', { key: `${at}` }, line))),
    ),
    section(
      'order',
      'Order of managers',
      ranking.length === 0 ? empty('Its list is no longer kept here.') : order,
    ),
    section(
      'past',
      'History',
      events.length === 0 ? empty('Nothing has changed since it is known.') : past,
    ),
  ];
}

function verdictKind(verdict: string): 'good' | 'bad' | 'plain' {
  if (verdict === 'up') return 'good';
  return verdict === 'down' ? 'bad' : 'plain';
}
