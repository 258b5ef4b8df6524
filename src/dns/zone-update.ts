/**
 * Changing a zone that somebody else serves (BIND, AD): RFC 2136. One message takes what the name
 * had and puts what it shall have, so that no reader ever sees it empty; and NOTIFY (RFC 1996).
 */
import { type Answer, encode } from 'dns-packet';
import { DnsFault } from './fault.ts';
import { type ResourceRecord, typeNumbers } from './record.ts';

const opcodes = { update: 5 << 11, notify: 4 << 11 } as const;
const authoritative = 1 << 10;

export interface ZoneChange {
  /** The zone at the server; the names lie in it. */
  readonly zone: string;
  /** Whole sets, by owner and type: what is there is replaced. */
  readonly sets: readonly RecordSet[];
}

export interface RecordSet {
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'SRV' | 'TXT';
  /** Of that name and type; none deletes the set. */
  readonly records: readonly ResourceRecord[];
}

/** The sets of `records` that belong to `names` of hosts; sets that became empty are deleted. */
export function recordSets(
  before: readonly ResourceRecord[],
  after: readonly ResourceRecord[],
): readonly RecordSet[] {
  const kinds = ['A', 'AAAA', 'SRV', 'TXT'] as const;
  const names = [...new Set([...before, ...after].map(({ name }) => name))];
  return names.flatMap((name) =>
    kinds.flatMap((type) => {
      const of = (records: readonly ResourceRecord[]): readonly ResourceRecord[] =>
        records.filter((one) => one.name === name && one.type === type);
      const [was, shall] = [of(before), of(after)];
      if (JSON.stringify(was) === JSON.stringify(shall)) return [];
      return [{ name, type, records: shall }];
    }),
  );
}

/**
 * The same where nobody knows what is there, after a start: a name that has addresses now has no
 * others, of the other family either. An address that nobody serves any more would draw agents.
 */
export function firstRecordSets(after: readonly ResourceRecord[]): readonly RecordSet[] {
  const sets = recordSets([], after);
  const has = (name: string, type: RecordSet['type']): boolean =>
    sets.some((one) => one.name === name && one.type === type);
  const others = sets.flatMap(({ name, type }): readonly RecordSet[] => {
    if (type === 'A' && !has(name, 'AAAA')) return [{ name, type: 'AAAA', records: [] }];
    if (type === 'AAAA' && !has(name, 'A')) return [{ name, type: 'A', records: [] }];
    return [];
  });
  return [...sets, ...others];
}

/** The message, unsigned. `id`: 16 random bits. */
export function encodeUpdate({ zone, sets }: ZoneChange, id: number): Buffer {
  const updates = sets.flatMap(({ name, type, records }) => [
    deletion(name, type),
    ...records.map(addition),
  ]);
  return encode({
    ...{ type: 'query', id, flags: opcodes.update },
    questions: [{ name: zone, type: 'SOA' }],
    authorities: updates as Answer[],
  });
}

/** RFC 2136 2.5.2: class ANY, TTL 0, no data. */
function deletion(name: string, type: RecordSet['type']): object {
  const empty = Buffer.alloc(0);
  return { name, type: `UNKNOWN_${typeNumbers[type]}`, class: 'ANY', ttl: 0, data: empty };
}

function addition(record: ResourceRecord): object {
  const common = { name: record.name, type: record.type, ttl: record.ttlSec, class: 'IN' };
  if ('address' in record) return { ...common, data: record.address };
  if (record.type === 'SRV') return { ...common, data: { ...record.srv } };
  if (record.type === 'TXT') return { ...common, data: [...record.texts] };
  throw new TypeError(`${record.type} is not updated`);
}

/** Throws DnsFault when the reply is another one's, or says that the change was refused. */
export function checkUpdateReply(reply: Buffer, id: number): void {
  if (reply.length < 12 || reply.readUInt16BE(0) !== id) throw new DnsFault('wrong_id', 'id');
  if ((reply.readUInt16BE(2) & 0xf800) !== (0x8000 | opcodes.update)) {
    throw new DnsFault('not_a_reply', 'no answer to an update');
  }
  const code = (reply[3] ?? 0) & 15;
  if (code !== 0)
    throw new DnsFault('malformed', `the server refused the update: ${refusals[code] ?? code}`);
}

const refusals: Readonly<Record<number, string>> = {
  ...{ 1: 'FORMERR', 2: 'SERVFAIL', 4: 'NOTIMP', 5: 'REFUSED' },
  ...{ 6: 'YXDOMAIN', 8: 'NXRRSET', 9: 'NOTAUTH (key or zone)', 10: 'NOTZONE' },
};

/** "The zone changed, come and see", to a secondary. */
export function encodeNotify(zone: string, id: number): Buffer {
  return encode({
    ...{ type: 'query', id, flags: opcodes.notify | authoritative },
    questions: [{ name: zone, type: 'SOA' }],
  });
}

/** Whatever its code: who answers has heard. */
export function isNotifyReply(reply: Uint8Array, notify: Buffer): boolean {
  const message = Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength);
  if (message.length < 12 || message.readUInt16BE(0) !== notify.readUInt16BE(0)) return false;
  return (message.readUInt16BE(2) & 0xf800) === (0x8000 | opcodes.notify);
}
