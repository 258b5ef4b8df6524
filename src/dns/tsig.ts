/**
 * Transaction signatures (RFC 8945) with HMAC-SHA256: the record that closes a signed message, which
 * the codec library does not know. Signing and checking over exact bytes.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { DnsFault } from './fault.ts';

export interface TsigKey {
  /** As `parseName` gives it. */
  readonly name: string;
  readonly secret: Uint8Array;
}

const algorithm = 'hmac-sha256';
const fudgeSec = 300;
const recordType = 250;
const classAny = 255;

/** `message` with its signature, and the MAC that its answer is signed over as well. */
export function signMessage(
  message: Buffer,
  key: TsigKey,
  nowSec: number,
): { readonly bytes: Buffer; readonly mac: Buffer } {
  const variables = tsigVariables(key.name, nowSec, fudgeSec, 0);
  const mac = createHmac('sha256', key.secret).update(message).update(variables).digest();
  const data = Buffer.concat([
    nameBytes(algorithm),
    timeBytes(nowSec),
    uint16(fudgeSec),
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  ]);
  const record = Buffer.concat([
    nameBytes(key.name),
    uint16(recordType),
    uint16(classAny),
    Buffer.alloc(4),
    uint16(data.length),
    data,
  ]);
  const bytes = Buffer.concat([message, record]);
  bytes.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
  return { bytes, mac };
}

/**
 * Throws DnsFault `malformed` unless `reply` closes with a signature of `key` over itself and
 * `requestMac`, made within five minutes of `nowSec`.
 */
export function checkSignature(
  reply: Buffer,
  key: TsigKey,
  requestMac: Uint8Array,
  nowSec: number,
): void {
  const found = splitSignature(reply, key);
  if (Math.abs(found.timeSec - nowSec) > fudgeSec) throw bad('signed at another time');
  const mac = createHmac('sha256', key.secret)
    .update(uint16(requestMac.length))
    .update(requestMac)
    .update(found.unsigned)
    .update(tsigVariables(key.name, found.timeSec, found.fudge, found.error, found.other))
    .digest();
  if (mac.length !== found.mac.length || !timingSafeEqual(mac, found.mac)) {
    throw bad('its signature is not of our key');
  }
}

/** The record stands last and its owner is never compressed by the servers that matter; else refused. */
function splitSignature(reply: Buffer, key: TsigKey) {
  const head = Buffer.concat([nameBytes(key.name), uint16(recordType), uint16(classAny)]);
  const start = reply.toString('latin1').toLowerCase().lastIndexOf(head.toString('latin1'));
  if (start < 12 || reply.readUInt16BE(10) === 0) throw bad('no signature');
  let at = start + head.length + 4;
  const end = at + 2 + reply.readUInt16BE(at);
  at += 2;
  const named = nameBytes(algorithm);
  if (end !== reply.length || end < at + named.length + 16) throw bad('a cut signature');
  if (reply.toString('latin1', at, at + named.length).toLowerCase() !== named.toString('latin1')) {
    throw bad('another algorithm');
  }
  at += named.length;
  const timeSec = reply.readUIntBE(at, 6);
  const fudge = reply.readUInt16BE(at + 6);
  const macEnd = at + 10 + reply.readUInt16BE(at + 8);
  if (macEnd + 6 > end) throw bad('a cut signature');
  const unsigned = Buffer.from(reply.subarray(0, start));
  unsigned.writeUInt16BE(reply.readUInt16BE(10) - 1, 10);
  reply.copy(unsigned, 0, macEnd, macEnd + 2); // the original id
  return {
    ...{ unsigned, timeSec, fudge, mac: reply.subarray(at + 10, macEnd) },
    error: reply.readUInt16BE(macEnd + 2),
    other: reply.subarray(macEnd + 6, end),
  };
}

/** RFC 8945 4.3.3: what is signed beside the message, names in lower case and uncompressed. */
function tsigVariables(
  name: string,
  timeSec: number,
  fudge: number,
  error: number,
  other: Uint8Array = Buffer.alloc(0),
): Buffer {
  return Buffer.concat([
    nameBytes(name),
    uint16(classAny),
    Buffer.alloc(4),
    nameBytes(algorithm),
    timeBytes(timeSec),
    uint16(fudge),
    uint16(error),
    uint16(other.length),
    other,
  ]);
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), label]),
    Buffer.from([0]),
  ]);
}

function timeBytes(timeSec: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(timeSec, 0, 6);
  return bytes;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function bad(why: string): DnsFault {
  return new DnsFault('malformed', `TSIG: ${why}`);
}
