/**
 * Every address of a host name and every endpoint of a service, in the order to be tried: this
 * host's own table first, then each search domain's answer, both families. RFC 2782 for SRV.
 */
import { isIP } from 'node:net';
import { type Clock, deadline, untilAborted } from '../clock.ts';
import { PeerError } from '../errors.ts';
import type { HostsFile } from './hosts-file.ts';
import { candidateNames, parseName } from './name.ts';
import type { RecordType, Srv } from './record.ts';
import type { Resolution } from './resolver.ts';

/** Port: what `Resolver` does. */
export interface Lookup {
  lookup(
    question: { readonly name: string; readonly type: RecordType },
    signal?: AbortSignal,
    maxAgeMs?: number,
  ): Promise<Resolution>;
}

export interface NameWorld {
  readonly clock: Clock;
  readonly resolver: Lookup;
  readonly hosts: () => Promise<HostsFile>;
  readonly search: () => Promise<{ readonly search: readonly string[]; readonly ndots: number }>;
}

export interface Addresses {
  /** The name that had them, after search domains. */
  readonly name: string;
  /** IPv4 first, each family in the order of its answer; never empty. */
  readonly addresses: readonly string[];
  readonly source: 'literal' | 'hosts' | 'dns';
  /** Until it must be asked again; undefined where nothing expires. */
  readonly ttlLeftMs?: number;
  readonly isStale: boolean;
  /** The family that nobody answered for: whether there are such addresses is not known. */
  readonly unanswered?: 4 | 6;
}

export interface Wish {
  readonly signal?: AbortSignal;
  /** Answers older than this are asked for again, whatever their TTL. */
  readonly maxAgeMs?: number;
  /** Where one family has addresses, the other one is not waited for if it takes long. */
  readonly isInHurry?: boolean;
}

/** RFC 8305 3, the resolution delay. */
const otherFamilyMs = 50;

/** Throws PeerError `dns_failed`: nobody answers, or there is no such name or address. */
export async function resolveAddresses(
  world: NameWorld,
  text: string,
  wish: Wish = {},
): Promise<Addresses> {
  if (isIP(text) !== 0) {
    return { name: text, addresses: [text], source: 'literal', isStale: false };
  }
  const { search, ndots } = await world.search();
  const names = candidateNames(text, search, ndots);
  if (names.length === 0) throw new PeerError('dns_failed', `'${text}' is no host name`);
  const hosts = await world.hosts();
  for (const name of names) {
    const addresses = hosts.addressesOf(name);
    if (addresses.length > 0) return { name, addresses, source: 'hosts', isStale: false };
  }
  let failure: PeerError | undefined;
  for (const name of names) {
    try {
      const found = await bothFamilies(world, name, wish);
      if (found !== undefined) return found;
    } catch (thrown) {
      // A search domain whose servers fail hides no other name (resolv.conf(5), as libc).
      if (!(thrown instanceof PeerError) || name === parseName(text)) throw failure ?? thrown;
      failure ??= thrown;
    }
  }
  throw failure ?? new PeerError('dns_failed', `${names.join(', ')}: no such name, or no address`);
}

/** One family that fails, or whose questions are dropped on their way, does not hide the other. */
async function bothFamilies(
  { resolver, clock }: NameWorld,
  name: string,
  { signal, maxAgeMs, isInHurry = false }: Wish,
): Promise<Addresses | undefined> {
  const asking = (['A', 'AAAA'] as const).map((type) =>
    resolver.lookup({ name, type }, signal, maxAgeMs),
  );
  const asked = isInHurry ? await soonOf(clock, asking) : await Promise.allSettled(asking);
  const answers = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const withRecords = answers.filter(({ answer }) => answer.kind === 'records');
  if (withRecords.length === 0) {
    const failed = asked.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return undefined;
  }
  const addresses = withRecords.flatMap(({ answer }) =>
    answer.kind === 'records'
      ? answer.records.flatMap((record) => ('address' in record ? [record.address] : []))
      : [],
  );
  const ttlLeftMs = Math.min(...answers.map((one) => one.ttlLeftMs));
  const isStale = withRecords.some((one) => one.isStale);
  const failed = asked.findIndex((one) => one.status === 'rejected');
  return {
    ...{ name, addresses: [...new Set(addresses)], source: 'dns', ttlLeftMs, isStale },
    ...(failed === -1 ? {} : { unanswered: failed === 0 ? 4 : 6 }),
  };
}

type Settled = PromiseSettledResult<Resolution>;

/** What is known a moment after the first family has addresses; the rest counts as not answered. */
async function soonOf(
  clock: Clock,
  asking: readonly Promise<Resolution>[],
): Promise<readonly Settled[]> {
  const late = new PeerError('dns_failed', 'the other family was not answered yet');
  const settled = asking.map((): Settled => ({ status: 'rejected', reason: late }));
  const noted = asking.map(async (one, at): Promise<void> => {
    const now: Settled = await one.then(
      (value) => ({ status: 'fulfilled', value }),
      (reason: unknown) => ({ status: 'rejected', reason }),
    );
    settled[at] = now;
    if (now.status === 'rejected' || now.value.answer.kind !== 'records') throw late;
  });
  const all = Promise.allSettled(noted);
  await Promise.any(noted).catch(() => undefined);
  const limit = deadline(clock, otherFamilyMs);
  await untilAborted(all, limit.signal).catch(() => undefined);
  limit.cancel();
  return settled;
}

/**
 * Lower priority first; among equals the heavier first, weight 0 last; equal ones by target, so that
 * every reader sees one order. Spreading over equals is placement's business, not chance's.
 * A target of `.` means there is no such service (RFC 2782).
 */
export function orderServices(records: readonly Srv[]): readonly Srv[] {
  return records
    .filter((record) => record.target !== '')
    .toSorted(
      (left, right) =>
        left.priority - right.priority ||
        right.weight - left.weight ||
        (left.target < right.target ? -1 : 1),
    );
}
