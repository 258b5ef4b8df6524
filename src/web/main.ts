/**
 * The page: token → picture → view. One picture, one view's data and one stream are kept; everything
 * on the screen is made from them anew and patched in, so nothing grows while the page stays open.
 */
import type { OverviewAnswer, WhoAnswer } from '../publisher/api/answers.ts';
import { ApiError, ask } from './api.ts';
import { type App, linkTo, parseRoute, type Route, type View } from './app.ts';
import { after, type Cancel } from './browser.ts';
import { drawChrome } from './chrome.ts';
import { el, patch } from './dom.ts';
import { follow } from './live.ts';
import { runOrder } from './orders.ts';
import { signsHere } from './origin.ts';
import { empty } from './parts.ts';
import { identify, keepToken, keptToken, signInForm } from './session.ts';
import { startTheme, switchTheme } from './theme.ts';
import { agentsView, agentView } from './views/agents.ts';
import { loadView } from './views/load.ts';
import { overviewView } from './views/overview.ts';
import { rolloutView } from './views/rollout.ts';
import { syncView } from './views/sync.ts';
import { timelineView } from './views/timeline.ts';

const views: Readonly<Record<string, View>> = {
  '': overviewView,
  agents: agentsView as View,
  rollout: rolloutView as View,
  timeline: timelineView as View,
  sync: syncView,
  load: loadView as View,
};

interface Session {
  readonly token: string;
  readonly who: WhoAnswer;
  readonly end: AbortController;
  picture: OverviewAnswer;
}

let session: Session | undefined;
let isLive = false;
let isUnlocked = false;
let whyOut = '';
/** Of the view that is shown. */
let data: unknown;
let failure = '';
let loading = new AbortController();
let nextLoad: Cancel = () => undefined;
let isDrawing = false;
/** What stands in the search is newer than the address. */
let isTyping = false;

const main = document.getElementById('main') ?? document.body;

function viewOf(route: Route): View | undefined {
  if (route.name === 'agents' && route.rest !== '') return agentView as View;
  return Object.hasOwn(views, route.name) ? views[route.name] : undefined;
}

function currentApp(): App | undefined {
  if (session === undefined) return undefined;
  const { token, who, picture } = session;
  const mayChange = isUnlocked && who.role !== 'read' && signsHere(picture);
  return { token, who, picture, mayChange, route: parseRoute(location.hash) };
}

/** At most once a frame. */
function redraw(): void {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    draw();
  });
}

function draw(): void {
  const app = currentApp();
  drawChrome({ app, isLive, isUnlocked });
  const fresh = el('main', { id: 'main', tabindex: -1 });
  if (app === undefined) fresh.append(...(signInForm(whyOut) as Node[]));
  else fresh.append(...viewNodes(app));
  patch(main, fresh);
  for (const control of main.querySelectorAll<HTMLInputElement | HTMLSelectElement>(
    'form.search [name]',
  )) {
    if (isTyping || control === document.activeElement) continue;
    control.value = control.getAttribute('data-chosen') ?? control.getAttribute('value') ?? '';
  }
  if (app !== undefined) viewOf(app.route)?.drawn?.(data);
}

function viewNodes(app: App): readonly Node[] {
  const view = viewOf(app.route);
  const title = view?.title(app.route) ?? 'Not found';
  document.title = `${title} · Pilotfish ${app.picture.org}`;
  const heading = el('h1', { id: 'title', tabindex: -1 }, title);
  if (view === undefined) return [heading, empty('There is no such view.')];
  const failed = failure === '' ? [] : [el('p', { key: 'failure', class: 'failure' }, failure)];
  const shown = view.render(app, data).filter((child): child is Node => child instanceof Node);
  return [heading, ...failed, ...shown];
}

/** Told to those who do not see, and shown for a while to those who do. */
function tell(place: 'told' | 'failed', text: string): void {
  const element = document.getElementById(place);
  if (element === null) return;
  element.textContent = text;
  if (text !== '') after(8_000, () => element.textContent === text && tell(place, ''));
}

/** The data of the view that is shown, and again while it is. */
async function load(): Promise<void> {
  loading.abort();
  nextLoad();
  const own = new AbortController();
  loading = own;
  const app = currentApp();
  const view = app === undefined ? undefined : viewOf(app.route);
  if (app === undefined || view?.load === undefined) return;
  try {
    const came = await view.load(app, own.signal);
    if (own.signal.aborted) return;
    data = came;
    failure = '';
  } catch (thrown) {
    if (own.signal.aborted) return;
    if (!(thrown instanceof ApiError)) throw thrown;
    if (thrown.status === 401) return signOut('this token is no longer good');
    failure = thrown.message;
  }
  redraw();
  nextLoad = after(view.refreshMs ?? 10_000, () => void (document.hidden ? undefined : load()));
}

let shownPlace = '';

function navigate(): void {
  const { name, rest } = parseRoute(location.hash);
  const place = `${name}/${rest}`;
  const isOther = place !== shownPlace;
  shownPlace = place;
  if (isOther) {
    data = undefined;
    failure = '';
  }
  draw();
  if (isOther && session !== undefined) {
    document.getElementById('title')?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  void load();
}

async function signIn(token: string): Promise<void> {
  const who = await identify(token);
  const picture = await ask<OverviewAnswer>(token, 'GET', 'overview');
  keepToken(token);
  session?.end.abort(); // asked twice
  const end = new AbortController();
  const own: Session = { token, who, picture, end };
  session = own;
  whyOut = '';
  isUnlocked = false;
  shownPlace = '';
  navigate();
  void follow(
    token,
    {
      overview: (newer) => take(own, newer),
      state(state) {
        if (isLive !== (state === 'live')) {
          isLive = state === 'live';
          if (!isLive) tell('failed', 'The connection is lost; what you see grows old.');
          redraw();
        }
      },
      refused: () => signOut('this token is no longer good'),
    },
    end.signal,
  );
}

function take(own: Session, newer: OverviewAnswer): void {
  const before = own.picture.list?.version;
  own.picture = newer;
  const { list } = newer;
  if (list !== undefined && list.version !== before) {
    tell('told', `List ${list.version} is served: ${list.reason} ${list.detail}`.trim());
    void load();
  }
  redraw();
}

function signOut(why: string): void {
  session?.end.abort();
  session = undefined;
  isLive = false;
  data = undefined;
  keepToken('');
  whyOut = why;
  document.title = 'Pilotfish';
  loading.abort();
  nextLoad();
  draw();
  main.querySelector('input')?.focus();
}

async function trySignIn(token: string): Promise<void> {
  try {
    await signIn(token);
  } catch (thrown) {
    if (!(thrown instanceof ApiError)) throw thrown;
    if (thrown.status === 401) keepToken('');
    whyOut = thrown.message;
    draw();
    main.querySelector('input')?.focus();
  }
}

async function order(name: string, argument: string): Promise<void> {
  if (session === undefined) return;
  try {
    const done = await runOrder(name, argument, session);
    if (done !== undefined) tell('told', `Done: ${done}.`);
    void load();
  } catch (thrown) {
    if (!(thrown instanceof ApiError)) throw thrown;
    if (thrown.status === 401) return signOut('this token is no longer good');
    if (thrown.status > 0) return tell('failed', `Not done: ${thrown.message}`);
    tell('failed', 'No answer came: look whether it was done before you ask again.');
    void load();
  }
}

const acts: Readonly<Record<string, (element: HTMLElement) => void>> = {
  skip: () => main.focus(),
  theme: () => {
    switchTheme();
    redraw();
  },
  unlock: () => {
    isUnlocked = !isUnlocked;
    tell('told', isUnlocked ? 'Changes are offered.' : 'Changes are no longer offered.');
    redraw();
  },
  leave: () => signOut(''),
  order: ({ dataset }) => void order(dataset.order ?? '', dataset.argument ?? ''),
};

document.addEventListener('click', (event) => {
  const { target } = event;
  const element = target instanceof Element ? target.closest<HTMLElement>('[data-act]') : null;
  if (element === null || element instanceof HTMLFormElement) return;
  if (element instanceof HTMLAnchorElement) event.preventDefault();
  acts[element.dataset.act ?? '']?.(element);
});

document.addEventListener('submit', (event) => {
  event.preventDefault();
  const { target } = event;
  if (!(target instanceof HTMLFormElement)) return;
  const words = new FormData(target);
  if (target.dataset.act === 'sign-in') void trySignIn(`${words.get('token') ?? ''}`.trim());
  if (target.dataset.act === 'search') search(target);
});

const typingMs = 250;
let searchLater: Cancel = () => undefined;

document.addEventListener('input', ({ target }) => {
  const form = target instanceof Element ? target.closest('form') : null;
  if (form?.dataset.act !== 'search') return;
  searchLater();
  isTyping = true;
  if (target instanceof HTMLSelectElement) search(form);
  else searchLater = after(typingMs, () => search(form));
});

/** What was typed becomes part of the address; back goes back to before the search. */
function search(form: HTMLFormElement): void {
  searchLater();
  isTyping = false;
  const route = parseRoute(location.hash);
  if (route.name !== 'agents' || !form.isConnected) return;
  const words = [...new FormData(form)].map(([name, value]) => [name, `${value}`] as const);
  const target = linkTo(route, { ...Object.fromEntries(words), page: undefined });
  if (target === location.hash) return;
  history.replaceState(null, '', target);
  navigate();
}

window.addEventListener('hashchange', navigate);
window.addEventListener('resize', redraw);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void load();
});
startTheme(redraw);
draw();
if (keptToken() !== '') void trySignIn(keptToken());
