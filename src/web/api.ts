/** The publisher's API as the page asks it: by token, with a deadline, again when it was told to wait. */
import { after } from './browser.ts';

/** What went wrong, in words for the reader. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Query = Readonly<Record<string, string | number | readonly string[]>>;

export const apiRoot = '/api/v1/';
const deadlineMs = 15_000;
const tries = 4;

export async function ask<Answer>(
  token: string,
  method: 'GET' | 'POST',
  path: string,
  query: Query = {},
  signal?: AbortSignal,
): Promise<Answer> {
  for (let left = tries; ; left -= 1) {
    const response = await send(token, method, `${apiRoot}${path}${searchOf(query)}`, signal);
    if (response.ok) return (await response.json()) as Answer;
    // Neither was begun: it is asked again, also where it changes something.
    const isLater = response.status === 429 || response.status === 503;
    if (!isLater || left <= 1) throw await errorOf(response);
    const seconds = Number(response.headers.get('retry-after') ?? '1');
    await pause(Math.min(5, Math.max(0.2, seconds)) * 1_000, signal);
  }
}

function searchOf(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) search.append(name, `${one}`);
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

async function send(
  token: string,
  method: string,
  url: string,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const limit = AbortSignal.timeout(deadlineMs);
  try {
    return await fetch(url, {
      ...{ method, cache: 'no-store', credentials: 'omit', redirect: 'error' },
      headers: { authorization: `Bearer ${token}` },
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    });
  } catch (thrown) {
    if (signal?.aborted === true) throw thrown;
    throw new ApiError(0, 'the publisher does not answer');
  }
}

/** Of the publisher's own making, or of something in between. */
async function errorOf(response: Response): Promise<ApiError> {
  const text = (await response.text()).slice(0, 2_000);
  try {
    const { error } = JSON.parse(text) as { error: { message: string; code?: string } };
    const message = [error.message, error.code === undefined ? '' : `(${error.code})`].join(' ');
    return new ApiError(response.status, message.trim());
  } catch {
    return new ApiError(response.status, `the publisher answers ${response.status}`);
  }
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = after(ms, () => {
      signal?.removeEventListener('abort', onAbort); // it outlives many pauses
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
