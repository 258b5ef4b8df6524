/** Who signs what is shown here: said where it is another publisher, which then takes the orders. */
import type { OverviewAnswer } from '../publisher/api/answers.ts';
import { type Child, el } from './dom.ts';
import { ago } from './format.ts';

export function signsHere({ origin }: OverviewAnswer): boolean {
  return origin.kind === 'alone' || origin.kind === 'leader';
}

/** What agents report is known where the list is signed. */
export function knowsAgents({ origin }: OverviewAnswer): boolean {
  return origin.kind !== 'follower';
}

/** False where orders are taken here. */
export function originLine({ origin, atMs }: OverviewAnswer): HTMLElement | false {
  const { kind, source, takenAtMs, freshAtMs } = origin;
  if (kind === 'alone' || kind === 'leader') return false;
  const what =
    kind === 'follower' ? 'This publisher follows another one' : 'This publisher stands by';
  const from =
    source === undefined || takenAtMs === undefined
      ? ''
      : `; its list came from ${source} ${ago(takenAtMs, atMs)}`;
  const fresh = freshAtMs === undefined ? '' : `, vouched for ${ago(freshAtMs, atMs)}`;
  return el(
    'p',
    { class: 'origin', id: 'origin', role: 'note' },
    el('strong', {}, 'Read-only. '),
    `${what}${from}${fresh}. `,
    ...whereTo(origin),
  );
}

function whereTo({ kind, writer }: OverviewAnswer['origin']): readonly Child[] {
  if (writer === '' && kind === 'standby') return ['Nobody leads now.'];
  if (writer === '') return ['Orders are given where it is signed.'];
  // Told by another publisher: only what is plainly an address becomes a link.
  const isLink = /^https:\/\/[A-Za-z0-9.:[\]-]+\/?$/.test(writer);
  const place = isLink ? el('a', { href: writer, rel: 'noopener noreferrer' }, writer) : writer;
  return ['Orders are given at ', place, '.'];
}
