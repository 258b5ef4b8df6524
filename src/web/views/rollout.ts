/** The rollout under way with its waves, and the versions of the list. */
import type { HistoryAnswer, RolloutAnswer, VersionAnswer } from '../../publisher/api/answers.ts';
import { ask } from '../api.ts';
import type { App, View } from '../app.ts';
import { type Child, el, svg, table } from '../dom.ts';
import { ago, count, duration, percent } from '../format.ts';
import { badge, empty, loading, moment, orderButton, section } from '../parts.ts';

interface Versions extends HistoryAnswer {
  /** Of the picture when they were asked for. */
  readonly newest: number;
}

export const rolloutView: View<Versions> = {
  title: () => 'Rollout and lists',
  refreshMs: 5_000,
  async load({ token, picture }, signal) {
    const { history } = await ask<HistoryAnswer>(token, 'GET', 'history', { limit: 50 }, signal);
    return { history, newest: picture.list?.version ?? 0 };
  },
  render: (app, data) => [
    section('rollout', 'Rollout', ...rolloutParts(app)),
    section('shares', 'Who holds the newest list', sharesTable(app.picture.rollout)),
    section(
      'versions',
      'Versions',
      data === undefined ? loading() : versionsTable(app, data.history),
    ),
  ],
};

function rolloutParts({ picture: { rollout, atMs, list }, mayChange }: App): readonly Child[] {
  const { state, next, id, lane, stableVersion, mark } = rollout;
  if (id === undefined) {
    return [empty('No change is on its way in waves.', 'The newest list is for everybody.')];
  }
  const isHeld = state === 'paused';
  const who = mark === undefined ? '' : ` by ${mark.who}${mark.why === '' ? '' : `: ${mark.why}`}`;
  return [
    el(
      'p',
      {},
      badge(state === 'running' ? 'good' : 'warn', `${state}${who}`),
      ` ${id}, ${lane} lane: version ${list?.version ?? '?'} in place of ${stableVersion ?? '?'}`,
    ),
    el('p', { class: 'quiet' }, next),
    waves(rollout, atMs),
    mayChange &&
      el(
        'p',
        { class: 'orders' },
        isHeld
          ? orderButton('rollout/resume', '', 'Go on')
          : orderButton('rollout/pause', '', 'Pause'),
        orderButton('rollout/abort', '', 'Take back'),
      ),
  ];
}

function waves({ stages, stage = 0, pct, stageStartedAtMs, wave }: RolloutAnswer, atMs: number) {
  return el(
    'ol',
    { class: 'waves' },
    ...stages.map(({ percent: share, bakeMs }, at) => {
      const isNow = at === stage;
      const since = `for ${duration(atMs - (stageStartedAtMs ?? atMs))}`;
      const other = at < stage ? (['past', 'passed'] as const) : (['later', 'to come'] as const);
      const [kind, word] = isNow ? (['now', since] as const) : other;
      return el(
        'li',
        { key: `${at}`, class: kind, 'aria-current': isNow ? 'step' : undefined },
        el('strong', {}, `${isNow ? pct : share} %`),
        el('span', {}, word),
        el('span', { class: 'quiet' }, `watched ${duration(bakeMs)}`),
        isNow && wave !== undefined && waveNumbers(wave),
      );
    }),
  );
}

function waveNumbers({ known, reported, failed, restored }: NonNullable<RolloutAnswer['wave']>) {
  return el(
    'span',
    { class: failed > 0 ? 'bad-text' : 'quiet' },
    `heard ${count(reported)} of ${count(known)}, ${count(failed)} failed, ${count(restored)} restored`,
  );
}

function sharesTable({ shares }: RolloutAnswer): HTMLElement {
  if (shares.length === 0) return empty('No agent has reported yet.');
  return table(
    'Agents on the newest list, by site, system and version',
    [
      { name: 'Agents', cell: ({ name }) => name.replace(':', ' ') },
      { name: 'All', kind: 'number', cell: ({ agents }) => count(agents) },
      { name: 'On it', kind: 'number', cell: ({ onNew }) => count(onNew) },
      { name: 'Share', kind: 'wide', cell: ({ onNew, agents }) => meter(onNew, agents) },
      {
        name: 'Failed',
        kind: 'number',
        cell: ({ failed }) => (failed > 0 ? badge('bad', count(failed)) : '0'),
      },
    ],
    shares,
    ({ name }) => name,
  );
}

function meter(part: number, all: number): HTMLElement {
  const width = all === 0 ? 0 : (part / all) * 100;
  const bar = svg(
    'svg',
    {
      class: 'bar thin',
      viewBox: '0 0 100 10',
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    },
    svg('rect', { class: 'fill-on_target', x: 0, y: 0, width, height: 10 }),
  );
  return el('span', { class: 'meter' }, bar, percent(part, all));
}

function versionsTable(
  { picture, mayChange }: App,
  history: readonly VersionAnswer[],
): HTMLElement {
  if (history.length === 0) return empty('Nothing was published yet.');
  const newest = picture.list?.version;
  const order = {
    name: 'Order',
    cell: ({ version }: VersionAnswer): Child =>
      version === newest
        ? badge('good', 'served')
        : orderButton(
            'rollback',
            `${version}`,
            'Roll back to it',
            `Roll back to version ${version}`,
          ),
  };
  return table(
    'Published versions, newest first',
    [
      { name: 'Version', cell: ({ version, epoch, term }) => `${epoch}/${term}/${version}` },
      { name: 'Why', cell: ({ reason, detail }) => `${reason} ${detail}`.trim() },
      { name: 'Signed', cell: ({ issuedAtMs }) => moment(issuedAtMs) },
      { name: 'Age', kind: 'wide', cell: ({ issuedAtMs }) => ago(issuedAtMs, picture.atMs) },
      { name: 'Hash', kind: 'wide', cell: ({ hash }) => el('code', {}, hash.slice(7, 19)) },
      ...(mayChange ? [order] : []),
    ],
    history,
    ({ version }) => `${version}`,
  );
}
