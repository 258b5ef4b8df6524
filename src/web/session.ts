/** Who looks: a token that this tab remembers, and nobody else. */
import type { WhoAnswer } from '../publisher/api/answers.ts';
import { ApiError, ask } from './api.ts';
import { tabMemory } from './browser.ts';
import { type Child, el } from './dom.ts';

const memoryName = 'pilotfish.token';

export function keptToken(): string {
  return tabMemory.read(memoryName) ?? '';
}

export function keepToken(token: string): void {
  if (token === '') tabMemory.drop(memoryName);
  else tabMemory.write(memoryName, token);
}

/** Throws ApiError with words for the reader. */
export async function identify(token: string): Promise<WhoAnswer> {
  if (!/^pfa1\.[A-Za-z0-9_-]{8}\.[A-Za-z0-9_-]{43}$/.test(token)) {
    throw new ApiError(401, 'that is no token: it begins with pfa1.');
  }
  try {
    return await ask<WhoAnswer>(token, 'GET', 'whoami');
  } catch (thrown) {
    if (!(thrown instanceof ApiError) || thrown.status !== 401) throw thrown;
    throw new ApiError(401, 'this token is unknown, revoked or past its end');
  }
}

/** `why`: what was wrong with the last one. */
export function signInForm(why: string): readonly Child[] {
  return [
    el(
      'form',
      { class: 'sign-in', 'data-act': 'sign-in', 'aria-labelledby': 'h-sign-in' },
      el('h1', { id: 'h-sign-in', tabindex: -1 }, 'Sign in'),
      el('p', {}, 'With a token of this publisher’s API. It stays in this tab.'),
      el(
        'label',
        {},
        el('span', {}, 'Token'),
        el('input', {
          ...{ name: 'token', type: 'password', required: true, autocomplete: 'off' },
          ...{ spellcheck: 'false', maxlength: 80, 'aria-describedby': 'sign-in-why sign-in-how' },
          'aria-invalid': why === '' ? undefined : 'true',
        }),
      ),
      el('p', { id: 'sign-in-why', class: 'bad-text' }, why),
      el('button', { type: 'submit', class: 'main' }, 'Sign in'),
      el(
        'p',
        { class: 'quiet', id: 'sign-in-how' },
        'A new one, on the publisher: ',
        el('code', {}, 'pilotfish-publisher api-token create --name NAME'),
      ),
    ),
  ];
}
