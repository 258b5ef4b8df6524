/**
 * Keeps the addresses per zone of the published list: what is advertised and not published yet is
 * judged by the root's constraints, asked as a manager from here, and published through the waves of
 * a rollout. What fails is told in `status`; the list stays as it is.
 */
import { type Clock, sleep } from '../../clock.ts';
import { PilotfishError } from '../../errors.ts';
import { failureTexts, type Prober } from '../../health/probe.ts';
import type { Constraints, Manager } from '../../list/model.ts';
import type { Log } from '../../log.ts';
import type { Complaints } from '../complaints.ts';
import type { ConfiguredContent } from '../content.ts';
import type { History, PublishedList } from '../history.ts';
import { isConfigNews } from '../orders.ts';
import type { PublishOrder } from '../publish.ts';
import {
  type AddressChange,
  type Advertised,
  addressChange,
  advertisedBy,
  advertisedFault,
  advertisedText,
  changeAddresses,
  type Said,
} from './advertised.ts';

export interface AddressParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly complaints: Complaints;
  readonly prober: Prober;
  readonly history: Pick<History, 'newest'>;
  configured(): ConfiguredContent;
  constraints(): Constraints;
  /** What the managers' own nodes say; empty where nobody is listened to. */
  said(): Said;
  /** Only then is anything published. */
  leads(): boolean;
  settings(): { readonly everyMs: number; readonly deadlineMs: number };
  publish(order: PublishOrder): Promise<void>;
}

const topic = 'addresses';

export async function keepAddresses(parts: AddressParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await addressRound(parts, signal);
    await sleep(parts.clock, parts.settings().everyMs, signal).catch(() => undefined);
  }
}

/** One look. */
export async function addressRound(parts: AddressParts, signal: AbortSignal): Promise<void> {
  const { complaints } = parts;
  const newest = parts.history.newest();
  if (newest === undefined || !parts.leads()) return complaints.end(topic);
  const said = parts.said();
  const advertised = advertisedBy(parts.configured().advertised ?? [], said);
  const { due, gone } = addressChange(newest.content.managers, advertised, said);
  if (due.length + gone.length === 0) return complaints.end(topic);
  if (mustWait(parts, newest)) return;
  const judged = await Promise.all(due.map((one) => judge(parts, newest, one, signal)));
  if (signal.aborted) return;
  const faults = judged.flatMap((fault, index) => {
    const one = due[index];
    return fault === undefined || one === undefined ? [] : [`${advertisedText(one)} ${fault}`];
  });
  const proven = due.filter((_, index) => judged[index] === undefined);
  if (proven.length + gone.length > 0) faults.push(...(await change(parts, proven, gone)));
  if (faults.length === 0) complaints.end(topic);
  else complaints.begin(topic, `not published: ${faults.join('; ')}`);
}

/** The operator's own next word comes first, a rollout ends first, what was taken back stays so. */
function mustWait({ configured }: AddressParts, newest: PublishedList): boolean {
  return (
    newest.content.holdsAddresses === true ||
    newest.rollout !== undefined ||
    isConfigNews(configured(), newest)
  );
}

/** Why it is not published; undefined where it is proven. */
async function judge(
  { prober, constraints, settings }: AddressParts,
  { content }: PublishedList,
  one: Advertised,
  signal: AbortSignal,
): Promise<string | undefined> {
  const manager = content.managers.find(({ id }) => id === one.id);
  if (manager === undefined) return undefined;
  const fault = advertisedFault(one, manager, constraints());
  if (fault !== undefined || one.isTrusted) return fault;
  const outcome = await prober.probe(targetOf(one, manager), settings().deadlineMs, signal);
  if (outcome.kind === 'alive') return undefined;
  return `does not answer as a manager from here (${failureTexts[outcome.failure]})`;
}

function targetOf({ address, port }: Advertised, manager: Manager) {
  return { address, port: port ?? manager.port, kind: `ping-${manager.protocol}` as const };
}

/** What went wrong, as text. */
async function change(
  { publish, log }: AddressParts,
  proven: readonly Advertised[],
  gone: AddressChange['gone'],
): Promise<readonly string[]> {
  const told = [
    ...proven.map(advertisedText),
    ...gone.map(({ id, zone }) => `${id} no longer in zone ${zone}`),
  ];
  const detail = told.join('; ').slice(0, 500);
  try {
    await publish(addressOrder(proven, gone, detail));
    log.info('addresses.changed', { detail });
    return [];
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    return [thrown.message];
  }
}

function addressOrder(
  proven: readonly Advertised[],
  gone: AddressChange['gone'],
  detail: string,
): PublishOrder {
  return {
    reason: 'roster',
    detail,
    evenIfSame: false,
    // No word on the rollout: agents that get another address are moved in waves, as by any change.
    want(newest) {
      if (newest === undefined) throw new TypeError('addresses change in a list that is there');
      const { content, source } = newest;
      const managers = changeAddresses(content.managers, proven, gone);
      return { content: { ...content, managers }, source };
    },
  };
}
