/**
 * What a reply says about the name that was asked for: its records at the end of a CNAME chain,
 * the next name to ask, or that there is nothing (RFC 1034 3.6.2, RFC 2308). Records that do not
 * belong to the chain are ignored, whoever sent them.
 */
import type { Question, Reply } from './query.ts';
import type { ResourceRecord } from './record.ts';

export const maxChainLength = 8;
/** Where a negative answer brings no SOA it may not be cached for long (RFC 2308 5). */
const negativeTtlSec = 5;

export type Finding =
  | {
      readonly kind: 'records';
      readonly records: readonly ResourceRecord[];
      /** Seconds; the smallest of the chain and the records. */
      readonly ttlSec: number;
      /** The names on the way, the last one owns the records. */
      readonly chain: readonly string[];
    }
  | { readonly kind: 'next'; readonly name: string; readonly ttlSec: number }
  | {
      readonly kind: 'nothing';
      readonly why: 'no_name' | 'no_data';
      readonly ttlSec: number;
    }
  | {
      readonly kind: 'failed';
      readonly why: string;
      /** Nothing usable came at all, so the same server may be asked once more. */
      readonly isSilence?: boolean;
    };

/** Pure; `reply` passed `decodeReply` for `question`. */
export function followReply(reply: Reply, question: Question): Finding {
  if (reply.code !== 'NOERROR' && reply.code !== 'NXDOMAIN') {
    return { kind: 'failed', why: reply.code };
  }
  const chain = [question.name];
  let ttlSec = Number.POSITIVE_INFINITY;
  for (;;) {
    const owner = chain.at(-1) ?? question.name;
    const own = reply.answers.filter((record) => record.name === owner);
    const records = own.filter((record) => record.type === question.type);
    if (records.length > 0) {
      return { kind: 'records', records, ttlSec: smallest(ttlSec, records), chain };
    }
    const alias = own.find((record) => record.type === 'CNAME');
    if (alias?.type !== 'CNAME') break;
    if (chain.includes(alias.target) || chain.length >= maxChainLength) {
      return { kind: 'failed', why: `CNAME loop or chain of more than ${maxChainLength} names` };
    }
    chain.push(alias.target);
    ttlSec = Math.min(ttlSec, alias.ttlSec);
  }
  return endOf(reply, chain, ttlSec);
}

function endOf(reply: Reply, chain: readonly string[], ttlSec: number): Finding {
  const soa = reply.authorities.find((record) => record.type === 'SOA');
  const last = chain.at(-1) ?? '';
  // A server that is not recursive for the target of an alias stops there: ask for it ourselves.
  if (reply.code === 'NOERROR' && chain.length > 1 && soa === undefined) {
    return { kind: 'next', name: last, ttlSec };
  }
  if (soa === undefined && reply.authorities.some((record) => record.type === 'NS')) {
    return { kind: 'failed', why: 'a referral instead of an answer' };
  }
  const negative = soa?.type === 'SOA' ? Math.min(soa.ttlSec, soa.soa.minimum) : negativeTtlSec;
  return {
    kind: 'nothing',
    why: reply.code === 'NXDOMAIN' ? 'no_name' : 'no_data',
    ttlSec: Math.min(negative, ttlSec),
  };
}

function smallest(ttlSec: number, records: readonly ResourceRecord[]): number {
  return Math.min(ttlSec, ...records.map((record) => record.ttlSec));
}
