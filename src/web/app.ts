/** What the page knows now. One object, replaced as a whole where something came. */
import type { OverviewAnswer, WhoAnswer } from '../publisher/api/answers.ts';
import type { Child } from './dom.ts';

/** `#/agents/007?page=2`: name `agents`, rest `007`, query `page=2`. */
export interface Route {
  readonly name: string;
  readonly rest: string;
  readonly query: URLSearchParams;
}

export interface App {
  readonly token: string;
  readonly who: WhoAnswer;
  readonly picture: OverviewAnswer;
  readonly route: Route;
  /** Changes are offered: by role, and after the reader asked for them. */
  readonly mayChange: boolean;
}

export interface View<Data = unknown> {
  readonly title: (route: Route) => string;
  /** What it needs beside the picture; again every `refreshMs` while somebody looks. */
  readonly load?: (app: App, signal: AbortSignal) => Promise<Data>;
  readonly refreshMs?: number;
  /** `data` is undefined until it came. */
  readonly render: (app: App, data: Data | undefined) => readonly Child[];
  /** After every render, for what draws by itself. */
  readonly drawn?: (data: Data | undefined) => void;
}

export function parseRoute(hash: string): Route {
  const [, name = '', rest = '', search = ''] =
    /^#\/([a-z]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(hash) ?? [];
  return { name, rest, query: new URLSearchParams(search) };
}

/** The same place with some words changed; `undefined` takes one out. */
export function linkTo(
  route: Route,
  changes: Readonly<Record<string, string | undefined>>,
): string {
  const query = new URLSearchParams(route.query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === '') query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  return `#/${route.name}${text === '' ? '' : `?${text}`}`;
}
