/** Resource records as values, and the numbers of the types we know (IANA DNS parameters). */
import type { ServiceBinding } from './svcb.ts';

/** A type that is not in this table is never asked for: the codec would send it as type 0. */
export const typeNumbers = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  SVCB: 64,
  HTTPS: 65,
} as const;

export type RecordType = keyof typeof typeNumbers;

export function isRecordType(text: string): text is RecordType {
  return Object.hasOwn(typeNumbers, text);
}

/** RFC 1035 3.3.13; times in seconds. */
export interface Soa {
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

/** RFC 2782: lower priority first, weight shares among equals. */
export interface Srv {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

export type RecordData =
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME' | 'NS' | 'PTR'; readonly target: string }
  | { readonly type: 'SOA'; readonly soa: Soa }
  | { readonly type: 'SRV'; readonly srv: Srv }
  | { readonly type: 'TXT'; readonly texts: readonly string[] }
  | { readonly type: 'HTTPS' | 'SVCB'; readonly binding: ServiceBinding };

export type ResourceRecord = RecordData & {
  /** Lower case, without a trailing dot; `''` is the root. */
  readonly name: string;
  /** 0 to 2^31 - 1; larger ones mean 0 (RFC 2181 8). */
  readonly ttlSec: number;
};
