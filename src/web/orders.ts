/** What an operator may change: the question before it, and the order itself. */
import type { OverviewAnswer } from '../publisher/api/answers.ts';
import { ask } from './api.ts';
import { el } from './dom.ts';
import { plural } from './format.ts';

interface Order {
  readonly title: (argument: string) => string;
  readonly more: (argument: string, picture: OverviewAnswer) => string;
  readonly button: string;
  readonly done: (argument: string) => string;
  /** The member of the query that the argument is. */
  readonly member?: string;
  /** A reason may be given, for the others. */
  readonly hasReason?: boolean;
}

const orders: Readonly<Record<string, Order>> = {
  drain: {
    title: (id) => `Drain ${id}?`,
    more: (id, { managers }) => {
      const agents = managers.find((one) => one.id === id)?.agents ?? 0;
      return `${plural(agents, 'agent')} will leave it in their own time. New ones will not come.`;
    },
    button: 'Drain',
    done: (id) => `${id} is drained`,
    member: 'manager',
  },
  undrain: {
    title: (id) => `Take ${id} back?`,
    more: () => 'Agents whose first choice it is will come back in slots.',
    button: 'Take back',
    done: (id) => `${id} is taken back`,
    member: 'manager',
  },
  rollback: {
    title: (version) => `Roll back to version ${version}?`,
    more: (version) =>
      `A new version with the content of version ${version} goes to everybody at once.`,
    button: 'Roll back',
    done: (version) => `rolled back to version ${version}`,
    member: 'version',
  },
  'rollout/pause': {
    title: () => 'Pause the rollout?',
    more: () => 'The next wave waits. A wave that fails still goes back.',
    button: 'Pause',
    done: () => 'the rollout is paused',
    hasReason: true,
  },
  'rollout/resume': {
    title: () => 'Go on with the rollout?',
    more: () => 'The next wave comes when its gates allow it.',
    button: 'Go on',
    done: () => 'the rollout goes on',
    hasReason: true,
  },
  'rollout/abort': {
    title: () => 'Take the rollout back?',
    more: (_, { rollout }) =>
      `Everybody goes back to version ${rollout.stableVersion ?? 'before'}, at once.`,
    button: 'Take back',
    done: () => 'the rollout is taken back',
    hasReason: true,
  },
};

export interface Asking {
  readonly token: string;
  readonly picture: OverviewAnswer;
}

/** Asks, then does. Resolves to what was done; undefined: the reader thought better of it. */
export async function runOrder(
  name: string,
  argument: string,
  { token, picture }: Asking,
): Promise<string | undefined> {
  const order = orders[name];
  if (order === undefined) return undefined;
  const reason = await confirm(order, argument, picture);
  if (reason === undefined) return undefined;
  const query = {
    ...basisOf(name, picture),
    ...(order.member === undefined ? {} : { [order.member]: argument }),
    ...(order.hasReason === true && reason !== '' ? { why: reason } : {}),
  };
  await ask(token, 'POST', name, query);
  return order.done(argument);
}

/** What the reader saw when the question came up: what somebody else decided since is not overridden. */
function basisOf(
  name: string,
  { list, rollout }: OverviewAnswer,
): Readonly<Record<string, string>> {
  if (name.startsWith('rollout/')) return rollout.id === undefined ? {} : { rollout: rollout.id };
  return list === undefined ? {} : { ifVersion: `${list.version}` };
}

/** The reason that was given, or empty; undefined: no. Escape and a click on Cancel say no. */
function confirm(
  order: Order,
  argument: string,
  picture: OverviewAnswer,
): Promise<string | undefined> {
  const input = el('input', {
    name: 'why',
    maxlength: 200,
    autocomplete: 'off',
  }) as HTMLInputElement;
  const dialog = el(
    'dialog',
    { class: 'question', 'aria-labelledby': 'question', 'aria-describedby': 'question-more' },
    el('h2', { id: 'question' }, order.title(argument)),
    el('p', { id: 'question-more' }, order.more(argument, picture)),
    order.hasReason === true && el('label', {}, el('span', {}, 'Reason, for the others'), input),
    el(
      'p',
      { class: 'orders' },
      el('button', { type: 'button', value: 'no' }, 'Cancel'),
      el('button', { type: 'button', value: 'yes', class: 'danger' }, order.button),
    ),
  ) as HTMLDialogElement;
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('click', ({ target }) => {
      if (target instanceof HTMLButtonElement) dialog.close(target.value);
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(dialog.returnValue === 'yes' ? input.value.trim() : undefined);
    });
  });
}
