/**
 * What a contender knows of its own seat, as values. Time is an argument: monotonic milliseconds.
 * A lease is counted from when its renewal was *sent*, and given up before the store may end it.
 */
import { never } from '../guards.ts';
import type { Holder } from './engine.ts';

export interface OfficeTiming {
  readonly ttlMs: number;
}

export type Office =
  | {
      readonly kind: 'outside';
      /** The last one seen; undefined when the seat was empty or was never looked at. */
      readonly holder: Holder | undefined;
      readonly why: string;
    }
  | {
      readonly kind: 'seated';
      readonly token: number;
      /** Counts from the newest renewal that was answered. */
      readonly sentAtMs: number;
    };

export type OfficeEvent =
  | { readonly kind: 'looked'; readonly holder: Holder | undefined }
  | { readonly kind: 'taken'; readonly token: number; readonly sentAtMs: number }
  | { readonly kind: 'renewed'; readonly token: number; readonly sentAtMs: number }
  | { readonly kind: 'lost'; readonly token: number; readonly why: string }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'passed' };

/** Two thirds of the lease without an answer: nothing is written any more. */
const demoteShare = 2 / 3;
/** Five tries within one lease, three of them before the demotion. */
const renewShare = 1 / 5;

export const outside = (why: string, holder?: Holder): Office => ({ kind: 'outside', holder, why });

export function isSeated(office: Office, nowMs: number, { ttlMs }: OfficeTiming): boolean {
  return office.kind === 'seated' && nowMs < office.sentAtMs + ttlMs * demoteShare;
}

/** When the next renewal is due; in the past when it already is. */
export function renewAtMs(office: Office, { ttlMs }: OfficeTiming): number | undefined {
  return office.kind === 'seated' ? office.sentAtMs + ttlMs * renewShare : undefined;
}

/** What is known after `event`. An event about another token than ours says nothing about us. */
export function followOffice(
  office: Office,
  event: OfficeEvent,
  nowMs: number,
  timing: OfficeTiming,
): Office {
  const now = endWhenDue(office, nowMs, timing);
  switch (event.kind) {
    case 'looked':
      return afterLook(now, event.holder);
    case 'taken':
      return endWhenDue({ ...event, kind: 'seated' }, nowMs, timing);
    case 'renewed':
      if (now.kind !== 'seated' || now.token !== event.token) return now;
      return { ...now, sentAtMs: Math.max(now.sentAtMs, event.sentAtMs) };
    case 'lost':
      if (now.kind !== 'seated' || now.token !== event.token) return now;
      return outside(event.why);
    case 'failed':
      return now.kind === 'seated' ? now : { ...now, why: event.why };
    case 'passed':
      return now;
    default:
      return never(event);
  }
}

/** What was given up stays given up: a late answer does not bring the seat back. */
function endWhenDue(office: Office, nowMs: number, timing: OfficeTiming): Office {
  if (office.kind === 'outside' || isSeated(office, nowMs, timing)) return office;
  return outside('no renewal of the lease was answered in time');
}

function afterLook(office: Office, holder: Holder | undefined): Office {
  if (office.kind === 'outside') {
    const why = holder === undefined ? 'nobody has the seat' : `${holder.name} has it`;
    return outside(why, holder);
  }
  if (holder?.token === office.token) return office;
  return outside(
    holder === undefined ? 'the seat was taken away' : `${holder.name} has it`,
    holder,
  );
}
