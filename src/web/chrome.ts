/** What is around every view: who we are, where to go, how fresh the picture is. */
import type { App } from './app.ts';
import { type Child, el, patch } from './dom.ts';
import { ago } from './format.ts';
import { knowsAgents, originLine, signsHere } from './origin.ts';
import { currentTheme } from './theme.ts';

const places = [
  ['', 'Overview'],
  ['agents', 'Agents'],
  ['rollout', 'Rollout'],
  ['timeline', 'Timeline'],
  ['sync', 'Sync'],
  ['load', 'Load'],
] as const;

/** What a follower cannot tell. */
const ofAgents: readonly string[] = ['agents', 'rollout', 'load'];

export interface Surroundings {
  /** Undefined while nobody is signed in. */
  readonly app: App | undefined;
  readonly isLive: boolean;
  readonly isUnlocked: boolean;
}

export function drawChrome({ app, isLive, isUnlocked }: Surroundings): void {
  const top = document.getElementById('top');
  const foot = document.getElementById('foot');
  if (top === null || foot === null) return;
  const head = el(
    'header',
    { id: 'top' },
    el(
      'div',
      { class: 'line' },
      el(
        'p',
        { class: 'brand' },
        el('strong', {}, 'Pilotfish'),
        app !== undefined && el('span', { class: 'quiet' }, ` ${app.picture.org}`),
      ),
      app !== undefined && freshness(app, isLive),
      el('div', { class: 'tools' }, ...tools(app, isUnlocked)),
    ),
    app !== undefined && originLine(app.picture),
    app !== undefined && navigation(app),
  );
  patch(top, head);
  patch(foot, footer(app));
}

function freshness({ picture: { list } }: App, isLive: boolean): HTMLElement {
  return el(
    'p',
    { class: `fresh ${isLive ? 'live' : 'lost'}`, id: 'fresh' },
    el('span', { class: 'dot', 'aria-hidden': 'true' }),
    isLive ? 'live' : 'not connected, trying again',
    list !== undefined && el('span', { class: 'quiet' }, ` · list ${list.version}`),
  );
}

const themeNames = { auto: 'as the system', light: 'light', dark: 'dark' } as const;
const themeMarks = { auto: '◐', light: '☀', dark: '☾' } as const;

function tools(app: App | undefined, isUnlocked: boolean): readonly Child[] {
  const theme = currentTheme();
  const mayOperate = app !== undefined && app.who.role !== 'read' && signsHere(app.picture);
  return [
    mayOperate &&
      el(
        'button',
        {
          key: 'lock',
          type: 'button',
          'data-act': 'unlock',
          'aria-pressed': `${isUnlocked}`,
          class: 'lock',
        },
        'Changes',
        el('span', { 'aria-hidden': 'true' }, isUnlocked ? ' on' : ' off'),
      ),
    el(
      'button',
      {
        key: 'theme',
        type: 'button',
        'data-act': 'theme',
        'aria-label': `Colours: ${themeNames[theme]}`,
      },
      el('span', { 'aria-hidden': 'true' }, themeMarks[theme]),
    ),
    app !== undefined &&
      el('button', { key: 'leave', type: 'button', 'data-act': 'leave' }, 'Sign out'),
  ];
}

function navigation({ route, picture }: App): HTMLElement {
  const shown = places.filter(([name]) => knowsAgents(picture) || !ofAgents.includes(name));
  const links = shown.map(([name, text]) =>
    el(
      'li',
      { key: text },
      el(
        'a',
        { href: `#/${name}`, 'aria-current': route.name === name ? 'page' : undefined },
        text,
      ),
    ),
  );
  return el('nav', { class: 'places', 'aria-label': 'Views' }, el('ul', {}, ...links));
}

function footer(app: App | undefined): HTMLElement {
  if (app === undefined) return el('footer', { id: 'foot' });
  const { who, picture } = app;
  const ends = ago(2 * picture.atMs - who.expiresAtMs, picture.atMs).replace(' ago', '');
  return el(
    'footer',
    { id: 'foot' },
    el('span', {}, `Signed in as ${who.name}, role ${who.role}; this token ends in ${ends}.`),
    el('span', {}, `Pilotfish publisher ${picture.program}`),
  );
}
