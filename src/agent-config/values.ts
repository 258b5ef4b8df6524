/** Rules for the values of single elements, with the agent's words when one is broken. */
import { ipKindOf, storedAddress } from './address.ts';
import type { Complaint } from './refusal.ts';
import { Refusal } from './refusal.ts';

export type Rule =
  | 'anything'
  | 'count' // digits, 0 allowed
  | 'positive' // digits, at least 1
  | 'port'
  | 'yes_no'
  | 'enrollment_yes_no'
  | 'protocol'
  | 'crypto'
  | 'address' // a literal or a host name
  | 'ip' // a single literal
  | 'ip_or_network'
  | 'host_name'
  | 'verification'
  | 'ciphers'
  | 'size'
  | 'interval';

interface Given {
  readonly rule: Rule;
  readonly name: string;
  readonly value: string;
  /** Where to point when the value is refused. */
  readonly offset: number;
}

const LONG_MAX = 2n ** 63n - 1n;
const MAX_PORT = 65_535;
const MAX_INTERVAL_SEC = 86_400;
const MAX_BATCH_BYTES = 1024 ** 3;

const words: Readonly<Partial<Record<Rule, readonly string[]>>> = {
  yes_no: ['yes', 'no'],
  enrollment_yes_no: ['yes', 'no'],
  protocol: ['tcp', 'udp'],
  crypto: ['blowfish', 'aes'],
  verification: ['full', 'certificate', 'none'],
};

const cipherSuites: ReadonlySet<string> = new Set([
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_CCM_SHA256',
  'TLS_AES_128_CCM_8_SHA256',
]);

/** `atoi` of a 64-bit agent: digits beyond a long saturate, then the low 32 bits count. */
export function toInt(digits: string): number {
  const significant = digits.replace(/^0+/, '');
  const long = significant.length > 19 ? LONG_MAX : BigInt(significant === '' ? 0 : significant);
  return Number(BigInt.asIntN(32, long > LONG_MAX ? LONG_MAX : long));
}

/** Throws a `Refusal` in the agent's words unless the value obeys its rule. */
export function checkValue(given: Given): void {
  const { rule, name, value } = given;
  const choices = words[rule];
  if (choices !== undefined) {
    if (!choices.includes(value)) throw badWord(given, choices);
  } else if (rule === 'count' || rule === 'positive') {
    const least = rule === 'count' ? 0 : 1;
    if (!isDigits(value) || toInt(value) < least) throw badNumber(given, least);
  } else if (rule === 'port') {
    checkPort(given);
  } else if (!isAcceptable(rule, value)) {
    throw refuse(given, saidOf(rule, name, value), fixOf(rule, value), ruleNumberOf(rule, value));
  }
}

function isAcceptable(rule: Rule, value: string): boolean {
  if (rule === 'address') return storedAddress(value) !== undefined;
  if (rule === 'ip') return ipKindOf(value) === 'address';
  if (rule === 'ip_or_network') return ipKindOf(value) !== 'none';
  if (rule === 'host_name') return !value.includes('/');
  if (rule === 'ciphers') return value.split(':').every((suite) => cipherSuites.has(suite));
  if (rule === 'interval') return isWithin(parseSeconds(value), MAX_INTERVAL_SEC);
  if (rule === 'size') return isWithin(parseBytes(value), MAX_BATCH_BYTES);
  return true;
}

function saidOf(rule: Rule, name: string, value: string): string {
  if (rule === 'ip') return `(1237): Invalid ip address: '${value}'.`;
  if (rule === 'address' || rule === 'host_name' || rule === 'ip_or_network') {
    return `(4104): Invalid hostname: '${value}'.`;
  }
  if (rule === 'ciphers') return `Invalid TLS 1.3 cipher suite '${value}' in the 'ciphers' option.`;
  return saidBad(name, value);
}

function fixOf(rule: Rule, value: string): string {
  if (rule === 'address' || rule === 'host_name') {
    return 'write one IP address or host name, without scheme, port or /prefix';
  }
  if (rule === 'ip') return 'write one IP address, or use <server><address> for a name';
  if (rule === 'ciphers') return 'use TLS 1.3 suite names, separated by colons';
  if (rule === 'interval') return 'write seconds or a number with s, m, h, d, w, at most one day';
  if (rule === 'size') return 'write a number of bytes or with kB, MB, GB, at most 1 GiB';
  return `correct ${JSON.stringify(value)}`;
}

function ruleNumberOf(rule: Rule, value: string): number | undefined {
  return rule === 'address' && value.includes('/') ? 48 : undefined;
}

function checkPort(given: Given): void {
  const { name, value } = given;
  const fix = 'write a port from 1 to 65535 as plain digits, no blanks';
  const ruleNumber = value === '' ? 43 : 38;
  if (!isDigits(value)) throw refuse(given, saidBad(name, value), fix, ruleNumber);
  const port = toInt(value);
  if (port >= 1 && port <= MAX_PORT) return;
  throw refuse(given, `(1205): Invalid port number: '${port}'.`, fix, ruleNumber);
}

function badWord(given: Given, choices: readonly string[]): Refusal {
  const { rule, name, value } = given;
  const said =
    rule === 'enrollment_yes_no' ? `Invalid content for tag '${name}'.` : saidBad(name, value);
  return refuse(given, said, `write exactly ${choices.join(' or ')}, no blanks around it`);
}

function badNumber(given: Given, least: number): Refusal {
  const fix = `write a number of at least ${least} as plain digits: no blanks, sign or unit`;
  return refuse(given, saidBad(given.name, given.value), fix);
}

function saidBad(name: string, value: string): string {
  return `(1235): Invalid value for element '${name}': ${value}.`;
}

function refuse(given: Given, said: string, fix: string, ruleNumber?: number): Refusal {
  const complaint: Complaint = { offset: given.offset, said, fix };
  return new Refusal(ruleNumber === undefined ? complaint : { ...complaint, ruleNumber });
}

/** Only digits, or nothing at all: the agent's own test. */
function isDigits(value: string): boolean {
  return /^[0-9]*$/.test(value) && !value.endsWith('\n');
}

function isWithin(amount: number | undefined, most: number): boolean {
  return amount !== undefined && amount >= 1 && amount <= most;
}

const secondsOf: Readonly<Record<string, number>> = {
  '': 1,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
};

function parseSeconds(value: string): number | undefined {
  const match = /^\s*\+?(\d+)([smhdw]?)$/.exec(value);
  return match === null ? undefined : Number(match[1]) * (secondsOf[match[2] ?? ''] ?? 1);
}

function parseBytes(value: string): number | undefined {
  const match = /^\s*\+?(\d+)\s*(?:([kKmMgG])?[bB])?$/.exec(value);
  if (match === null) return undefined;
  const power = ' kmg'.indexOf((match[2] ?? ' ').toLowerCase());
  return Number(match[1]) * 1024 ** power;
}
