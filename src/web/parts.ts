/** Pieces that several views are made of. */
import type { Route } from './app.ts';
import { linkTo } from './app.ts';
import { type Child, el } from './dom.ts';
import { instant } from './format.ts';

export const stateNames: Readonly<Record<string, string>> = {
  on_target: 'on target',
  waiting: 'waiting for its wave',
  behind: 'behind',
  failed: 'failed',
  away: 'not connected',
  silent: 'silent',
};

/** The worst last, as in the bar. */
export const stateOrder = ['on_target', 'waiting', 'behind', 'silent', 'away', 'failed'] as const;

export function section(name: string, title: string, ...children: readonly Child[]): HTMLElement {
  return el(
    'section',
    { key: name, 'aria-labelledby': `h-${name}`, class: name },
    el('h2', { id: `h-${name}` }, title),
    ...children,
  );
}

/** A word with a colour; the word says it all. */
export function badge(kind: 'good' | 'warn' | 'bad' | 'plain', text: string): HTMLElement {
  return el('span', { class: `badge ${kind}` }, text);
}

/** In the reader's own time zone, never broken in two. */
export function moment(atMs: number): HTMLElement {
  return el('time', { datetime: new Date(atMs).toISOString() }, instant(atMs));
}

export function empty(what: string, more = ''): HTMLElement {
  return el('p', { class: 'empty' }, el('strong', {}, what), more === '' ? undefined : ` ${more}`);
}

export function loading(): HTMLElement {
  return el('p', { class: 'empty' }, 'Loading …');
}

export interface Choice {
  readonly value: string;
  readonly text: string;
}

/** Links that act as a switch between views of the same thing. */
export function choices(
  name: string,
  route: Route,
  word: string,
  given: readonly Choice[],
  fallback: string,
): HTMLElement {
  const chosen = route.query.get(word) ?? fallback;
  const links = given.map(({ value, text }) =>
    el(
      'a',
      {
        href: linkTo(route, { [word]: value === fallback ? undefined : value }),
        'aria-current': value === chosen ? 'true' : undefined,
      },
      text,
    ),
  );
  return el('nav', { class: 'choices', 'aria-label': name }, ...links);
}

/** A button that changes something, after a question. `words`: what the order takes. */
export function orderButton(
  order: string,
  argument: string,
  text: string,
  label = text,
): HTMLElement {
  return el(
    'button',
    {
      type: 'button',
      class: 'order',
      'data-act': 'order',
      'data-order': order,
      'data-argument': argument,
      'aria-label': label,
    },
    text,
  );
}
