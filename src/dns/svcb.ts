/**
 * SVCB and HTTPS record data (RFC 9460 2.2), which the codec library does not know. Decoding is
 * strict: keys in order, each once, lengths exact; what breaks that makes the record malformed.
 */
import { isIPv4 } from 'node:net';
import { DnsFault } from './fault.ts';

/** Priority 0 is an alias to `target`; `''` as target means the owner itself. */
export interface ServiceBinding {
  readonly priority: number;
  readonly target: string;
  readonly alpn: readonly string[];
  readonly port?: number;
  readonly ipv4hint: readonly string[];
  readonly ipv6hint: readonly string[];
  /** Numbers of the keys a client must understand. */
  readonly mandatory: readonly number[];
}

const keys = { mandatory: 0, alpn: 1, port: 3, ipv4hint: 4, ipv6hint: 6 } as const;
const understood: readonly number[] = Object.values(keys);

/** Throws DnsFault `malformed`. */
export function decodeServiceBinding(data: Uint8Array): ServiceBinding {
  const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (view.length < 3) throw malformed('too short');
  const { name: target, end } = readPlainName(view, 2);
  const params = readParams(view, end);
  const port = params.get(keys.port);
  if (port !== undefined && port.length !== 2) throw malformed('a port of other than two bytes');
  return {
    priority: view.readUInt16BE(0),
    target,
    alpn: readStrings(params.get(keys.alpn)),
    ...(port === undefined ? {} : { port: port.readUInt16BE(0) }),
    ipv4hint: slices(params.get(keys.ipv4hint), 4).map((one) => one.join('.')),
    ipv6hint: slices(params.get(keys.ipv6hint), 16).map(ipv6Text),
    mandatory: slices(params.get(keys.mandatory), 2).map((one) => one.readUInt16BE(0)),
  };
}

/** Whether a client of this implementation may use the record (RFC 9460 8). */
export function isUsable(binding: ServiceBinding): boolean {
  return binding.mandatory.every((key) => key !== keys.mandatory && understood.includes(key));
}

/** The exact reverse for what `decodeServiceBinding` keeps. */
export function encodeServiceBinding(binding: ServiceBinding): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(binding.priority);
  const parts = [head, encodePlainName(binding.target)];
  const add = (key: number, value: Buffer): void => {
    if (value.length === 0) return;
    const frame = Buffer.alloc(4);
    frame.writeUInt16BE(key, 0);
    frame.writeUInt16BE(value.length, 2);
    parts.push(frame, value);
  };
  const numbers = (list: readonly number[]): Buffer =>
    Buffer.from(list.flatMap((one) => [one >> 8, one & 255]));
  add(keys.mandatory, numbers(binding.mandatory));
  add(keys.alpn, Buffer.concat(binding.alpn.map((one) => prefixed(Buffer.from(one, 'latin1')))));
  if (binding.port !== undefined) add(keys.port, numbers([binding.port]));
  add(keys.ipv4hint, Buffer.from(binding.ipv4hint.flatMap((one) => one.split('.').map(Number))));
  add(keys.ipv6hint, Buffer.concat(binding.ipv6hint.map(ipv6Bytes)));
  return Buffer.concat(parts);
}

function prefixed(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** Names in these records are never compressed (RFC 9460 2.2). */
function readPlainName(view: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = view[at];
    if (length === undefined || length > 63) throw malformed('a bad target name');
    if (length === 0) return { name: labels.join('.').toLowerCase(), end: at + 1 };
    if (at + 1 + length > view.length || at - start > 253) throw malformed('a bad target name');
    labels.push(view.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
}

function encodePlainName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.');
  return Buffer.concat([
    ...labels.map((one) => prefixed(Buffer.from(one, 'latin1'))),
    Buffer.from([0]),
  ]);
}

function readParams(view: Buffer, start: number): ReadonlyMap<number, Buffer> {
  const params = new Map<number, Buffer>();
  let last = -1;
  let at = start;
  while (at < view.length) {
    if (at + 4 > view.length) throw malformed('a cut parameter');
    const key = view.readUInt16BE(at);
    const end = at + 4 + view.readUInt16BE(at + 2);
    if (key <= last) throw malformed('parameters out of order');
    if (end > view.length) throw malformed('a parameter past the end');
    params.set(key, view.subarray(at + 4, end));
    last = key;
    at = end;
  }
  return params;
}

function readStrings(value: Buffer | undefined): readonly string[] {
  const texts: string[] = [];
  let at = 0;
  while (value !== undefined && at < value.length) {
    const end = at + 1 + (value[at] ?? 0);
    if (end === at + 1 || end > value.length) throw malformed('a bad string');
    texts.push(value.toString('latin1', at + 1, end));
    at = end;
  }
  return texts;
}

function slices(value: Buffer | undefined, size: number): readonly Buffer[] {
  if (value === undefined) return [];
  if (value.length === 0 || value.length % size !== 0) throw malformed('a value of a wrong length');
  return Array.from({ length: value.length / size }, (_, index) =>
    value.subarray(index * size, (index + 1) * size),
  );
}

/** Eight groups of four digits: one spelling, no compression needed. */
function ipv6Text(bytes: Buffer): string {
  return slices(bytes, 2)
    .map((group) => group.readUInt16BE(0).toString(16))
    .join(':');
}

function ipv6Bytes(text: string): Buffer {
  if (isIPv4(text)) throw malformed('an IPv4 address as ipv6hint');
  const [head = '', tail] = text.split('::');
  const groupsOf = (part: string | undefined): string[] =>
    part === undefined || part === '' ? [] : part.split(':');
  const [before, after] = [groupsOf(head), groupsOf(tail)];
  const zeros = new Array<string>(8 - before.length - after.length).fill('0');
  return Buffer.from(
    [...before, ...zeros, ...after].flatMap((group) => {
      const number = Number.parseInt(group, 16);
      return [number >> 8, number & 255];
    }),
  );
}

function malformed(why: string): DnsFault {
  return new DnsFault('malformed', `SVCB data: ${why}`);
}
